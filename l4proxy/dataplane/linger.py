"""The end of a refused client: alert, end of file, and a moment of reading on.

A socket that is closed while unread bytes wait in it sends a reset, which can destroy the alert
before the client reads it (RFC 1122 §4.2.2.13). So we end our direction, read and drop what the
client still sends, and close when it ends too, or after `LINGER_SECONDS`.
"""

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

from l4proxy.dataplane.engine import NEVER, READABLE, Engine, Watcher
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import LINGER_SECONDS, READS_PER_TURN, RELAY_BUFFER_BYTES

_BUFFER: Final = bytearray(RELAY_BUFFER_BYTES)
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def reset(sock: Stream) -> None:
    """Make the coming close send a reset; vsock has none, and its close is an end."""
    if sock.family == socket.AF_VSOCK:
        return  # it would take no structure as an option either
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


class Linger(Watcher):
    """A client that has been refused. It owns the socket and closes it, then calls `ended`."""

    __slots__ = ("_ended", "_engine", "_sock", "deadline", "scheduled")

    def __init__(
        self, engine: Engine, sock: Stream, ended: Callable[[Exception | None], None]
    ) -> None:
        """Take the socket over; `start` begins. `ended` hears of an error nobody foresaw."""
        self._engine = engine
        self._sock = sock
        self._ended = ended
        self.deadline = engine.now + LINGER_SECONDS
        self.scheduled = NEVER

    def start(self, last_words: bytes, *, registered: bool) -> None:
        """Send the last words (none: b"") and our end of file, then read on.

        Args:
            last_words: An alert record.
            registered: The engine watches the socket already.
        """
        try:
            if last_words:
                self._sock.send(last_words, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()
            return
        if registered:
            self._engine.hand_over(self._sock.fileno(), self)
            self._engine.again(self)
        else:
            self._engine.register(self._sock.fileno(), READABLE, self)
        self._engine.schedule(self)

    def on_ready(self, _events: int) -> None:
        """Drop what the client sends; close when it has ended."""
        if self.deadline == NEVER:
            return
        try:
            for _ in range(READS_PER_TURN):
                if not self._sock.recv_into(_BUFFER, 0, socket.MSG_DONTWAIT):
                    self._close()
                    return
        except BlockingIOError:
            return
        except OSError:
            self._close()
            return
        self._engine.again(self)

    def on_deadline(self) -> None:
        """Close: the client had its moment."""
        self._close()

    def on_cut(self) -> None:
        """Close: the process ends."""
        if self.deadline != NEVER:
            self._close()

    def on_failure(self, error: Exception) -> None:
        """Close, and tell why."""
        if self.deadline != NEVER:
            self._close(error)

    def _close(self, error: Exception | None = None) -> None:
        self._engine.cancel(self)
        self._engine.forget(self._sock.fileno())
        self._sock.close()
        self._ended(error)
