"""What a session is, and who counts it."""

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.dataplane import sessions as module
from l4proxy.dataplane.sessions import Session, Sessions, client_key
from l4proxy.shared_load import SharedLoad, create
from l4proxy.shared_sessions import SharedSessions, create_sessions
from l4proxy.snapshot import SessionRules
from routing import BackendIndex, PoolName

APP = PoolName("app")
A, B = BackendIndex(3), BackendIndex(4)
RULES = SessionRules(idle=60, reservation=10)
ALICE, BOB = b"\x7f\0\0\1", b"\x7f\0\0\2"


@dataclass
class Balancer:
    """Some workers that share a load table and sessions."""

    workers: int
    load: SharedLoad = field(init=False)
    sessions: list[Sessions] = field(init=False)

    def __post_init__(self) -> None:
        load_memory, memory = create(self.workers), create_sessions(self.workers)
        self.load = SharedLoad(load_memory, self.workers)
        self.sessions = [
            Sessions(self.load.sessions_row(row), SharedSessions(memory, self.workers, row))
            for row in range(self.workers)
        ]
        os.close(load_memory)
        os.close(memory)

    def tick(self, now: float) -> None:
        """Let every worker do its housekeeping."""
        for worker in self.sessions:
            worker.tick(now)


def begin(
    worker: Sessions,
    client: bytes = ALICE,
    backend: BackendIndex = A,
    rules: SessionRules = RULES,
    now: float = 100.0,
) -> Session:
    """Begin a connection that was selected anew."""
    return worker.begin(worker.apply({APP: rules})[APP], client, backend, now, reserve=True)


def reservation(
    worker: Sessions, client: bytes, now: float, *, homing: bool = False
) -> BackendIndex | None:
    """Where the client's next new connection should go."""
    pool = worker.apply({APP: RULES})[APP]
    pool.homing = homing
    return worker.reservation(pool, client, now)


@pytest.fixture(params=[1, 2])
def balancer(request: pytest.FixtureRequest) -> Balancer:
    """One worker alone, and two."""
    workers: int = request.param
    return Balancer(workers)


@pytest.fixture
def two() -> Balancer:
    """Two workers."""
    return Balancer(2)


def test_a_client_is_one_session_however_many_connections(balancer: Balancer) -> None:
    """Two clients with three connections are two sessions, until long after the last has ended."""
    worker = balancer.sessions[0]
    open_now = [begin(worker), begin(worker), begin(worker, BOB)]
    assert balancer.load.sessions(A) == 2
    for session in open_now:
        worker.end(session, A, 110.0)
    balancer.tick(169.9)
    assert balancer.load.sessions(A) == 2
    balancer.tick(170.0)
    assert balancer.load.sessions(A) == 0
    assert len(worker) == 0


def test_a_session_that_comes_back_goes_on(balancer: Balancer) -> None:
    """The pause counts from the end of the last connection."""
    worker = balancer.sessions[0]
    worker.end(begin(worker), A, 110.0)
    again = begin(worker, now=165.0)
    balancer.tick(180.0)
    worker.end(again, A, 200.0)
    balancer.tick(259.0)
    assert balancer.load.sessions(A) == 1
    balancer.tick(260.0)
    assert balancer.load.sessions(A) == 0


def test_a_session_counts_where_the_client_was_sent_last(balancer: Balancer) -> None:
    """One that moves is counted at its new backend only."""
    worker = balancer.sessions[0]
    first = begin(worker)
    second = begin(worker, backend=B)
    assert (balancer.load.sessions(A), balancer.load.sessions(B)) == (0, 1)
    worker.end(first, A, 101.0)
    worker.end(second, B, 102.0)
    balancer.tick(162.0)
    assert (balancer.load.sessions(A), balancer.load.sessions(B)) == (0, 0)


def test_two_workers_count_one_client_once(two: Balancer) -> None:
    """The second worker takes over the count when the first has nothing open any more."""
    first, second = two.sessions
    mine, theirs = begin(first), begin(second)
    assert two.load.sessions(A) == 1
    first.end(mine, A, 101.0)
    two.tick(161.0)
    assert two.load.sessions(A) == 1
    second.end(theirs, A, 162.0)
    two.tick(222.0)
    assert two.load.sessions(A) == 0


def test_two_that_began_at_once_count_one_a_moment_later(two: Balancer) -> None:
    """Where neither saw the other, one of them gives way at its next tick."""
    first, second = two.sessions
    mine = begin(first)
    first.withdraw(mine, A, 100.0)
    theirs = begin(second)
    mine = begin(first)
    assert two.load.sessions(A) == 1
    # As if both had looked before either wrote:
    mine.counted = True
    first._cells.more(A)  # noqa: SLF001 - the race itself cannot be timed
    first._tell(mine)  # noqa: SLF001 - as above
    assert two.load.sessions(A) == 2
    two.tick(101.0)
    two.tick(102.0)
    assert two.load.sessions(A) == 1
    assert mine.counted is not theirs.counted


def test_a_reservation_is_seen_by_all_workers(two: Balancer) -> None:
    """For its seconds, by the worker that made it and by the others; by other clients never."""
    first, second = two.sessions
    begin(first)
    for worker in (first, second):
        assert reservation(worker, ALICE, now=109.0) == A
        assert reservation(worker, ALICE, now=110.5) is None
        assert reservation(worker, BOB, now=101.0) is None


def test_a_token_makes_no_reservation(balancer: Balancer) -> None:
    """Whoever is sent by a ticket has no part in where the network's new clients go."""
    worker = balancer.sessions[0]
    pool = worker.apply({APP: RULES})[APP]
    worker.begin(pool, ALICE, A, 100.0, reserve=False)
    assert reservation(worker, ALICE, now=101.0) is None


def test_a_failed_dial_leaves_nothing(balancer: Balancer) -> None:
    """Neither session nor reservation; but what was there before stays."""
    worker = balancer.sessions[0]
    worker.withdraw(begin(worker), A, 100.5)
    assert balancer.load.sessions(A) == 0
    assert reservation(worker, ALICE, now=101.0) is None
    stays = begin(worker, now=101.0)
    worker.withdraw(begin(worker, now=102.0), A, 102.5)
    assert balancer.load.sessions(A) == 1
    worker.end(stays, A, 103.0)
    balancer.tick(104.0)
    assert balancer.load.sessions(A) == 1


def test_a_pool_may_count_connections(balancer: Balancer) -> None:
    """Then each is a session while it is open, and reservations hold all the same."""
    worker = balancer.sessions[0]
    rules = SessionRules(idle=60, reservation=10, by_connections=True)
    one, other = begin(worker, rules=rules), begin(worker, rules=rules)
    assert balancer.load.sessions(A) == 2
    assert reservation(worker, ALICE, now=101.0) == A
    worker.end(one, A, 101.0)
    worker.end(other, A, 101.0)
    assert balancer.load.sessions(A) == 0
    balancer.tick(161.0)
    assert len(worker) == 0


def test_a_full_table_forgets_nobody(balancer: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for whom there is no room counts while it is connected; the others stay."""
    monkeypatch.setattr(module, "MOST_SESSIONS", 1)
    worker = balancer.sessions[0]
    alice, bob = begin(worker), begin(worker, BOB)
    assert balancer.load.sessions(A) == 2
    assert reservation(worker, BOB, now=101.0) is None
    worker.end(bob, A, 101.0)
    assert balancer.load.sessions(A) == 1
    worker.end(alice, A, 101.0)
    assert balancer.load.sessions(A) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([ALICE, BOB]), st.sampled_from([A, B])),
        max_size=30,
    )
)
def test_counts_come_back_to_zero(
    steps: list[tuple[int, bytes, BackendIndex]],
) -> None:
    """Whatever begins, moves and ends in whichever worker, nothing is left of it in the end."""
    balancer = Balancer(2)
    now = 100.0
    running: list[tuple[Sessions, Session, BackendIndex]] = []
    for number, client, backend in steps:
        now += 7.0
        worker = balancer.sessions[number]
        running.append((worker, begin(worker, client, backend, now=now), backend))
        if len(running) > 3:
            ended, session, at = running.pop(0)
            ended.end(session, at, now)
        balancer.tick(now)
        assert 0 <= balancer.load.sessions(A) + balancer.load.sessions(B) <= 4
    for worker, session, at in running:
        worker.end(session, at, now)
    balancer.tick(now + 61.0)
    balancer.tick(now + 62.0)
    assert balancer.load.sessions(A) == balancer.load.sessions(B) == 0
    assert [len(worker) for worker in balancer.sessions] == [0, 0]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (b"\x7f\0\0\1", b"\x7f\0\0\1"),
        (bytes(10) + b"\xff\xff\x7f\0\0\1", b"\x7f\0\0\1"),
        (bytes(range(16)), bytes(range(8))),
        (b"unix", b"unix"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_link(address: bytes, key: bytes) -> None:
    """Addresses within a /64 are one host's to choose, so they are one client."""
    assert client_key(address) == key


def test_a_client_is_at_home_with_whichever_worker_has_its_session(two: Balancer) -> None:
    """A reservation comes first; without either it is nowhere."""
    first, second = two.sessions
    pool = first.apply({APP: SessionRules(idle=60)})[APP]
    session = first.begin(pool, ALICE, A, 100.0, reserve=False)
    assert reservation(second, ALICE, 100.0) is None
    assert [reservation(each, ALICE, 100.0, homing=True) for each in two.sessions] == [A, A]
    first.end(session, A, 110.0)
    assert reservation(second, ALICE, 169.0, homing=True) == A
    late = [reservation(each, ALICE, 170.1, homing=True) for each in two.sessions]
    assert late == [None, None]
    begin(second, backend=B, now=120.0)
    assert reservation(first, BOB, 120.0, homing=True) is None
    assert reservation(second, ALICE, 120.0, homing=True) == B


def test_a_session_is_looked_at_again_once_however_it_moves(two: Balancer) -> None:
    """Two tickets used in turn cost a worker one place in its queue, not one each time."""
    first, second = two.sessions
    held = [begin(first), begin(first, backend=B)]
    for number in range(100):
        now = 100.0 + number / 100
        backend = (A, B)[number % 2]
        second.end(begin(second, backend=backend, now=now), backend, now)
    assert len(second._uncounted) <= 1  # noqa: SLF001 - its length is the promise
    for session, backend in zip(held, (A, B), strict=True):
        first.end(session, backend, 102.0)


def test_a_pool_that_is_gone_keeps_its_sessions(balancer: Balancer) -> None:
    """They end when they would have, and are found again if the pool comes back before."""
    worker = balancer.sessions[0]
    session = begin(worker)
    worker.apply({})
    worker.end(session, A, 110.0)
    balancer.tick(111.0)
    assert balancer.load.sessions(A) == 1
    assert begin(worker, now=120.0) is session
    worker.apply({})
    worker.end(session, A, 130.0)
    balancer.tick(190.0)
    assert balancer.load.sessions(A) == 0
    assert begin(worker, now=200.0) is not session


def test_what_is_withdrawn_is_not_looked_at_again(balancer: Balancer) -> None:
    """Clients that never say more than hello leave nothing, however many come in a second."""
    worker = balancer.sessions[0]
    for _ in range(3):
        worker.withdraw(begin(worker), A, 100.0)
    assert len(worker) == 0
    assert not worker._due  # noqa: SLF001 - that it is bounded is the promise
