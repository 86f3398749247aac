"""Changes by the API, without workers: what is done, and what is told when it cannot be."""

import asyncio

import pytest

from l4proxy.config import parse_config
from l4proxy.control import publisher as module
from l4proxy.control.changes import Changes
from l4proxy.control.drains import Ambiguous
from l4proxy.control.lineup import Drained
from l4proxy.control.membership import Member, Unknown
from l4proxy.control.plan import Cells
from l4proxy.control.publisher import Publisher
from l4proxy.control.roster import Roster
from l4proxy.control.totals import Totals
from l4proxy.revocation import Revocation, Revoked
from routing import Address, BackendName, PoolName

APP, A, NEW = PoolName("app"), BackendName("a"), BackendName("new")
TEXT = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools:
  app: {backends: [{address: "127.0.0.1:1", name: a}], sticky: off}
  api: {backends: [{address: "127.0.0.1:1", name: a}], sticky: off}
"""


class Scene:
    """A roster whose changes nobody publishes, and no worker waits for."""

    def __init__(self) -> None:
        self.roster = Roster(parse_config(TEXT, "changes"), Totals())
        publisher = Publisher([], self.roster.changed, asyncio.Event())
        self.changes = Changes(self.roster, Cells(), publisher)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.01)


async def test_a_change_that_is_not_published_is_not_in_force() -> None:
    """It is done all the same, and its version is the next one."""
    scene = Scene()
    member = Member(NEW, Address("127.0.0.1", 2))
    change = await scene.changes.put_backend(APP, member)
    assert (change.created, change.version, change.in_force) == (True, 1, False)
    assert not (await scene.changes.put_backend(APP, member)).created
    assert (await scene.changes.delete_backend(APP, NEW)).member.name == NEW
    done = await scene.changes.revoke([Revocation(Revoked.CHIP, b"chip")])
    assert (done.refuted, done.in_force) == (0, False)


async def test_a_change_is_in_force_when_nobody_decides_otherwise() -> None:
    """Where nothing has changed since the newest snapshot, at once."""
    scene = Scene()
    scene.roster.changed.clear()
    change = await scene.changes.activate_backend("app/a")
    assert (change.member.name, change.version, change.in_force) == (A, 0, True)


async def test_a_backend_is_drained_undrained_and_activated() -> None:
    """Each of these says who it was, or why it cannot be done."""
    scene = Scene()
    drained = await scene.changes.drain_backend("app/a", 60.0)
    assert (drained.draining, drained.deadline is not None) == (True, True)
    with pytest.raises(Drained):
        await scene.changes.activate_backend("app/a")
    assert not (await scene.changes.undrain_backend("app/a")).draining
    assert (await scene.changes.activate_backend("app/a")).pool == APP
    with pytest.raises(Unknown):
        await scene.changes.activate_backend("none")
    with pytest.raises(Ambiguous):
        await scene.changes.activate_backend("a")


async def test_a_reload_is_settled_as_any_change() -> None:
    """What has changed is what the supervisor says; here nobody publishes it."""
    scene = Scene()
    done = await scene.changes.reload()
    assert (done.changed, done.in_force) == ((), False)
