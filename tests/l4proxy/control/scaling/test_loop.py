"""The control loop: every pool has its rounds, whatever happens to the others."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from l4proxy.config import Config, parse_config
from l4proxy.control.scaling import loop as module
from l4proxy.control.scaling.actuators import Chosen, Workshop
from l4proxy.control.scaling.loop import Scaling
from l4proxy.control.scaling.observe import Moment
from l4proxy.control.scaling.scaler import Scaler
from l4proxy.dataplane.counters import PARKED
from l4proxy.messages import Report
from l4proxy.scaling import CPU, Reading
from tests.l4proxy.control.scaling.stand import APP, UTC, A, B, Hand, Stand, configured

PLAIN = 'listeners: ["127.0.0.1:0"]\nroutes: {a.b: app}\npools: {app: ["127.0.0.1:1"]}\n'
PATIENCE_SECONDS = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
        await asyncio.sleep(0.001)


class Published:
    """Workers that obey, or not, as a test says."""

    def __init__(self) -> None:
        self.version = 1
        self.asked: list[int] = []
        self.obeys = True

    def promised(self) -> int:
        """One more each time."""
        self.version += 1
        return self.version

    def obeyed(self, version: int) -> bool:
        """Whether they do."""
        self.asked.append(version)
        return self.obeys


class Stage:
    """A loop over a pool that stands still."""

    def __init__(self, config: Config | None = None) -> None:
        config = config or configured()
        self.stand = Stand(config)
        self.published, self.hand = Published(), Hand()
        self.scaling = Scaling(self.stand.ground, self.published)
        self.adopt(config)

    def adopt(self, config: Config, *, same: bool = False) -> None:
        """Go on by a configuration, with the same actuator or another one."""
        made = Workshop().make(Path("x"), config)
        before = self.scaling.actuators
        chosen = {name: Chosen(each.choice, self.hand) for name, each in made.items()}
        self.scaling.adopt(config, before if same else chosen)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds come at once."""
    monkeypatch.setattr(module, "TICK_SECONDS", 0.001)
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.002)


async def test_rounds_go_on_and_the_actuator_hears_of_them() -> None:
    """Until the loop is cancelled."""
    stage = Stage()
    stage.stand.sessions(a=10, b=10, c=10)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stage.scaling.run())
        await until(lambda: stage.hand.orders)
        task.cancel()
    assert stage.hand.orders[0].desired == 4
    assert list(stage.scaling.pools) == [APP]


async def test_a_slow_actuator_delays_no_round() -> None:
    """It has a task of its own."""
    stage = Stage()
    stage.hand.slow = True
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stage.scaling.run())
        await until(lambda: sum(stage.scaling.pools[APP].rounds.counts.values()) >= 5)
        task.cancel()


async def test_a_round_knows_whether_the_last_one_is_obeyed() -> None:
    """It asks for the version that holds what it carried out."""
    stage = Stage()
    stage.scaling.round(1.0, UTC)
    stage.published.obeys = False
    stage.scaling.round(6.0, UTC)
    assert stage.published.asked == [0, 2]
    last = stage.scaling.pools[APP].rounds.last
    assert last is not None
    assert "missing_data" not in [term.name for term in last.decision.terms if term.backends]
    assert last.taken.rest == ()


async def test_a_bug_in_one_round_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next round comes."""

    def broken(_scaler: Scaler, _moment: Moment) -> None:
        raise ZeroDivisionError

    stage = Stage()
    monkeypatch.setattr(Scaler, "round", broken)
    stage.scaling.round(1.0, UTC)
    assert "scaling of pool app" in caplog.text


async def test_hellos_that_wait_bring_a_round_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next one while a client does."""
    monkeypatch.setattr(module, "ROUND_SECONDS", 3_600.0)
    stage = Stage()
    stage.stand.totals.take(0, Report(((PARKED, APP, 1),)))
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stage.scaling.run())
        await until(lambda: stage.scaling.pools[APP].rounds.last)
        task.cancel()
    last = stage.scaling.pools[APP].rounds.last
    assert last is not None
    assert last.parked == 1


async def test_a_reload_keeps_what_stays_and_ends_what_goes() -> None:
    """The pool's rounds go on; another actuator takes the place of the old one; off is off."""
    stage = Stage()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stage.scaling.run())
        await asyncio.sleep(0.01)
        scaler = stage.scaling.pools[APP]
        first = scaler.orders
        stage.adopt(configured("{max: 7}"), same=True)
        assert stage.scaling.pools[APP] is scaler
        assert (scaler.policy.maximum, scaler.orders is first) == (7, True)
        stage.adopt(configured("{max: 7}"))
        assert scaler.orders is not first
        stage.adopt(parse_config(PLAIN, "plain"))
        assert stage.scaling.pools == {}
        task.cancel()


async def test_claimed_loads_are_taken_where_they_choose() -> None:
    """Workers hear of them when they change, and a claim that is gone is forgotten."""
    more = ", balance: load, telemetry: {url: 'http://{host}:9/m'}"
    stage = Stage(configured(more=more))
    backends = stage.stand.backends
    stage.stand.claims.told = {A: {CPU: Reading(0.5, 1.0)}, B: {CPU: Reading(0.2, 99.0)}}
    stage.scaling.round(1.0, UTC)
    assert backends.loads == {(APP, A): pytest.approx(0.5)}
    assert backends.changed.is_set()
    stage.stand.claims.told = {}
    stage.scaling.round(6.0, UTC)
    assert backends.loads == {}
    plain = Stage()
    plain.stand.claims.told = {A: {CPU: Reading(0.5, 1.0)}}
    plain.scaling.round(1.0, UTC)
    assert plain.stand.backends.loads == {}
