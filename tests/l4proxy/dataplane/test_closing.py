"""Closing: at the end of a drain gradually, after a lie at once, and nobody else's relays."""

from dataclasses import replace
from itertools import pairwise

import pytest

from l4proxy.dataplane.closing import CLOSING_SECONDS, CLOSING_STEP_SECONDS, Closing
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.relay import Ending
from routing import Backend, BackendIndex, Pool, Pools
from tests.l4proxy.dataplane.loopback import Clock, quiet
from tests.l4proxy.dataplane.room import APP, snapshot

DRAINED, OTHER = BackendIndex(0), BackendIndex(1)


class Relay:
    """A relay that notes its end."""

    def __init__(self, closing: Closing, index: BackendIndex, error: Exception | None) -> None:
        self.ending: Ending | None = None
        self.failure: Exception | None = None
        self._closing = closing
        self._index = index
        self._error = error

    def close(self, ending: Ending) -> None:
        """End, or fail."""
        if self._error is not None:
            raise self._error
        self.ending = ending
        self._closing.ended(self._index, self)

    def on_failure(self, error: Exception) -> None:
        """Note the error."""
        self.failure = error
        self._closing.ended(self._index, self)


class Around:
    """A closing, its relays, and time."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.closing = Closing(engine)
        self.relays: list[Relay] = []

    def open(
        self, count: int, index: BackendIndex = DRAINED, error: Exception | None = None
    ) -> None:
        """So many relays more."""
        for _ in range(count):
            relay = Relay(self.closing, index, error)
            self.relays.append(relay)
            self.closing.opened(index, relay)

    def apply(self, **marks: float | bool | None) -> None:
        """The first of two backends has these marks from now on."""
        pool = snapshot(1, 2).pools.pools[APP]
        first: Backend = replace(pool.backends[0], **marks)  # type: ignore[arg-type]  # by name
        members: Pool = replace(pool, backends=(first, *pool.backends[1:]))
        self.closing.apply(Pools(snapshot(1).pools.table, {APP: members}))
        quiet(self.engine, 2)

    def let(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        quiet(self.engine, 2)

    @property
    def endings(self) -> list[Ending]:
        """How those have ended that have."""
        return [relay.ending for relay in self.relays if relay.ending is not None]


@pytest.fixture
def around(engine: Engine, clock: Clock) -> Around:
    """No relays."""
    engine.turn(0)
    return Around(engine, clock)


def test_what_is_left_of_a_drain_is_closed_evenly(around: Around) -> None:
    """Nothing before the deadline, then a share with each step, all within ten seconds."""
    around.open(300)
    around.open(1, OTHER)
    around.apply(draining=True, drain_deadline=around.clock.now + 60)
    around.let(59.9)
    assert around.endings == []
    around.let(0.1)
    found = []
    for _ in range(round(CLOSING_SECONDS / CLOSING_STEP_SECONDS) + 1):
        found.append(len(around.endings))
        around.let(CLOSING_STEP_SECONDS)
    steps = [after - before for before, after in pairwise(found)]
    assert max(steps) <= 4
    assert around.endings == [Ending.DRAINED] * 300
    around.let(60)
    assert len(around.endings) == 300


def test_a_drain_without_a_deadline_closes_nothing(around: Around) -> None:
    """Nor does a deadline without a drain."""
    around.open(3)
    around.apply(draining=True)
    around.let(3_600)
    around.apply(drain_deadline=around.clock.now)
    around.let(3_600)
    assert around.endings == []


def test_a_drain_that_is_called_off_closes_nothing(around: Around) -> None:
    """What has been closed by then stays closed."""
    around.open(300)
    around.apply(draining=True, drain_deadline=around.clock.now)
    around.let(CLOSING_STEP_SECONDS)
    closed = len(around.endings)
    assert 0 < closed < 300
    around.apply()
    around.let(3_600)
    assert len(around.endings) == closed


def test_a_backend_that_lied_loses_everything_at_once(around: Around) -> None:
    """In the very turn in which that is known; a dial under way is closed as it becomes a relay."""
    around.open(300)
    around.open(1, OTHER)
    around.apply(refuted=True)
    assert around.endings == [Ending.UNTRUSTED] * 300
    around.open(1)
    around.let(0)
    assert around.endings == [Ending.UNTRUSTED] * 301


def test_trust_that_has_expired_closes_nothing(around: Around) -> None:
    """Nothing was found untrue; a drain says how long what runs may stay."""
    around.open(3)
    around.apply(trusted=False)
    around.let(3_600)
    assert around.endings == []


def test_a_dial_that_outlives_a_drain_is_closed_as_it_becomes_a_relay(around: Around) -> None:
    """Though nobody was left whose closing would have waited for a next step."""
    around.apply(draining=True, drain_deadline=around.clock.now)
    around.let(CLOSING_SECONDS)
    around.open(2)
    around.let(0)
    assert around.endings == [Ending.DRAINED] * 2


def test_a_relay_that_fails_to_close_stops_no_other(around: Around) -> None:
    """It hears of its own error."""
    error = RuntimeError("a bug")
    around.open(1, error=error)
    around.open(2)
    around.apply(refuted=True)
    assert around.relays[0].failure is error
    assert around.endings == [Ending.UNTRUSTED] * 2


def test_an_error_of_closing_itself_ends_the_worker(around: Around) -> None:
    """It is a bug of ours, and must be seen."""
    with pytest.raises(RuntimeError, match="a bug"):
        around.closing.on_failure(RuntimeError("a bug"))
