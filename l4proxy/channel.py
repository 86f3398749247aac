"""A framed, bounded channel between the supervisor and a worker.

A stream socket pair carries a 4-byte length and a CBOR message; descriptors travel beside a message
(SCM_RIGHTS). A packet socket would need no length but fails at 220 kB, less than a large snapshot.
The channel knows no loop: its owner watches the descriptor, calls `receive` when it is readable and
`flush` when it is writable.
"""

import array
import os
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

from l4proxy.messages import Message, MessageError, decode, encode

_LENGTH = struct.Struct(">I")
_READ_BYTES = 65_536
MAX_DESCRIPTORS = 250
"""Descriptors beside one message: the kernel takes 253 (SCM_MAX_FD)."""


class ChannelClosed(Exception):
    """The other process has ended or closed its side."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one side of a channel takes.

    Attributes:
        frame: Largest message it accepts, bytes.
        queue: Most bytes that wait to be sent; a message beyond it is dropped.
        descriptors: Most descriptors that it holds for the messages they came with.
    """

    frame: int
    queue: int
    descriptors: int = 0


class Channel:
    """One side of the channel. It owns `sock` and every received descriptor until `take`n."""

    __slots__ = ("_bounds", "_descriptors", "_incoming", "_outgoing", "_queued", "_sock", "dropped")

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        """Wrap a connected stream socket; it is made non-blocking."""
        sock.setblocking(False)
        self._sock = sock
        self._bounds = bounds
        self._incoming = bytearray()
        self._descriptors: deque[int] = deque()
        self._outgoing: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._queued = 0
        self.dropped = 0
        """Messages not sent because the queue was full."""

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._sock.fileno()

    @property
    def idle(self) -> bool:
        """Whether everything sent has left this process."""
        return not self._outgoing

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> bool:
        """Queue a message and send what the socket takes; False if the queue was full.

        Raises:
            ChannelClosed: The other side is gone.
        """
        frame = encode(message)
        if self._queued and self._queued + len(frame) > self._bounds.queue:
            self.dropped += 1
            return False
        self._outgoing.append((memoryview(_LENGTH.pack(len(frame)) + frame), descriptors))
        self._queued += _LENGTH.size + len(frame)
        self.flush()
        return True

    def flush(self) -> bool:
        """Send what the socket takes; True when nothing is left.

        Raises:
            ChannelClosed: The other side is gone.
        """
        while self._outgoing:
            view, descriptors = self._outgoing[0]
            try:
                sent = self._send_some(view, descriptors)
            except BlockingIOError:
                return False
            except OSError as error:
                raise ChannelClosed from error
            self._queued -= sent
            if sent == len(view):
                self._outgoing.popleft()
            else:
                # The descriptors left with the first byte; what follows is bytes only.
                self._outgoing[0] = (view[sent:], ())
        return True

    def drain(self, seconds: float) -> bool:
        """Send everything, and wait for that; False if it has not left in so many seconds.

        Raises:
            ChannelClosed: The other side is gone.
        """
        limit = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        while not self.flush():
            if not poll.poll(max(0.0, limit - time.monotonic()) * 1e3):
                return False
        return True

    def receive(self) -> list[Message]:
        """Return the messages that are complete, without waiting.

        Raises:
            ChannelClosed: End of file, or the socket broke.
            MessageError: The other side sent what is no message, or too many descriptors.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _READ_BYTES, MAX_DESCRIPTORS)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ChannelClosed from error
        self._descriptors.extend(descriptors)
        if len(self._descriptors) > self._bounds.descriptors:
            message = (
                f"found {len(self._descriptors)} descriptors, "
                f"expected at most {self._bounds.descriptors}"
            )
            raise MessageError(message)
        if not data:
            raise ChannelClosed
        self._incoming += data
        return self._complete()

    def take(self, count: int) -> tuple[int, ...]:
        """Hand over the next `count` received descriptors; the caller closes them.

        Raises:
            MessageError: Fewer came than the message announced.
        """
        if count > len(self._descriptors):
            message = f"found {len(self._descriptors)} descriptors, expected {count}"
            raise MessageError(message)
        return tuple(self._descriptors.popleft() for _ in range(count))

    def close(self) -> None:
        """Close the socket and every descriptor nobody took."""
        self._sock.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _send_some(self, view: memoryview, descriptors: tuple[int, ...]) -> int:
        if not descriptors:
            return self._sock.send(view, socket.MSG_NOSIGNAL)
        rights = array.array("i", descriptors)
        return self._sock.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def _complete(self) -> list[Message]:
        messages = []
        while len(self._incoming) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming)
            if length > self._bounds.frame:
                message = f"found a frame of {length} bytes, expected at most {self._bounds.frame}"
                raise MessageError(message)
            end = _LENGTH.size + length
            if len(self._incoming) < end:
                break
            messages.append(decode(bytes(self._incoming[_LENGTH.size : end])))
            del self._incoming[:end]
        return messages
