"""Links, which only the compiled build has: what is taken whole is copied, all else is told."""

import fcntl
import gc
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane import epoll as pure
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import RELAY_BUFFER_BYTES
from tests.l4proxy.dataplane.loopback import open_descriptors, tcp_pair, tcp_pair_of
from tests.l4proxy.dataplane.twins import Call, built

IN = select.EPOLLIN
EDGES = IN | select.EPOLLET
WHOLE = RELAY_BUFFER_BYTES
PATIENCE = 10.0


class Epoll(Protocol):
    """What is used of the twin in C."""

    def register(self, fd: int, events: int, /) -> None:
        """Tell of these events of a descriptor."""

    def poll(self, timeout: float, most: int, /) -> list[tuple[int, int]]:
        """Wait, and let links copy."""


@dataclass
class Linked:
    """A link, the streams that it joins, and the far ends of both."""

    epoll: Epoll
    link: pure.Link
    source: Stream
    sink: Stream
    speaker: socket.socket
    hearer: socket.socket

    def told(self) -> list[tuple[int, int]]:
        """What the next wait tells; nothing after 50 milliseconds."""
        return self.epoll.poll(0.05, 8)

    def copied(self, size: int) -> None:
        """Wait until so many bytes were copied, and nothing was told."""
        until = time.monotonic() + PATIENCE
        while self.link.count < size:
            assert time.monotonic() < until
            assert self.told() == []

    def close(self) -> None:
        """Close all."""
        for end in (self.link, self.source, self.sink, self.speaker, self.hearer):
            end.close()


class Make(Protocol):
    """Makes links."""

    def __call__(self, *, small: bool = False) -> Linked:
        """Make one, `small`: whose sink holds little."""


@pytest.fixture(scope="module")
def linked() -> Make:
    """Makes links, `small` between sockets that hold little; the test closes them."""
    stream, epoll = built("stream"), built("epoll")

    def make(*, small: bool = False) -> Linked:
        wait = cast("Epoll", epoll.epoll())
        source, speaker = tcp_pair_of(stream.unconnected)
        sink, hearer = tcp_pair_of(stream.unconnected, small=small)
        hearer.settimeout(PATIENCE)
        wait.register(source.fileno(), EDGES | select.EPOLLRDHUP)
        wait.poll(0, 8)
        link = cast("pure.Link", epoll.link(wait, source, sink))
        return Linked(wait, link, source, sink, speaker, hearer)

    return make


@pytest.fixture
def one(linked: Make) -> Iterator[Linked]:
    """A link."""
    made = linked()
    yield made
    made.close()


@pytest.fixture
def full(linked: Make) -> Iterator[Linked]:
    """A link whose sink takes nothing more."""
    made = linked(small=True)
    while _now(made.sink.send, bytes(1 << 20)):
        pass
    yield made
    made.close()


def buffer() -> memoryview:
    """What a direction reads into."""
    return memoryview(bytearray(WHOLE))


def test_the_pure_build_has_none() -> None:
    """There, nobody but Python copies."""
    near, far = tcp_pair()
    with near, far, select.epoll() as wait:
        assert pure.link(wait, near, far) is None


def test_other_streams_have_none() -> None:
    """Whose descriptors Python's own sockets own, no link looks at."""
    near, far = tcp_pair()
    twin = built("epoll")
    with near, far:
        assert twin.link(twin.epoll(), near, far) is None


def test_a_chunk_is_copied_and_nobody_is_told(one: Linked) -> None:
    """Bytes arrive as they were, with their number and the moment noted."""
    before = time.monotonic()
    for number in range(3):
        one.speaker.sendall(b"chunk %d" % number)
        one.copied(7 * (number + 1))
        assert one.hearer.recv(99) == b"chunk %d" % number
    assert before <= one.link.active_at <= time.monotonic()
    assert one.link.count == 21


def test_an_end_is_told_by_the_kernel_alone(one: Linked) -> None:
    """An event that says more than data goes to Python with all its bytes unread."""
    one.speaker.sendall(b"last words")
    one.speaker.shutdown(socket.SHUT_WR)
    ((fd, events),) = one.told()
    assert fd == one.source.fileno()
    assert events & select.EPOLLRDHUP
    assert one.link.count == 0
    assert one.link.copy(buffer()) == len(b"last words")
    assert one.link.copy(buffer()) == 0


def test_an_end_that_is_found_is_told(linked: Make) -> None:
    """Read where data was announced and none was left: the result is 0, as for `stream.copy`."""
    made = linked()
    made.epoll.register(made.hearer.fileno(), 0)
    cast("Call", made.epoll.modify)(made.source.fileno(), EDGES)  # type: ignore[attr-defined]  # the twin has it
    made.speaker.shutdown(socket.SHUT_WR)
    assert made.told() == [(made.source.fileno(), IN)]
    assert made.link.copy(buffer()) == 0
    made.close()


def test_a_full_read_is_told(one: Linked) -> None:
    """There may be more behind it: Python goes on by hand, until it opens the link again."""
    one.speaker.sendall(bytes(WHOLE))
    heard = 0
    while heard < WHOLE:
        told = one.told()
        if told:
            with pytest.raises(BlockingIOError):
                one.link.copy(buffer())
            one.link.open()
        heard += len(one.hearer.recv(WHOLE))
    one.speaker.sendall(b"more")
    one.copied(WHOLE + 4)


def test_by_hand_nothing_is_copied_until_it_is_opened(one: Linked) -> None:
    """`copy` takes the link in hand, and `open` gives it back."""
    with pytest.raises(BlockingIOError):
        one.link.copy(buffer())
    one.speaker.sendall(b"by hand")
    assert one.told() == [(one.source.fileno(), IN)]
    assert one.link.copy(buffer()) == 7
    assert one.link.count == 0
    one.link.open()
    one.speaker.sendall(b"alone")
    one.copied(5)
    assert one.hearer.recv(99) == b"by handalone"


def test_what_found_no_room_is_owed(full: Linked) -> None:
    """The bytes that were read stand in the buffer of whoever asks, and only then it opens."""
    full.speaker.sendall(b"too much")
    assert full.told() == [(full.source.fileno(), IN)]
    with pytest.raises(ValueError, match="owes"):
        full.link.open()
    with pytest.raises(ValueError, match="buffer of 4 for 8"):
        full.link.copy(memoryview(bytearray(4)))
    room = buffer()
    with pytest.raises(built("stream").NotTaken) as found:
        full.link.copy(room)
    received, sent, _code = found.value.args
    assert (received, sent) == (8, 0)
    assert bytes(room[:8]) == b"too much"
    full.link.open()


def test_a_broken_sink_is_told_with_the_bytes(one: Linked) -> None:
    """The error of the send, and what it did not take."""
    one.sink.shutdown(socket.SHUT_WR)
    one.speaker.sendall(b"for nobody")
    assert one.told() == [(one.source.fileno(), IN)]
    with pytest.raises(built("stream").NotTaken) as found:
        one.link.copy(buffer())
    assert found.value.args == (10, 0, 32)  # EPIPE


def test_a_reset_is_told(one: Linked) -> None:
    """Its event says more than data, and its error is still there."""
    one.speaker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.speaker.close()
    ((_, events),) = one.told()
    assert events & select.EPOLLERR
    with pytest.raises(ConnectionResetError):
        one.link.copy(buffer())


def test_a_closed_link_copies_nothing(one: Linked) -> None:
    """Neither alone nor by hand; closing it again does nothing."""
    one.link.close()
    one.link.close()
    one.speaker.sendall(b"unheard")
    assert one.told() == [(one.source.fileno(), IN)]
    for call in (one.link.open, lambda: one.link.copy(buffer())):
        with pytest.raises(ValueError, match="closed"):
            call()


@pytest.mark.parametrize("end", ["source", "sink"])
def test_who_gets_a_closed_ones_number_gets_no_bytes(one: Linked, end: str) -> None:
    """A number that was given out anew is another connection's: nothing is read, nothing sent."""
    near, far = tcp_pair()
    closed = cast("Stream", getattr(one, end))
    number = closed.fileno()
    closed.close()
    with near, far, socket.socket(fileno=fcntl.fcntl(near, fcntl.F_DUPFD, number)) as heir:
        assert heir.fileno() == number
        if end == "source":
            one.epoll.register(number, EDGES)
            far.sendall(b"the heir's")
        else:
            one.speaker.sendall(b"not for the heir")
        ((_, events),) = one.told()
        assert events == IN
        assert one.link.count == 0
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(1)


def test_nothing_is_left_of_dropped_ones(linked: Make) -> None:
    """Links, closed or not, keep no stream open once nobody has them."""
    for _ in range(3):
        linked().close()
    before = open_descriptors()
    for closes in (True, False) * 5:
        made = linked()
        if closes:
            made.link.close()
        made.speaker.close()
        made.hearer.close()
        del made
    gc.collect()
    assert open_descriptors() == before


@pytest.mark.parametrize("arguments", [(), (1,), (None, None, None), ("", 1, 2), (1, 2, 3, 4)])
def test_what_is_no_epoll_or_stream_is_refused(arguments: tuple[object, ...]) -> None:
    """A link has exactly one epoll, one source and one sink."""
    with pytest.raises(TypeError):
        cast("Call", built("epoll").link)(*arguments)


def test_a_closed_source_is_refused(one: Linked) -> None:
    """There is nothing to be told of."""
    one.source.close()
    with pytest.raises(ValueError, match="closed"):
        built("epoll").link(one.epoll, one.source, one.sink)


@given(st.lists(st.integers(1, 3 * WHOLE), min_size=1, max_size=8), st.booleans())
def test_the_bytes_are_the_same_in_the_same_order(
    linked: Make, sizes: list[int], small: bool
) -> None:
    """Alone or by hand, with a sink that is full or not, whatever the sizes."""
    made = linked(small=small)
    made.speaker.setblocking(False)
    made.hearer.setblocking(False)
    said = b"".join(bytes([number + 1]) * size for number, size in enumerate(sizes))
    to_say, heard, kept = memoryview(said), bytearray(), bytearray()
    limit = time.monotonic() + PATIENCE
    while len(heard) < len(said):
        assert time.monotonic() < limit
        to_say = to_say[_now(made.speaker.send, to_say) if to_say else 0 :]
        told = bool(made.epoll.poll(0.001, 8))
        if kept:
            del kept[: _now(made.sink.send, kept)]
            told = not kept
        if told:
            kept += _by_hand(made)
        heard += _heard(made.hearer)
    assert heard == said
    made.close()


def _by_hand(made: Linked) -> bytes:
    """Copy until nothing is left, and open the link; what the sink did not take."""
    room = buffer()
    try:
        while made.link.copy(room):
            pass
    except BlockingIOError:
        made.link.open()
    except built("stream").NotTaken as error:
        received, sent, _ = error.args
        return bytes(room[sent:received])
    return b""


def _now(send: Callable[[bytes, int], int], data: bytes | bytearray | memoryview) -> int:
    try:
        return send(bytes(data), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0


def _heard(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 20)
    except BlockingIOError:
        return b""
