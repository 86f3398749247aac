"""Accepting: as many connections as there is room for, and never a spin when there is none."""

import errno
import select
from socket import SocketType
from typing import Final, Protocol

from l4proxy.dataplane.engine import NEVER, Engine, Watcher
from l4proxy.dataplane.spare import Spare
from l4proxy.dataplane.stream import Stream, accept
from l4proxy.limits import ACCEPT_PAUSE_SECONDS, ACCEPTS_PER_TURN, BACKLOG, EXHAUSTED_SECONDS

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Nothing is wrong with client or listener: this process or machine has no room (accept(2))."""

_NO_DESCRIPTORS: Final = {errno.EMFILE, errno.ENFILE}
"""Of these, what a descriptor that is given up mends."""


class Host(Protocol):
    """Who takes accepted clients: the worker."""

    spare: Spare

    def vacancies(self) -> int:
        """Return how many more connections may be opened; none: 0 or less."""

    def client_accepted(self, sock: Stream, address: bytes, port: int, number: int) -> None:
        """Take over a socket, with the peer's packed address, accepted by listener `number`."""

    def client_turned_away(self, sock: Stream, address: bytes, number: int) -> None:
        """Reset and close a client that there is no descriptor for."""

    def accept_paused(self, why: str) -> None:
        """Hear that accepting rests for a moment."""

    def report_failure(self, error: Exception) -> None:
        """Report an error nobody foresaw."""


class Listener(Watcher):
    """A listening socket under the engine's eye. It owns the socket.

    Level-triggered, unlike relays: what is not accepted now is reported again. How many are tried
    in one turn adapts: a failed accept costs as much as a good one, so after it the next turn tries
    one, and a turn that found all it tried lets the next one try twice as many.
    """

    __slots__ = (
        "_batch",
        "_engine",
        "_exhausted_at",
        "_exhausted_since",
        "_host",
        "_number",
        "_sock",
        "deadline",
        "scheduled",
    )

    def __init__(self, engine: Engine, sock: SocketType, host: Host, number: int) -> None:
        """Watch a bound, listening, non-blocking socket, the configuration's `number`-th."""
        self._number = number
        self._engine = engine
        self._sock = sock
        self._host = host
        self._batch = 1
        self._exhausted_since = self._exhausted_at = -NEVER
        self.deadline = NEVER
        self.scheduled = NEVER
        engine.register(sock.fileno(), select.EPOLLIN, self)

    def on_ready(self, _events: int) -> None:
        """Accept a batch."""
        room = self._host.vacancies()
        for _ in range(min(self._batch, room)):
            if not self._accept():
                self._batch = 1
                return
        if room < self._batch:
            self._pause("connections")
        else:
            self._batch = min(self._batch * 2, ACCEPTS_PER_TURN)

    def on_deadline(self) -> None:
        """Accept again."""
        self.deadline = NEVER
        self._engine.modify(self._sock.fileno(), select.EPOLLIN)

    def on_cut(self) -> None:
        """Go on: nobody is served by this, and a stop closes it."""

    def on_failure(self, error: Exception) -> None:
        """Report; the listener goes on."""
        self._host.report_failure(error)

    def close(self) -> None:
        """Accept what has waited, as far as there is room, then stop listening."""
        for _ in range(min(BACKLOG, self._host.vacancies())):
            if not self._accept():
                break
        self._engine.cancel(self)
        self._engine.unregister(self._sock.fileno())
        self._sock.close()

    def _accept(self) -> bool:
        try:
            stream, address, port = accept(self._sock)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._run_out(error.errno)
                return False
            return True  # the client was gone before we came (ECONNABORTED and its like)
        self._exhausted_at = -NEVER
        self._host.client_accepted(stream, address, port, self._number)
        return True

    def _run_out(self, code: int) -> None:
        """Rest; in a shortage that lasts, turn the client away that has waited longest."""
        now = self._engine.now
        if now - self._exhausted_at > EXHAUSTED_SECONDS:  # another shortage, not the same
            self._exhausted_since = now
        self._exhausted_at = now
        if code in _NO_DESCRIPTORS and now - self._exhausted_since >= EXHAUSTED_SECONDS:
            self._turn_one_away()
        self._pause(errno.errorcode[code].lower())

    def _turn_one_away(self) -> None:
        self._host.spare.give_up()
        try:
            stream, address, _ = accept(self._sock)
            self._host.client_turned_away(stream, address, self._number)
        except OSError:
            return  # it has gone, or another process was quicker than we
        finally:
            self._host.spare.take_back()

    def _pause(self, why: str) -> None:
        self._host.accept_paused(why)
        self._engine.modify(self._sock.fileno(), 0)
        self.deadline = self._engine.now + ACCEPT_PAUSE_SECONDS
        self._engine.schedule(self)
