"""Reading the client's first flight into a peeker, under one absolute deadline.

The deadline counts from accept and nothing moves it: progress buys no time, so a client that sends
a byte a second is cut like one that sends none.
"""

import socket
from typing import Final, Protocol

from l4proxy.dataplane.engine import NEVER, READABLE, Engine, Watcher
from l4proxy.dataplane.stream import Stream
from l4proxy.first_flight import Flight, FlightEvent
from l4proxy.limits import RELAY_BUFFER_BYTES
from l4proxy.proxy_protocol import HeaderRejected
from sni import NEED_DATA, HelloReceived, HelloRejected

_RECEIVE: Final = socket.MSG_DONTWAIT


class Host(Protocol):
    """Who waits for the hello."""

    def hello_read(self, outcome: HelloReceived | HelloRejected | HeaderRejected) -> None:
        """Take the hello, or why there is none."""

    def hello_grew(self, count: int) -> None:
        """Hear of `count` more bytes that are held of a hello that is still unfinished."""

    def hello_missed(self) -> None:
        """Hear that the deadline passed without a whole hello."""

    def client_lost(self) -> None:
        """Hear that the client reset its connection."""

    def cut(self) -> None:
        """End: the process ends."""

    def on_failure(self, error: Exception) -> None:
        """End: reading raised an error nobody foresaw."""


def read_now(sock: Stream, flight: Flight) -> int:
    """Feed what the socket holds to the reader; return how many bytes, 0 also at the end of file.

    Raises:
        OSError: The client reset the connection.
    """
    try:
        received = sock.recv(RELAY_BUFFER_BYTES, _RECEIVE)
    except BlockingIOError:
        return 0
    if received:
        flight.receive_data(received)
    else:
        flight.receive_eof()
    return len(received)


class Preread(Watcher):
    """A client whose hello has not come whole. It watches the socket and never closes it."""

    __deletable__ = ("_flight",)  # for mypyc: what `del` may take away
    __slots__ = ("_engine", "_flight", "_host", "_sock", "deadline", "scheduled")

    def __init__(self, engine: Engine, sock: Stream, flight: Flight, host: Host) -> None:
        """Prepare to read; `start` begins."""
        self._engine = engine
        self._sock = sock
        self._flight = flight
        self._host = host
        self.deadline = NEVER
        self.scheduled = NEVER

    def start(self, deadline: float) -> None:
        """Watch the socket until `deadline`, monotonic seconds."""
        self.deadline = deadline
        self._engine.register(self._sock.fileno(), READABLE, self)
        self._engine.schedule(self)

    def stop(self) -> None:
        """Wait no more, and let go of what was read; the engine still watches the socket."""
        self._engine.cancel(self)
        # The engine may remember this for a while, and what was read may have 64 KiB.
        del self._flight

    def on_ready(self, _events: int) -> None:
        """Read, and tell the host what came of it."""
        if self.deadline == NEVER:
            return
        try:
            event = self._read()
        except OSError:
            self.stop()
            self._host.client_lost()
            return
        if event is not NEED_DATA:
            self.stop()
            self._host.hello_read(event)

    def on_deadline(self) -> None:
        """Give up."""
        self.stop()
        self._host.hello_missed()

    def on_cut(self) -> None:
        """End the connection, unless another now waits for this socket."""
        if self.deadline != NEVER:
            self.stop()
            self._host.cut()

    def on_failure(self, error: Exception) -> None:
        """End the connection."""
        self._engine.cancel(self)
        self._host.on_failure(error)

    def _read(self) -> FlightEvent:
        """Read until nothing is left or the reader has an answer."""
        while count := read_now(self._sock, self._flight):
            event = self._flight.next_event()
            if event is not NEED_DATA:
                return event
            self._host.hello_grew(count)
        return self._flight.next_event()
