"""Held hellos: few, for a moment, and their pool is asked seldom."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from l4proxy.channel import Bounds, Channel
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.holds import MAX_HELD, ROUND_SECONDS, Holds
from l4proxy.messages import Unknown
from routing import (
    HOLD_SECONDS,
    BackendName,
    Hold,
    HoldReason,
    PoolName,
    Pools,
    TicketLayout,
    TicketName,
    TicketNames,
)
from tests.l4proxy.dataplane.loopback import Clock, quiet
from tests.l4proxy.dataplane.room import APP, BOUNDS, snapshot

OTHER = PoolName("other")
HELD_FOR = HOLD_SECONDS


class Waiter:
    """A connection whose hello waits."""

    def __init__(self, holds: Holds) -> None:
        self.decided = 0
        self.was_cut = False
        self.deadline = self.scheduled = NEVER
        self._holds = holds

    def on_deadline(self) -> None:
        """Decide."""
        self.deadline = NEVER
        self.decided += 1
        self._holds.release(self)

    def on_failure(self, error: Exception) -> None:
        """Nothing fails here."""
        raise error

    def cut(self) -> None:
        """End."""
        self.was_cut = True


class Around:
    """Holds, and the supervisor that hears of them."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.ends = socket.socketpair()
        self.supervisor = Channel(self.ends[0], BOUNDS)
        self.holds = Holds(engine, Channel(self.ends[1], BOUNDS))

    def hold(self, pool: PoolName = APP) -> Waiter | None:
        """A hello that may wait, or None."""
        found = Waiter(self.holds)
        asked = Hold(pool, HoldReason.UNKNOWN_TICKET_NAME, self.engine.now + HELD_FOR)
        return found if self.holds.hold(found, asked) else None

    def asked(self) -> list[PoolName]:
        """The pools that the supervisor was asked for since the last look."""
        return [each.pool for each in self.supervisor.receive() if isinstance(each, Unknown)]

    def let(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        quiet(self.engine, 2)


@pytest.fixture
def around(engine: Engine, clock: Clock) -> Iterator[Around]:
    """Nobody is held."""
    engine.turn(0)
    made = Around(engine, clock)
    yield made
    for end in made.ends:
        end.close()


def _pools(*names: bytes) -> Pools:
    found = TicketNames(TicketName(TicketLayout(0, 16), n, BackendName("b0")) for n in names)
    return snapshot(1, ticket_names=found).pools


def test_a_hello_waits_for_its_moment_and_no_longer(around: Around) -> None:
    """The pool is asked at once; after 150 ms the hello is decided, once."""
    waiter = around.hold()
    assert waiter is not None
    assert (around.asked(), len(around.holds)) == ([APP], 1)
    around.let(HELD_FOR - 0.01)
    assert waiter.decided == 0
    around.let(0.01)
    around.let(10)
    assert (waiter.decided, len(around.holds)) == (1, 0)


def test_a_pool_is_asked_once_in_five_seconds(around: Around) -> None:
    """While its answer is due others wait along; after that they are decided at once."""
    assert around.hold()
    around.let(HELD_FOR / 2)
    assert around.hold()
    around.let(HELD_FOR / 2)
    assert around.hold() is None
    assert around.hold(OTHER)  # which is asked on its own
    around.let(ROUND_SECONDS - HELD_FOR - 0.01)
    assert around.hold() is None
    assert around.asked() == [APP, OTHER]
    around.let(0.01)
    assert around.hold()
    assert around.asked() == [APP]


def test_no_more_wait_than_there_are_places_for(around: Around) -> None:
    """The one too many is decided at once, and a place that is left is given again."""
    waiting = [around.hold() for _ in range(MAX_HELD)]
    assert all(waiting)
    assert around.hold() is None
    around.let(HELD_FOR)
    assert len(around.holds) == 0
    assert around.asked() == [APP]


def test_new_names_of_its_pool_decide_a_hello_at_once(around: Around) -> None:
    """Whatever else is new leaves it waiting; a pool that has gone decides it too."""
    before = _pools(b"n" * 16)
    waiter = around.hold()
    assert waiter is not None
    around.holds.apply(_pools(b"n" * 16), before)
    around.let(0)
    assert waiter.decided == 0
    around.holds.apply(_pools(b"n" * 16, b"m" * 16), before)
    around.let(0)
    assert waiter.decided == 1
    gone = around.hold()
    assert gone is not None
    around.holds.apply(replace(before, table=snapshot(1).pools.table), None)
    around.let(0)
    assert gone.decided == 1


def test_a_pool_that_is_gone_is_forgotten(around: Around) -> None:
    """So that names of pools that come and go fill no table: one that is back may ask anew."""
    assert around.hold(OTHER)
    around.let(HELD_FOR + 0.01)
    assert around.hold(OTHER) is None
    around.holds.apply(_pools(), _pools())
    assert around.hold(OTHER)
    assert around.asked() == [OTHER, OTHER]


def test_the_end_of_the_process_ends_who_waits(around: Around) -> None:
    """Each is cut once, and nobody is held any more."""
    waiter = around.hold()
    assert waiter is not None
    around.holds.cut()
    assert (waiter.was_cut, len(around.holds)) == (True, 0)


@pytest.mark.parametrize("gone", [False, True])
def test_a_hello_does_not_wait_where_nobody_can_be_asked(
    engine: Engine, clock: Clock, gone: bool
) -> None:
    """With a channel that is full, or closed, nothing would come of it; no round is lost by it."""
    clock.now += 1
    engine.turn(0)
    ours, theirs = socket.socketpair()
    channel = Channel(theirs, Bounds(1_000, 1_000))
    while not gone and channel.send(Unknown(APP)):
        pass
    if gone:
        ours.close()
    holds = Holds(engine, channel)
    asked = Hold(APP, HoldReason.UNKNOWN_TICKET_NAME, engine.now + HELD_FOR)
    assert not holds.hold(Waiter(holds), asked)
    assert len(holds) == 0
    ours.close()
    theirs.close()
