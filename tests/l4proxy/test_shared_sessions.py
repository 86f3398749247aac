"""What workers tell each other of their clients' sessions."""

import os
from collections.abc import Iterator

import pytest

from l4proxy.shared_sessions import (
    FOREVER,
    NEIGHBOURS,
    SHARED_SESSIONS,
    SharedSession,
    SharedSessions,
    create_sessions,
)
from routing import BackendIndex, PoolName

ROWS = 3
APP = PoolName("app")
SESSION = SharedSession(BackendIndex(7), True, FOREVER, BackendIndex(9), 500)


def tell(worker: SharedSessions, slot: int, key: int, session: SharedSession = SESSION) -> None:
    """Write all of a session."""
    worker.write_reservation(slot, session.reserved, session.reserved_until)
    worker.write_end(slot, session.ends)
    worker.write(slot, key, session.backend, counted=session.counted)


@pytest.fixture
def memory() -> Iterator[int]:
    """The descriptor of fresh segments."""
    descriptor = create_sessions(ROWS)
    yield descriptor
    os.close(descriptor)


def test_what_one_worker_writes_the_others_read(memory: int) -> None:
    """Every field arrives, with whose it is; the writer itself is not among the others."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    slot = first.claim(key)
    assert slot is not None
    tell(first, slot, key)
    assert second.elsewhere(key, now=10) == [(0, SESSION)]
    assert first.elsewhere(key, now=10) == []


def test_a_count_given_up_is_told(memory: int) -> None:
    """Backend 0 too can be there without being counted."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    slot = first.claim(key)
    assert slot is not None
    uncounted = SESSION._replace(backend=BackendIndex(0), counted=False)
    tell(first, slot, key, uncounted)
    assert second.elsewhere(key, now=10) == [(0, uncounted)]


def test_what_is_over_is_not_read(memory: int) -> None:
    """A session is read until both its end and its reservation's are past."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    slot = first.claim(key)
    assert slot is not None
    tell(first, slot, key, SESSION._replace(ends=20, reserved_until=30))
    assert second.elsewhere(key, now=29)
    assert not second.elsewhere(key, now=30)
    first.write_end(slot, 40)
    assert second.elsewhere(key, now=30)
    first.free(slot)
    assert not second.elsewhere(key, now=30)


def test_a_full_neighbourhood_takes_nobody_and_drops_nobody(memory: int) -> None:
    """Where all neighbours are taken a session is not shared, and the others stay."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    keys = [1 + n * (SHARED_SESSIONS - NEIGHBOURS) for n in range(NEIGHBOURS + 1)]
    for key in keys[:-1]:
        slot = first.claim(key)
        assert slot is not None
        tell(first, slot, key)
    assert first.claim(keys[-1]) is None
    assert all(second.elsewhere(key, now=0) for key in keys[:-1])


def test_a_successor_forgets_what_its_row_held(memory: int) -> None:
    """After `clear` nothing of that worker is read, and everything of the others."""
    workers = [SharedSessions(memory, ROWS, row) for row in range(ROWS)]
    key = workers[0].key_of(APP, b"client")
    for worker in workers:
        slot = worker.claim(key)
        assert slot is not None
        tell(worker, slot, key)
    workers[1].clear()
    assert len(workers[0].elsewhere(key, now=0)) == 1
    assert len(workers[1].elsewhere(key, now=0)) == 2


def test_keys_are_the_same_in_all_workers_and_secret_outside(memory: int) -> None:
    """Workers of one balancer agree on keys; another balancer has others; pools do not mix."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    assert first.key_of(APP, b"client") == second.key_of(APP, b"client")
    assert first.key_of(APP, b"client") != first.key_of(PoolName("api"), b"client")
    elsewhere = create_sessions(1)
    assert SharedSessions(elsewhere, 1, 0).key_of(APP, b"client") != first.key_of(APP, b"client")
    os.close(elsewhere)


def test_one_of_two_that_count_gives_way(memory: int) -> None:
    """Of any two workers exactly one outranks the other."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    for worker in (first, second):
        slot = worker.claim(key)
        assert slot is not None
        tell(worker, slot, key)
    ((of_second, _),) = first.elsewhere(key, now=0)
    ((of_first, _),) = second.elsewhere(key, now=0)
    assert second.outranks(of_first)
    assert not first.outranks(of_second)


def test_a_lone_worker_has_nobody_to_ask() -> None:
    """With one row there are no others."""
    descriptor = create_sessions(1)
    alone = SharedSessions(descriptor, 1, 0)
    assert alone.alone
    assert alone.elsewhere(alone.key_of(APP, b"client"), now=0) == []
    os.close(descriptor)
