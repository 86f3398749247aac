"""The channel: whole messages in order, descriptors with them, and a bound on everything."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.channel import MAX_DESCRIPTORS, Bounds, Channel, ChannelClosed
from l4proxy.messages import (
    Applied,
    Listen,
    Message,
    MessageError,
    Publish,
    Ready,
    Report,
    encode,
)

BOUNDS = Bounds(frame=1 << 20, queue=1 << 16, descriptors=8)


def frame(message: Message) -> bytes:
    """A message as it stands on the wire."""
    document = encode(message)
    return len(document).to_bytes(4, "big") + document


@dataclass
class Two:
    """Both sides of a channel, and of one a bare socket to say what it would not."""

    left: Channel
    right: Channel
    wire: socket.socket


@pytest.fixture
def two() -> Iterator[Two]:
    """Two ends of a channel; `wire` is the left one's socket."""
    ours, theirs = socket.socketpair()
    left, right = Channel(ours, BOUNDS), Channel(theirs, BOUNDS)
    yield Two(left, right, ours)
    left.close()
    right.close()


def descriptors() -> int:
    """How many descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_messages_arrive_in_order(two: Two) -> None:
    """Several messages in one read come out one by one."""
    said: list[Message] = [Ready(1), Applied(2), Report((("a", "b", 3),))]
    for message in said:
        assert two.left.send(message)
    assert two.left.idle
    assert two.right.receive() == said
    assert two.right.receive() == []


@given(st.lists(st.integers(1, 40), max_size=12))
def test_any_split_gives_the_same_messages(cuts: list[int]) -> None:
    """Wherever the stream is cut, the same messages come out."""
    said: list[Message] = [Ready(1), Publish(2, bytes(30)), Applied(3)]
    stream = b"".join(map(frame, said))
    ours, theirs = socket.socketpair()
    channel = Channel(theirs, BOUNDS)
    heard: list[Message] = []
    for cut in [*cuts, len(stream)]:
        if stream[:cut]:
            ours.sendall(stream[:cut])
            stream = stream[cut:]
            heard += channel.receive()
    ours.close()
    channel.close()
    assert heard == said


def test_no_prefix_is_a_message(two: Two) -> None:
    """Up to its last byte a message is not there."""
    stream = frame(Publish(1, b"snapshot"))
    for number in range(len(stream) - 1):
        two.wire.send(stream[number : number + 1])
        assert two.right.receive() == []
    two.wire.send(stream[-1:])
    assert two.right.receive() == [Publish(1, b"snapshot")]


def test_a_message_larger_than_the_socket_arrives(two: Two) -> None:
    """What the socket does not take waits, and leaves as the other side reads."""
    snapshot = Publish(1, bytes(900_000))
    assert two.left.send(snapshot)
    assert not two.left.idle
    heard: list[Message] = []
    while not heard:
        two.left.flush()
        heard = two.right.receive()
    assert heard == [snapshot]
    assert two.left.flush()
    assert two.left.idle


def test_a_full_queue_drops_and_counts(two: Two) -> None:
    """Beyond the bound a message is dropped whole, and what was queued arrives unharmed."""
    large = Publish(1, bytes(900_000))
    small = Publish(2, bytes(1_000))
    assert two.left.send(large)  # one message may always wait, however large
    assert not two.left.send(small)
    assert two.left.dropped == 1
    heard: list[Message] = []
    while len(heard) < 2:
        two.left.flush()
        heard += two.right.receive()
        if two.left.idle and heard == [large]:
            assert two.left.send(small)
    assert heard == [large, small]
    assert two.left.dropped == 1


def test_descriptors_travel_with_their_message(two: Two) -> None:
    """The other side gets descriptors of the same files, in order, and owns them."""
    pipes = [os.pipe() for _ in range(3)]
    two.left.send(Listen(("a", "b")), (pipes[0][1], pipes[1][1]))
    two.left.send(Listen(("c",)), (pipes[2][1],))
    two.right.receive()
    two.right.receive()  # the kernel ends a read where other descriptors begin
    heard = [*two.right.take(2), *two.right.take(1)]
    for number, fd in enumerate(heard):
        os.write(fd, b"%d" % number)
        assert os.read(pipes[number][0], 10) == b"%d" % number
    for fd in (*heard, *(fd for ends in pipes for fd in ends)):
        os.close(fd)


def test_descriptors_travel_with_a_message_in_pieces(two: Two) -> None:
    """A message too large for one send brings its descriptors once."""
    read, write = os.pipe()
    two.left.send(Listen(("x" * 900_000,)), (write,))
    heard: list[Message] = []
    while not heard:
        two.left.flush()
        heard = two.right.receive()
    (fd,) = two.right.take(1)
    with pytest.raises(MessageError):
        two.right.take(1)
    for number in (fd, read, write):
        os.close(number)


def test_more_than_came_cannot_be_taken(two: Two) -> None:
    """A message that announces descriptors that did not come is refused."""
    two.left.send(Listen(("a",)))
    two.right.receive()
    with pytest.raises(MessageError, match="found 0 descriptors, expected 1"):
        two.right.take(1)


def test_too_many_descriptors_are_refused_and_closed() -> None:
    """Whoever sends descriptors that nobody asked for fills no table: they are closed."""
    before = descriptors()
    ours, theirs = socket.socketpair()
    channel = Channel(theirs, Bounds(frame=100, queue=100))
    socket.send_fds(ours, [frame(Ready(1))], [0])
    with pytest.raises(MessageError, match="found 1 descriptors, expected at most 0"):
        channel.receive()
    channel.close()
    ours.close()
    assert descriptors() == before


def test_closing_closes_what_nobody_took(two: Two) -> None:
    """Descriptors that came and were not taken end with the channel."""
    before = descriptors()
    two.left.send(Listen(("a", "b")), (0, 0))
    two.right.receive()
    assert descriptors() == before + 2
    (taken,) = two.right.take(1)
    two.right.close()
    assert descriptors() == before  # the socket is closed too, and one is taken
    os.close(taken)


def test_the_most_descriptors_fit_one_message() -> None:
    """As many as are allowed travel beside one message."""
    ours, theirs = socket.socketpair()
    left = Channel(ours, BOUNDS)
    right = Channel(theirs, Bounds(1 << 20, 1 << 20, MAX_DESCRIPTORS))
    left.send(Listen(("a",) * MAX_DESCRIPTORS), (0,) * MAX_DESCRIPTORS)
    assert len(right.receive()) == 1
    taken = right.take(MAX_DESCRIPTORS)
    assert len(set(taken)) == MAX_DESCRIPTORS
    for fd in taken:
        os.close(fd)
    left.close()
    right.close()


def test_the_end_is_told(two: Two) -> None:
    """After the last message the end of the other side is heard, and sending fails."""
    two.left.send(Ready(1))
    two.left.close()
    assert two.right.receive() == [Ready(1)]
    with pytest.raises(ChannelClosed):
        two.right.receive()
    with pytest.raises(ChannelClosed):
        two.right.send(Applied(1))


def test_a_broken_socket_is_an_end(two: Two) -> None:
    """A socket closed under the channel, or reset, is the channel's end."""
    two.wire.send(b"unread")
    two.left.send(Ready(1))
    two.right.close()
    with pytest.raises(ChannelClosed):
        two.left.receive()


@given(st.binary(max_size=64))
def test_garbage_is_refused(data: bytes) -> None:
    """Random bytes raise nothing but MessageError."""
    ours, theirs = socket.socketpair()
    channel = Channel(theirs, BOUNDS)
    ours.sendall(data + b"\0")
    try:
        channel.receive()
    except MessageError:
        pass
    finally:
        ours.close()
        channel.close()


def test_a_frame_beyond_the_bound_is_refused_by_its_length(two: Two) -> None:
    """The length alone is enough: nothing of the frame is waited for or kept."""
    two.wire.send((BOUNDS.frame + 1).to_bytes(4, "big"))
    with pytest.raises(MessageError, match="found a frame of 1048577 bytes"):
        two.right.receive()


def test_the_largest_frame_is_taken(two: Two) -> None:
    """A frame of exactly the bound is a message."""
    room = BOUNDS.frame - len(encode(Publish(1, bytes(70_000)))) + 70_000
    two.left.send(Publish(1, bytes(room)))
    heard: list[Message] = []
    while not heard:
        two.left.flush()
        heard = two.right.receive()
    assert heard == [Publish(1, bytes(room))]


def test_the_descriptor_is_the_sockets(two: Two) -> None:
    """What the owner watches is the socket itself."""
    assert two.left.fileno() == two.wire.fileno()


def test_draining_waits_for_a_reader_and_not_for_ever() -> None:
    """True once all has left; False when nobody reads for so long; closed is closed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours, Bounds(1 << 24, 1 << 24))
        channel.send(Publish(1, bytes(4_000_000)))
        assert not channel.drain(0.01)
        reader = threading.Thread(target=lambda: exactly(theirs, 4_000_000))
        reader.start()
        assert channel.drain(PATIENCE_SECONDS)
        assert channel.idle
        reader.join(PATIENCE_SECONDS)
        channel.send(Publish(1, bytes(4_000_000)))
        theirs.close()
        with pytest.raises(ChannelClosed):
            channel.drain(PATIENCE_SECONDS)


PATIENCE_SECONDS = 20.0


def exactly(sock: socket.socket, size: int) -> None:
    """Read at least so many bytes."""
    sock.settimeout(PATIENCE_SECONDS)
    while size > 0:
        size -= len(sock.recv(65_536))
