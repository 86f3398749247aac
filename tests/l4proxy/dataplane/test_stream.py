"""Streams: what the pure module promises, its twin in C keeps."""

import errno
import fcntl
import gc
import os
import select
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane import stream as pure
from l4proxy.dataplane.stream import Stream
from tests.l4proxy.dataplane.loopback import Peer, open_descriptors
from tests.l4proxy.dataplane.twins import IN_C, PURE, Call, built
from tests.ports import free_port

NOW = socket.MSG_DONTWAIT
SEND = NOW | socket.MSG_NOSIGNAL
LOCALS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Twin(Protocol):
    """What both modules hold."""

    NotTaken: type[Exception]

    def accept(self, listener: socket.socket, /) -> tuple[Stream, bytes, int]:
        """Accept a client."""

    def unconnected(self, family: int, /) -> Stream:
        """Make a stream."""

    def copy(self, source: object, sink: object, buffer: memoryview, /) -> int:
        """Read and send."""


Joined = tuple[Stream, socket.socket]


@pytest.fixture(scope="module", params=[PURE, IN_C])
def twin(request: pytest.FixtureRequest) -> Twin:
    """One of the twins."""
    if request.param == PURE:
        return cast("Twin", pure)
    return cast("Twin", built("stream"))


@pytest.fixture
def join(twin: Twin) -> Iterator[Callable[[], Joined]]:
    """Make accepted streams, each with its client."""
    made: list[Stream | socket.socket] = []

    def join() -> Joined:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            stream, _, _ = twin.accept(server)
        made.extend([stream, client])
        client.settimeout(10)
        return stream, client

    yield join
    for each in made:
        each.close()


Join = Callable[[], Joined]


def _wait(sock: Stream, events: int = select.POLLIN) -> None:
    poll = select.poll()
    poll.register(sock.fileno(), events)
    assert poll.poll(10_000)


def _expect(code: int, call: Callable[[], object]) -> None:
    with pytest.raises(OSError) as found:  # noqa: PT011 - its errno is looked at
        call()
    assert found.value.errno == code


def _filled(stream: Stream) -> None:
    with suppress(BlockingIOError):
        while True:
            stream.send(bytes(65_536), SEND)


@pytest.mark.parametrize("family", LOCALS)
def test_accept_tells_who_comes(twin: Twin, family: socket.AddressFamily) -> None:
    """The client's stream, its packed address and port; nobody is an error that does not wait."""
    with socket.create_server((LOCALS[family], 0), family=family) as server:
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            twin.accept(server)
        with socket.create_connection(server.getsockname()[:2]) as client:
            stream, address, port = twin.accept(server)
            with closing(stream):
                assert address == socket.inet_pton(family, LOCALS[family])
                assert port == client.getsockname()[1]
                assert stream.family == family
                assert fcntl.fcntl(stream.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    _expect(errno.EBADF, lambda: twin.accept(server))


def test_bytes_go_both_ways_and_nothing_waits(join: Join) -> None:
    """`recv`, `recv_into` and `send` take what is there, and say so when nothing is."""
    stream, client = join()
    buffer = bytearray(8)
    for call in (lambda: stream.recv(9, NOW), lambda: stream.recv_into(buffer, 0, NOW)):
        with pytest.raises(BlockingIOError):
            call()
    client.sendall(b"abcdef")
    _wait(stream)
    assert stream.recv(2, NOW) == b"ab"
    assert stream.recv_into(buffer, 1, NOW) == 1
    assert stream.recv_into(memoryview(buffer)[2:], 0, NOW) == 3
    assert buffer == b"c\0def\0\0\0"
    assert stream.send(memoryview(b"answer"), SEND) == 6
    assert client.recv(9) == b"answer"
    client.shutdown(socket.SHUT_WR)
    _wait(stream)
    assert stream.recv(9, NOW) == b""
    assert stream.recv_into(buffer, 0, NOW) == 0
    _filled(stream)
    with pytest.raises(BlockingIOError):
        stream.send(b"x", SEND)


def test_what_does_not_fit_is_refused(join: Join) -> None:
    """No byte is written beside a buffer, nor into one that only may be read."""
    stream, client = join()
    client.sendall(b"abc")
    _wait(stream)
    for nbytes in (-1, 5, 2**31):
        with pytest.raises(ValueError, match=r"nbytes|buffer|negative"):
            stream.recv_into(bytearray(4), nbytes, NOW)
    with pytest.raises((TypeError, BufferError)):
        stream.recv_into(memoryview(b"only read"), 0, NOW)
    with pytest.raises((TypeError, BufferError)):
        stream.recv_into(memoryview(bytearray(8))[::2], 0, NOW)
    with pytest.raises(ValueError, match=r"buff?er|bufsize"):
        stream.recv(-1, NOW)
    assert stream.recv(9, NOW) == b"abc"


def test_breaks_are_errors_and_no_signal(join: Join) -> None:
    """A reset is a ConnectionResetError, a send after it a BrokenPipeError."""
    stream, client = join()
    Peer(client).reset()
    _wait(stream)
    with pytest.raises(ConnectionResetError):
        stream.recv(9, NOW)
    with pytest.raises(BrokenPipeError):
        stream.send(b"x", SEND)


@pytest.mark.parametrize("family", LOCALS)
def test_connecting_begins_and_tells_how(twin: Twin, family: socket.AddressFamily) -> None:
    """0 or EINPROGRESS where somebody listens; ECONNREFUSED at once or as the socket's error."""
    with socket.create_server((LOCALS[family], 0), family=family) as server:
        name = server.getsockname()[:2]
        with closing(twin.unconnected(family)) as stream:
            assert stream.connect_ex(name) in {0, errno.EINPROGRESS}
            _wait(stream, select.POLLOUT)
            assert not any(stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 4))
            assert fcntl.fcntl(stream.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
    with closing(twin.unconnected(socket.AF_INET)) as stream:
        code = stream.connect_ex(("127.0.0.1", free_port()))
        if code == errno.EINPROGRESS:
            _wait(stream, select.POLLOUT)
            error = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 4)
            code = int.from_bytes(error, sys.byteorder)
        assert code == errno.ECONNREFUSED
        for port in (-1, 65_536):
            with pytest.raises(OverflowError):
                stream.connect_ex(("127.0.0.1", port))
        with pytest.raises((OSError, ValueError, TypeError)):
            stream.connect_ex(("127.0.0.1\0x", 1))


def test_options_are_numbers_or_bytes(join: Join) -> None:
    """Both ways."""
    stream, _ = join()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert any(stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 4))
    linger = (1).to_bytes(4, sys.byteorder) * 2
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == linger
    assert len(stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)) == 104
    _expect(errno.ENOPROTOOPT, lambda: stream.getsockopt(socket.IPPROTO_TCP, 9_999, 4))
    _expect(errno.ENOPROTOOPT, lambda: stream.setsockopt(socket.IPPROTO_TCP, 9_999, 1))
    for size in (-1, 1_025):
        with pytest.raises(OSError, match="buflen"):
            stream.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size)


def test_a_closed_one_serves_nobody(twin: Twin, join: Join) -> None:
    """`shutdown` ends a direction, `close` all, twice without harm; each use then is EBADF."""
    stream, client = join()
    stream.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    stream.close()
    stream.close()
    assert stream.fileno() == -1
    buffer = memoryview(bytearray(4))
    calls: list[Callable[[], object]] = [
        lambda: stream.recv(1, NOW),
        lambda: stream.recv_into(buffer, 0, NOW),
        lambda: stream.send(b"x", SEND),
        lambda: stream.shutdown(socket.SHUT_WR),
        lambda: stream.getsockopt(1, 1, 4),
        lambda: stream.setsockopt(1, 2, 1),
        lambda: twin.copy(stream, client, buffer),
    ]
    for call in calls:
        _expect(errno.EBADF, call)
    assert stream.connect_ex(("127.0.0.1", 1)) == errno.EBADF


def test_a_dropped_one_leaves_no_descriptor(twin: Twin) -> None:
    """Nobody need close it; the pure one warns of it."""
    before = open_descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(20):
            twin.unconnected(socket.AF_INET).fileno()
    assert open_descriptors() == before


@pytest.mark.parametrize("unix", [False, True])
def test_a_copy_passes_bytes_on(twin: Twin, join: Join, unix: bool) -> None:
    """It tells how many; 0 at the end; and that nothing is there. A unix socket serves as well."""
    stream, client = join()
    near, far = socket.socketpair() if unix else join()
    with closing(near), far:
        buffer = memoryview(bytearray(4))
        with pytest.raises(BlockingIOError):
            twin.copy(stream, near, buffer)
        client.sendall(b"abcdef")
        _wait(stream)
        assert twin.copy(stream, near, buffer) == 4
        assert twin.copy(stream, near, buffer) == 2
        assert far.recv(9, socket.MSG_PEEK)
        far.sendall(b"back")
        _wait(near)
        assert twin.copy(near, stream, buffer) == 4
        assert client.recv(9) == b"back"
        client.close()
        _wait(stream)
        assert twin.copy(stream, near, buffer) == 0


def test_a_copy_tells_what_a_full_sink_has_not_taken(twin: Twin, join: Join) -> None:
    """Received, sent and EAGAIN, of a sink that takes some or none."""
    (stream, client), (sink, _) = join(), join()
    _filled(sink)
    client.sendall(b"abc")
    _wait(stream)
    with pytest.raises(twin.NotTaken) as found:
        twin.copy(stream, sink, memoryview(bytearray(9)))
    assert found.value.args == (3, 0, errno.EAGAIN)
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        size = 200_000
        client.sendall(bytes(size))
        while len(stream.recv(size, NOW | socket.MSG_PEEK) if size <= 65_536 else b"") < 60_000:
            size = 65_536
        with pytest.raises(twin.NotTaken) as found:
            twin.copy(stream, near, memoryview(bytearray(size)))
        received, sent, code = found.value.args
        assert 0 < sent < received
        assert code == errno.EAGAIN
        assert len(far.recv(size)) <= sent


def test_a_copy_tells_whose_side_broke(twin: Twin, join: Join) -> None:
    """A broken sink is NotTaken with its errno; a broken source an OSError."""
    (stream, client), (sink, gone) = join(), join()
    client.sendall(b"abc")
    _wait(stream)
    Peer(gone).reset()
    _wait(sink)
    with pytest.raises(twin.NotTaken) as found:
        twin.copy(stream, sink, memoryview(bytearray(9)))
    assert found.value.args in {(3, 0, errno.ECONNRESET), (3, 0, errno.EPIPE)}
    Peer(client).reset()
    _wait(stream)
    with pytest.raises(ConnectionResetError):
        twin.copy(stream, sink, memoryview(bytearray(9)))


class _Index:
    """A number whose asking runs code."""

    def __index__(self) -> int:
        return 1


_ODD = st.one_of(
    st.none(),
    st.builds(_Index),
    st.text(max_size=2),
    st.floats(),
    st.binary(max_size=4),
    st.builds(bytearray, st.just(b"1234")),
    st.builds(lambda: memoryview(bytearray(8))[::2]),
    st.sampled_from([memoryview(b"only read"), (), ("::1",), -1]),
    st.integers(-(2**70), 2**70).filter(lambda value: value not in range(1_000)),
    st.sampled_from([2**31, 2**32, 2**63, 10**400]),
    st.tuples(st.sampled_from([None, "", "\ud800", "::1\0"]), st.integers(-(2**70), 2**70)),
)
_CALLS = [
    *("recv", "recv_into", "send", "connect_ex", "shutdown"),
    *("setsockopt", "getsockopt", "fileno", "close"),
]
_DESERVED = (
    TypeError,
    ValueError,
    OverflowError,
    OSError,
    BufferError,
    AttributeError,
    MemoryError,
)


@given(call=st.sampled_from(_CALLS), odd=st.lists(_ODD, max_size=4), closed=st.booleans())
def test_odd_arguments_raise_what_they_deserve(
    twin: Twin, call: str, odd: list[object], closed: bool
) -> None:
    """Whatever is handed over to a method, the answer is one of the errors Python has for it."""
    with closing(twin.unconnected(socket.AF_INET)) as stream:
        if closed:
            stream.close()
        with suppress(*_DESERVED):
            cast("Call", getattr(stream, call))(*odd)


@given(call=st.sampled_from(["accept", "copy", "unconnected"]), odd=st.lists(_ODD, max_size=4))
def test_odd_arguments_of_functions_raise_what_they_deserve(
    twin: Twin, call: str, odd: list[object]
) -> None:
    """The same for what makes streams and copies."""
    with warnings.catch_warnings(), suppress(*_DESERVED):
        warnings.simplefilter("ignore", ResourceWarning)  # the pure one, of a stream dropped here
        cast("Call", getattr(twin, call))(*odd)
    with closing(twin.unconnected(socket.AF_INET)) as stream, suppress(*_DESERVED):
        cast("Call", twin.copy)(stream, *odd)


def test_nothing_is_lost_by_and_by(twin: Twin, join: Join) -> None:
    """After thousands of calls and errors no reference is left behind or given up too often."""
    (stream, client), (sink, _) = join(), join()
    _filled(sink)
    buffer, data, flags = memoryview(bytearray(9)), b"x" * 9, NOW | 2**14
    held: list[object] = [stream, sink, buffer, data, flags]
    before = [sys.getrefcount(each) for each in held]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(10_000):
        with suppress(BlockingIOError):
            sink.send(data, flags)
        with suppress(BlockingIOError):
            twin.copy(stream, sink, buffer)
        client.send(b"x")
        with suppress(BlockingIOError):
            stream.recv_into(buffer, 0, flags)
        with suppress(twin.NotTaken, BlockingIOError):
            twin.copy(stream, sink, buffer)
    gc.collect()
    assert [sys.getrefcount(each) for each in held] == before
    assert sys.getallocatedblocks() - blocks < 1_000
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
