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
SEVEN, NINE = BackendIndex(7), BackendIndex(9)
SESSION = SharedSession(SEVEN, FOREVER, NINE, 500, counted=True)


def told(heard: list[tuple[int, SharedSession]]) -> list[tuple[int, list[int]]]:
    """Who says it, and what each field of it is."""
    return [
        (segment, [said.backend, said.counted, said.ends, said.reserved, said.reserved_until])
        for segment, said in heard
    ]


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
    first.write(slot, key, SESSION)
    assert told(second.elsewhere(key, now=10)) == [(0, [7, True, FOREVER, 9, 500])]
    assert first.elsewhere(key, now=10) == []


def test_a_count_given_up_is_told(memory: int) -> None:
    """Backend 0 too can be there without being counted."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    slot = first.claim(key)
    assert slot is not None
    uncounted = SharedSession(BackendIndex(0), FOREVER, NINE, 500, counted=False)
    first.write(slot, key, uncounted)
    assert told(second.elsewhere(key, now=10)) == [(0, [0, False, FOREVER, 9, 500])]


def test_what_is_over_is_not_read(memory: int) -> None:
    """A session is read until both its end and its reservation's are past."""
    first, second = SharedSessions(memory, ROWS, 0), SharedSessions(memory, ROWS, 1)
    key = first.key_of(APP, b"client")
    slot = first.claim(key)
    assert slot is not None
    first.write(slot, key, SharedSession(SEVEN, 20, NINE, 30, counted=True))
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
        first.write(slot, key, SESSION)
    assert first.claim(keys[-1]) is None
    assert all(second.elsewhere(key, now=0) for key in keys[:-1])


def test_a_successor_forgets_what_its_row_held(memory: int) -> None:
    """After `clear` nothing of that worker is read, and everything of the others."""
    workers = [SharedSessions(memory, ROWS, row) for row in range(ROWS)]
    key = workers[0].key_of(APP, b"client")
    for worker in workers:
        slot = worker.claim(key)
        assert slot is not None
        worker.write(slot, key, SESSION)
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
        worker.write(slot, key, SESSION)
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
