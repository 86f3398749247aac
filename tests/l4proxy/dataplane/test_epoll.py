"""The kernel's list of ready descriptors: what Python's own says, its twin in C says too."""

import errno
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane import epoll as pure
from tests.l4proxy.dataplane.loopback import open_descriptors
from tests.l4proxy.dataplane.twins import IN_C, PURE, Call, built

IN, OUT, EDGE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLET
TO_THE_END = 10
"""Seconds that a wait may take which something else ends."""


class Epoll(Protocol):
    """What both twins promise."""

    def register(self, fd: int, events: int, /) -> None:
        """Tell of these events of a descriptor."""

    def modify(self, fd: int, events: int, /) -> None:
        """Tell of these instead."""

    def unregister(self, fd: int, /) -> None:
        """Tell no more of a descriptor."""

    def poll(self, timeout: float, most: int, /) -> list[tuple[int, int]]:
        """Wait at most so many seconds; return at most so many descriptors with their events."""

    def close(self) -> None:
        """Close it."""

    def fileno(self) -> int:
        """Return the descriptor."""


Make = Callable[[], Epoll]


@pytest.fixture(scope="module", params=[PURE, IN_C])
def make(request: pytest.FixtureRequest) -> Make:
    """One of the twins."""
    if request.param == PURE:
        return pure.epoll
    return cast("Make", built("epoll").epoll)


@pytest.fixture
def epoll(make: Make) -> Iterator[Epoll]:
    """An instance, closed in the end."""
    with closing(make()) as made:
        yield made


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


Ends = tuple[socket.socket, socket.socket]


def test_it_tells_what_is_ready(epoll: Epoll, ends: Ends) -> None:
    """Descriptors and events come as asked for: by `register`, `modify`, no more after the end."""
    fd = ends[0].fileno()
    epoll.register(fd, IN)
    assert epoll.poll(0, 1) == []
    ends[1].send(b"x")
    assert epoll.poll(-1, 1) == [(fd, IN)]
    epoll.modify(fd, OUT)
    assert epoll.poll(TO_THE_END, 1) == [(fd, OUT)]
    epoll.unregister(fd)
    assert epoll.poll(0, 1) == []


def test_an_edge_is_told_once(epoll: Epoll, ends: Ends) -> None:
    """EPOLLET, bit 31, arrives at the kernel; `modify` tells afresh."""
    fd = ends[0].fileno()
    epoll.register(fd, IN | OUT | EDGE)
    assert epoll.poll(0, 8) == [(fd, OUT)]
    assert epoll.poll(0, 8) == []
    epoll.modify(fd, OUT | EDGE)
    assert epoll.poll(0, 8) == [(fd, OUT)]


def test_events_are_those_of_pythons_own(epoll: Epoll) -> None:
    """Data, an end, a break and urgent data are told as `select.epoll` tells them."""
    interest = IN | OUT | select.EPOLLPRI | select.EPOLLRDHUP
    with closing(select.epoll()) as known, socket.create_server(("127.0.0.1", 0)) as server:
        socks = []
        acts: tuple[Callable[[socket.socket], object], ...] = (
            lambda sock: sock.send(b"x"),
            lambda sock: sock.shutdown(socket.SHUT_WR),
            lambda sock: sock.send(b"!", socket.MSG_OOB),
            lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + [0] * 7)),
        )
        for act in acts:
            far = socket.create_connection(server.getsockname())
            near, _ = server.accept()
            epoll.register(near.fileno(), interest)
            known.register(near.fileno(), interest)
            act(far)
            socks += [near, far]
        socks[-1].close()
        assert sorted(epoll.poll(0, 9)) == sorted(known.poll(0, 9))
        for sock in socks:
            sock.close()


def test_no_more_are_told_than_asked_for(epoll: Epoll) -> None:
    """`maxevents` bounds an answer, and the next one tells of the others."""
    pairs = [socket.socketpair() for _ in range(5)]
    for one, _ in pairs:
        epoll.register(one.fileno(), OUT)
    told = [fd for most in (2, 2, 1) for fd, _ in epoll.poll(0, most)]
    assert sorted(told) == sorted(one.fileno() for one, _ in pairs)
    assert len(epoll.poll(0, 1024)) == 5
    for pair in pairs:
        for sock in pair:
            sock.close()


@pytest.mark.parametrize("seconds", [0.0001, 0.0011, 0.0029])
def test_a_wait_is_never_short(epoll: Epoll, seconds: float) -> None:
    """A timeout is rounded up: when nothing came the deadline has passed."""
    begun = time.monotonic()
    assert epoll.poll(seconds, 1) == []
    assert time.monotonic() - begun >= seconds


def test_a_signal_ends_no_wait_with_an_error(epoll: Epoll) -> None:
    """The handler runs during the wait, and nothing is ready."""
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: heard.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert epoll.poll(0.1, 1) == []
        while not heard:
            assert epoll.poll(0.1, 1) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard == [signal.SIGALRM]


def test_a_handler_may_end_the_wait(epoll: Epoll) -> None:
    """What the handler of a signal raises comes out of the wait."""

    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(InterruptedError):
            epoll.poll(TO_THE_END, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_the_kernel_refuses_is_an_oserror(epoll: Epoll, ends: Ends) -> None:
    """Twice is EEXIST, unknown ENOENT, closed EBADF, and a file that cannot be watched EPERM."""
    fd = ends[0].fileno()
    epoll.register(fd, IN)
    _expect(errno.EEXIST, lambda: epoll.register(fd, IN))
    other = ends[1].fileno()
    _expect(errno.ENOENT, lambda: epoll.modify(other, IN))
    _expect(errno.ENOENT, lambda: epoll.unregister(other))
    number = os.dup(other)
    os.close(number)
    _expect(errno.EBADF, lambda: epoll.register(number, IN))
    with Path(__file__).open("rb") as file:
        _expect(errno.EPERM, lambda: epoll.register(file.fileno(), IN))


def _expect(code: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as found:  # noqa: PT011 - its errno is looked at
        call()
    assert found.value.errno == code


def test_a_closed_one_serves_nobody(epoll: Epoll, ends: Ends) -> None:
    """Closing twice is fine, and every use of it after that an error of its own."""
    epoll.close()
    epoll.close()
    fd = ends[0].fileno()
    calls: list[Callable[[], object]] = [
        lambda: epoll.register(fd, IN),
        lambda: epoll.modify(fd, IN),
        lambda: epoll.unregister(fd),
        lambda: epoll.poll(0, 1),
    ]
    for call in calls:
        with pytest.raises((OSError, ValueError)) as found:  # Python's own says ValueError
            call()
        assert getattr(found.value, "errno", errno.EBADF) == errno.EBADF


def test_no_program_that_is_started_inherits_it(epoll: Epoll) -> None:
    """Its descriptor is close-on-exec."""
    assert fcntl.fcntl(epoll.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_a_dropped_one_leaves_no_descriptor(make: Make) -> None:
    """Nobody need close it."""
    make()
    before = open_descriptors()
    for _ in range(20):
        make().fileno()
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "arguments",
    [(), (1,), (0, 1, 2), (None, None), ("0", 1), (0, "1"), (0, 0), (0, 2**70), (2**1030, 1)],
)
def test_a_wait_that_makes_no_sense_is_refused(epoll: Epoll, arguments: tuple[object, ...]) -> None:
    """Too few or too many arguments, and such as are no numbers or none that fit."""
    if isinstance(epoll, select.epoll) and arguments in {(), (1,), (None, None)}:
        pytest.skip("Python's own waits without arguments, too")
    poll = cast("Call", epoll.poll)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        poll(*arguments)


class _Index:
    """A number whose asking runs code."""

    def __index__(self) -> int:
        return 1


_ODD = st.one_of(
    st.none(),
    st.just(_Index()),
    st.text(max_size=2),
    st.sampled_from([0.0, 0.5, float("nan"), float("inf")]),
    st.integers(-(2**70), 2**70).filter(lambda value: value not in range(1_000)),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63, -(2**31) - 1, 10**400]),
)


@given(call=st.sampled_from(["register", "modify", "unregister"]), odd=st.lists(_ODD, max_size=4))
def test_odd_arguments_of_changes_raise_what_they_deserve(
    make: Make, call: str, odd: list[object]
) -> None:
    """Whatever is handed over, the answer is one of the errors that Python has for it."""
    with closing(make()) as epoll, suppress(TypeError, ValueError, OverflowError, OSError):
        cast("Call", getattr(epoll, call))(*odd)


_DESERVED = (TypeError, ValueError, OverflowError, OSError, MemoryError)


@given(odd=st.lists(_ODD, min_size=1, max_size=4))
def test_odd_arguments_of_a_wait_raise_what_they_deserve(make: Make, odd: list[object]) -> None:
    """The same for the wait, which is never for ever: the timeout is 0, or is none."""
    timeout = odd[0] if isinstance(odd[0], str) or odd[0] != odd[0] else 0.0
    with closing(make()) as epoll, suppress(*_DESERVED):
        cast("Call", epoll.poll)(timeout, *odd[1:])


def test_nothing_is_lost_by_and_by(epoll: Epoll, ends: Ends) -> None:
    """After thousands of calls and errors no reference is left behind or given up too often."""
    fd, events, timeout, most = 10**6 + ends[0].fileno(), 2**20, 1e-9, 10**3
    held: list[object] = [fd, events, timeout, most]
    kept = ends[0].fileno()
    epoll.register(kept, OUT)
    before = [sys.getrefcount(each) for each in held]
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(10_000):
        assert epoll.poll(timeout, most)[0][0] == kept
        with suppress(OSError):
            epoll.register(fd, events)
    assert [sys.getrefcount(each) for each in held] == before
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 1_000
