"""Places: what is taken on a backend is counted there, and given back or withdrawn once."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from l4proxy.dataplane.engine import Engine
from l4proxy.snapshot import SessionRules, Snapshot
from routing import BackendIndex, Balance, Capacity, Effect, Forward, PoolName, Why
from tests.l4proxy.dataplane.loopback import Clock
from tests.l4proxy.dataplane.room import APP, Room, snapshot

ALICE, BOB = bytes([192, 0, 2, 7]), bytes([192, 0, 2, 8])
RULES = SessionRules(idle=60, reservation=10)


def sticky(*ports: int) -> Snapshot:
    """Backends whose pool reserves, and counts clients."""
    return replace(snapshot(*ports), sessions={APP: RULES})


def towards(present: Snapshot, cell: int, *effects: Effect) -> Forward:
    """A decision for a backend."""
    return Forward(APP, present.pools.pools[APP].backends[cell], Why.SELECTED, effects)


@pytest.fixture
def room(engine: Engine, clock: Clock) -> Iterator[Room]:
    """A room with two backends."""
    clock.now = 100.0
    engine.turn(0)
    made = Room(engine, sticky(1, 2))
    yield made
    made.close()


def test_a_place_counts_a_connection_and_its_session(room: Room) -> None:
    """Two connections of one client are one session, which outlives them by its idle time."""
    index = BackendIndex(1)
    forward = towards(room.snapshot, index, Effect.TAKE_SLOT)
    taken = [room.places.take(forward, ALICE) for _ in range(2)]
    assert (room.load.connections(index), room.load.sessions(index)) == (2, 1)
    for session in taken:
        room.places.give_back(session, index)
    room.places.tick()
    assert (room.load.connections(index), room.load.sessions(index)) == (0, 1)
    room.engine.now += RULES.idle
    room.places.tick()
    assert room.load.sessions(index) == 0


def test_a_place_that_is_withdrawn_was_never_taken(room: Room) -> None:
    """Neither connection nor session nor reservation is left of a dial that failed."""
    forward = towards(room.snapshot, 1, Effect.TAKE_SLOT, Effect.RESERVE)
    session = room.places.take(forward, ALICE)
    assert room.places.reserved(APP, ALICE) == "b1"
    room.places.withdraw(session, BackendIndex(1))
    assert room.places.reserved(APP, ALICE) is None
    assert (room.slots, room.load.sessions(BackendIndex(1))) == ({}, 0)


def test_a_reservation_is_the_clients_and_the_pools(room: Room) -> None:
    """Where the decision asked for it, for its time; its backend may have left by then."""
    room.places.take(towards(room.snapshot, 0, Effect.TAKE_SLOT), BOB)
    room.places.take(towards(room.snapshot, 1, Effect.TAKE_SLOT, Effect.RESERVE), ALICE)
    found = [room.places.reserved(APP, ALICE), room.places.reserved(APP, BOB)]
    assert found == ["b1", None]
    assert room.places.reserved(PoolName("other"), ALICE) is None
    room.apply(sticky(1))
    assert room.places.reserved(APP, ALICE) is None
    room.apply(sticky(1, 2))
    room.engine.now += RULES.reservation
    assert room.places.reserved(APP, ALICE) is None


@pytest.mark.parametrize(
    ("balance", "bound", "by_connections", "home"),
    [
        (Balance.AFFINITY, None, False, "b1"),
        (Balance.AFFINITY, 9, True, None),
        (Balance.LEAST_SESSIONS, None, False, None),
        (Balance.LEAST_SESSIONS, 9, False, "b1"),
        (Balance.LEAST_SESSIONS, 9, True, None),
    ],
)
def test_a_client_stays_where_its_session_is(
    room: Room, balance: Balance, bound: int | None, by_connections: bool, home: str | None
) -> None:
    """By affinity, or where sessions are bounded: its own must not count against it."""
    present = sticky(1, 2)
    pool = replace(present.pools.pools[APP], balance=balance, capacity=Capacity(bound))
    rules = replace(RULES, reservation=0.0, by_connections=by_connections)
    pools = replace(present.pools, pools={APP: pool})
    room.apply(replace(present, pools=pools, sessions={APP: rules}))
    index = BackendIndex(1)
    session = room.places.take(towards(room.snapshot, index, Effect.TAKE_SLOT), ALICE)
    assert room.places.reserved(APP, ALICE) == home
    room.places.give_back(session, index)
    room.engine.now += RULES.idle - 1
    assert room.places.reserved(APP, ALICE) == home
    room.engine.now += 1
    assert room.places.reserved(APP, ALICE) is None
