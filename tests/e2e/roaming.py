"""A router that gives a client another address for each connection, and watches what passes.

So clients that cannot choose an address themselves come from many; and whether a session went on is
read from the server's first flight, whatever the client is able to tell.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from sni import FlightRead, HelloPeeker, HelloReceived, ServerFlight, offered_tickets
from tests.e2e.backends import Backend
from tests.e2e.balancer import Address
from tests.e2e.sockets import TIMEOUT, connect

_READ_BYTES = 65_536
_LINGER_SECONDS = 1.0  # for a server that does not mind that its client has gone
_TLS_1_3 = 0x0304


class Passed(NamedTuple):
    """What one connection showed in the clear.

    Attributes:
        offered: Whether the client offered to go on with a session.
        resumed: Whether it did go on.
    """

    offered: bool
    resumed: bool


class Router(Backend):
    """What one client connects to.

    Attributes:
        passed: Its connections so far, in the order of their beginnings.
    """

    def __init__(self, targets: Sequence[Address], sources: Iterator[str]) -> None:
        """Listens.

        Args:
            targets: Where its connections go, in turn.
            sources: The address that each comes from.
        """
        super().__init__(self._pass)
        self.passed: list[Passed] = []
        self._targets = targets
        self._sources = sources
        self._turn = threading.Lock()

    def _pass(self, near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._turn:
            at = len(self.passed)
            self.passed.append(Passed(offered=False, resumed=False))
            source = next(self._sources)
        hello, flight = HelloPeeker(), ServerFlight()
        with connect(self._targets[at % len(self._targets)], source) as far:
            back = threading.Thread(target=_copy, args=[far, near, flight], daemon=True)
            back.start()
            _copy(near, far, hello)
            back.join(_LINGER_SECONDS)
            _end(far)
            back.join(TIMEOUT)
        shown = flight.next_event()
        resumed = isinstance(shown, FlightRead) and shown.resumed
        self.passed[at] = Passed(_offers(hello), resumed)


def _offers(peeker: HelloPeeker) -> bool:
    """Whether a hello offers a session: a ticket, or an id that is no filler of TLS 1.3.

    A first visit may have a filler in TLS 1.2 too, as Go's has.
    """
    event = peeker.next_event()
    if not isinstance(event, HelloReceived):
        return False
    hello = event.hello
    named = bool(hello.session_id) and _TLS_1_3 not in hello.supported_versions
    return named or any(True for _ in offered_tickets(hello))


def _copy(
    source: socket.socket, target: socket.socket, watcher: HelloPeeker | ServerFlight
) -> None:
    """Passes bytes on to the end or until either side is gone, and then the end."""
    try:
        while data := source.recv(_READ_BYTES):
            watcher.receive_data(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        _end(source)
        _end(target)


def _end(sock: socket.socket) -> None:
    # Never closed here: the other thread may wait on it, and its number would be another's.
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
