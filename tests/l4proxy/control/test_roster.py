"""The roster: discovery, probes, dials and the API change one state, and say that it changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from l4proxy.config import Config, parse_config
from l4proxy.control import roster as module
from l4proxy.control.discovery import DnsDiscovery
from l4proxy.control.membership import AlreadyThere, Member, TooMany, Unknown
from l4proxy.control.roll import UnknownPool
from l4proxy.control.roster import Roster
from l4proxy.control.totals import Totals
from l4proxy.dataplane.counters import DIAL_FAILED
from l4proxy.limits import MAX_BACKENDS
from l4proxy.messages import Report
from routing import Address, BackendName, PoolName
from routing.health import HealthReason
from tests.l4proxy.control.discovery.dns_server import DnsServer, records, serve_dns
from tests.l4proxy.control.servers import free_port

PATIENCE_SECONDS = 20.0
APP = PoolName("app")
A, B = BackendName("a"), BackendName("b")


def config(pool: str) -> Config:
    """A configuration with one pool."""
    text = f'listeners: ["127.0.0.1:0"]\nroutes: {{app.example.com: app}}\npools: {{app: {pool}}}\n'
    return parse_config(text, "roster")


TWO = '{backends: [{address: "127.0.0.1:1", name: a}, {address: "127.0.0.1:2", name: b}]}'


def looked_up(server: DnsServer, more: str = "") -> str:
    """A pool that DNS fills."""
    dns = f"name: enclaves.internal, port: 443, resolver: {server.address}, every: 1s{more}"
    return f"[{{dns: {{{dns}}}}}]"


@contextlib.asynccontextmanager
async def running(roster: Roster) -> AsyncIterator[None]:
    """A roster at work."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(roster.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.005)


def names(roster: Roster) -> list[str]:
    """Who exists."""
    return [member.name for member in roster.members(APP)]


async def test_everybody_is_well_at_first() -> None:
    """Before anything is known the configuration's backends get traffic, and a plan is due."""
    roster = Roster(config(TWO), Totals())
    assert roster.changed.is_set()
    assert roster.usable() == {APP: {A, B}}
    assert roster.verdicts(APP)[A].reason is HealthReason.ASSUMED


async def test_what_the_api_puts_is_there_at_once() -> None:
    """Whether it is new is told; health knows it; deleting it says what it was."""
    roster = Roster(config(TWO), Totals())
    member = Member(BackendName("c"), Address("127.0.0.1", 3))
    for new in (True, False):
        roster.changed.clear()
        assert roster.put(APP, member) is new
        assert roster.changed.is_set()
    assert roster.usable()[APP] == {A, B, "c"}
    assert roster.since(APP, member.name) >= roster.since(APP, A)
    roster.changed.clear()
    assert roster.delete(APP, member.name).address == member.address
    assert roster.changed.is_set()
    assert roster.usable()[APP] == {A, B}
    with pytest.raises(KeyError):
        roster.since(APP, member.name)


async def test_what_cannot_be_changes_nothing() -> None:
    """A wrong pool or name raises, and no plan is due."""
    roster = Roster(config(TWO), Totals())
    roster.changed.clear()
    with pytest.raises(UnknownPool):
        roster.put(PoolName("none"), Member(A, Address("127.0.0.1", 3)))
    with pytest.raises(AlreadyThere):
        roster.put(APP, Member(A, Address("127.0.0.1", 3)))
    with pytest.raises(Unknown):
        roster.delete(APP, BackendName("c"))
    assert not roster.changed.is_set()


async def test_probes_change_who_is_usable(caplog: pytest.LogCaptureFixture) -> None:
    """A backend that answers stays, one that does not goes, and the log says why."""
    with contextlib.ExitStack() as stack:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        pool = (
            f'{{backends: [{{address: "127.0.0.1:{port}", name: a}}, '
            f'{{address: "127.0.0.1:{free_port()}", name: b}}], health: {{type: tcp, every: 1s}}}}'
        )
        roster = Roster(config(pool), Totals())
        roster.changed.clear()
        async with running(roster):
            await until(lambda: roster.usable()[APP] == {A})
            assert roster.changed.is_set()
            assert (APP, "refused", 1) in roster.outcomes()
    assert "app/b is unhealthy: probes_failed: refused" in caplog.text


async def test_dials_eject_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures that workers report set a backend aside, unless the pool says otherwise."""
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.01)
    totals = Totals()
    roster = Roster(config(TWO), totals)
    deaf = Roster(config(TWO.replace("{backends", "{passive_health: off, backends")), totals)
    async with running(roster), running(deaf):
        totals.take(0, Report(((DIAL_FAILED, "app/b/econnrefused", 9),)))
        await until(lambda: roster.usable()[APP] == {A})
        assert roster.verdicts(APP)[B].reason is HealthReason.DIALS_FAILED
    assert deaf.usable() == {}


async def test_what_dns_finds_is_there() -> None:
    """The newest answer is who exists; its figures are there to be shown."""
    async with serve_dns(records({"A": ["10.0.0.1", "10.0.0.2"]}, ttl=1)) as server:
        roster = Roster(config(looked_up(server)), Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443", "10.0.0.2:443"])
            server.say(records({"A": ["10.0.0.3"]}, ttl=1))
            await until(lambda: names(roster) == ["10.0.0.3:443"])
            ((pool, source, seen),) = roster.discoveries()
    assert (pool, source) == (APP, f"enclaves.internal:443@{server.address}")
    assert seen.addresses == 1
    assert roster.left_out(APP) == 0


async def test_a_source_is_kept_over_a_reload_that_does_not_change_it() -> None:
    """Equal sources go on; another one begins anew, with what was found until it knows better."""
    async with serve_dns(records({"A": ["10.0.0.1"]})) as server:
        first = config(looked_up(server))
        roster = Roster(first, Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443"])
            asked = len(server.queries)
            roster.adopt(first, roster.succeed(first))
            assert names(roster) == ["10.0.0.1:443"]
            ((_, _, seen),) = roster.discoveries()
            assert (seen.rounds, len(server.queries)) == (1, asked)
            other = config(looked_up(server).replace("every: 1s", "every: 2s"))
            roster.adopt(other, roster.succeed(other))
            assert names(roster) == ["10.0.0.1:443"]
            await until(lambda: len(server.queries) > asked)
            none = config(TWO)
            roster.adopt(none, roster.succeed(none))
            assert list(roster.discoveries()) == []
            assert names(roster) == ["a", "b"]


async def test_a_reload_without_room_changes_nothing() -> None:
    """What would not fit is told before anything is done."""
    roster = Roster(config(TWO), Totals())
    roster.put(APP, Member(BackendName("c"), Address("127.0.0.1", 3)))
    ports = ", ".join(f'"10.0.0.1:{port}"' for port in range(1, MAX_BACKENDS + 1))
    with pytest.raises(TooMany):
        roster.succeed(config(f"[{ports}]"))
    assert names(roster) == ["c", "a", "b"]


async def test_a_bug_in_discovery_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is in the log, the source is asked again after a rest."""
    monkeypatch.setattr(module, "DISCOVERY_RETRY_SECONDS", 0.01)
    real = DnsDiscovery.watch
    failures = iter([ZeroDivisionError()])

    async def watch(self: DnsDiscovery, changed: Callable[[frozenset[Address]], None]) -> None:
        for error in failures:
            raise error
        await real(self, changed)

    monkeypatch.setattr(DnsDiscovery, "watch", watch)
    async with serve_dns(records({"A": ["10.0.0.1"]})) as server:
        roster = Roster(config(looked_up(server)), Totals())
        async with running(roster):
            await until(lambda: names(roster) == ["10.0.0.1:443"])
    assert "ZeroDivisionError" in caplog.text
