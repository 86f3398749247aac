"""The relay: two directions joined, and every way in which they end.

An end of file travels only when its direction has delivered everything; a reset travels as a reset,
but never over undelivered bytes and never over a direction that had ended cleanly. The copying
itself is `direction`'s.
"""

import array
import errno
import fcntl
import socket
import termios
from enum import StrEnum
from typing import Final, Protocol

from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.direction import READ_ON, Direction, Joint
from l4proxy.dataplane.engine import NEVER, READABLE, Engine
from l4proxy.dataplane.linger import reset
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import LINGER_SECONDS, RESET_DELIVERY_SECONDS, SETTLED_SECONDS
from l4proxy.snapshot import Timeouts

# With others the send has taken the news from the socket, and reading it ends as if by itself.
_READING_TELLS: Final = {errno.EPIPE, errno.ENOTCONN}
# What has neither keepalive nor a user timeout, nor anything else of TCP.
_WITHOUT_TCP: Final = {socket.AF_UNIX, socket.AF_VSOCK}
_WRITING: Final = socket.SHUT_WR
_TCP_CLOSE: Final = 7
"""tcpi_state of a socket without a connection, the first byte of TCP_INFO (linux/tcp.h)."""


class Ending(StrEnum):
    """How a relay ended; the values are metric labels."""

    __hash__ = str.__hash__  # an enumeration's own is Python code, and one is hashed a connection

    COMPLETE = "complete"
    CLIENT_RESET = "client_reset"
    BACKEND_RESET = "backend_reset"
    IDLE = "idle_timeout"
    HALF_CLOSED = "half_closed_timeout"
    LIFETIME = "lifetime"
    BUFFERS = "buffers_full"
    SHUTDOWN = "shutdown"
    DRAINED = "drained"
    UNTRUSTED = "untrusted"
    FAILURE = "internal_failure"


LABELS: Final = {ending: ending.value for ending in Ending}
"""The values: a look-up here is a tenth of what an enumeration's own `value` costs."""


class Owner(Protocol):
    """Who is told of a relay's end."""

    __slots__ = ()

    def may_ask_another(self) -> bool:
        """Say whether the first words may be said to another backend: this one gave no answer."""

    def backend_silent(self, relay: "Relay") -> None:
        """Take the client back, whose socket the engine still watches; the relay is no more."""

    def relay_begun(self, *, answered: bool) -> None:
        """Hear that first bytes came: the backend's answer, or more of the client's words."""

    def backend_said(self, data: memoryview) -> bool:
        """Look at what the backend says; return whether to show what follows, too."""

    def relay_ended(self, relay: "Relay", ending: Ending) -> None:
        """Account for the ended relay; both sockets are closed."""

    def relay_failed(self, error: Exception) -> None:
        """Report an error nobody foresaw; `relay_ended` follows."""


class Relay(Joint):
    """Two directions and their deadlines. It owns both sockets and closes them.

    Attributes:
        active_at: Monotonic seconds of the last readiness of either socket that it was told of.
        discarding: The direction from the receiver of a completed answer to a peer that is gone:
            what it still sends is read and dropped for a moment, and until it has the answer, so
            that our close does not reset it.
        resetting: The direction that a reset follows once its bytes are delivered.
    """

    __deletable__ = ("upstream", "downstream")  # for mypyc: what `del` may take away
    __slots__ = (
        "_ending",
        "_limit",
        "_owner",
        "_settled",
        "_timeouts",
        "backend",
        "client",
        "downstream",
        "resetting",
        "scheduled",
        "upstream",
    )

    def __init__(
        self, engine: Engine, backlog: Backlog, client: Stream, backend: Stream, owner: Owner
    ) -> None:
        """Join two connected sockets; nothing moves before `start`.

        Args:
            engine: The loop that serves them.
            backlog: The budget of bytes kept for slow readers.
            client: Whom the upstream direction reads from.
            backend: Whom the downstream direction reads from.
            owner: Is told of the end.
        """
        self.engine = engine
        self.backlog = backlog
        self.client = client
        self.backend = backend
        self._owner = owner
        self.upstream = Direction(self, client, backend)
        self.downstream = Direction(self, backend, client)
        self.upstream.peer = self.downstream
        self.downstream.peer = self.upstream
        self.active_at = self.born_at = self.engine.now
        self.discarding: Direction | None = None
        self.resetting: Direction | None = None
        self._ending = Ending.COMPLETE
        self._limit = NEVER
        self._settled = False
        self.scheduled = NEVER
        self.deadline = NEVER

    def watch(self, *, client: bool, backend: bool) -> None:
        """Let the engine watch both sides.

        Args:
            client: It watches the client's socket already.
            backend: It watches the backend's already.
        """
        if client:
            self._take_over(self.client, self.upstream)
        else:
            self.engine.register(self.client.fileno(), READABLE, self.upstream)
        if backend:
            self._take_over(self.backend, self.downstream)
        else:
            self.engine.register(self.backend.fileno(), READABLE, self.downstream)

    def start(self, timeouts: Timeouts) -> None:
        """Begin the watch over deadlines; the engine watches both directions already."""
        self._timeouts = timeouts
        self.deadline = self.active_at + min(timeouts.idle, SETTLED_SECONDS)
        if timeouts.idle < SETTLED_SECONDS:
            self.engine.schedule(self)
        else:
            self.engine.schedule_young(self)

    def on_deadline(self) -> None:
        """End what has been idle too long, or look again at a reset that waits."""
        now = self.engine.now
        if not self._settled:
            self._settle()
        if self.resetting is not None:
            if now < self._limit:
                self._pass_reset(self.resetting)
            else:
                self._reset(self.resetting)
            return
        if self.discarding is not None:
            if now < self._limit and _unacknowledged(self.discarding.source):
                self.deadline = now + LINGER_SECONDS
            else:
                self._end(self._ending)
            return
        half_closed = self.upstream.delivered or self.downstream.delivered
        timeouts = self._timeouts
        active_at = max(self.active_at, self.upstream.copied_at(), self.downstream.copied_at())
        due = active_at + (timeouts.half_closed if half_closed else timeouts.idle)
        over = self.born_at + timeouts.lifetime
        self.deadline = min(due, over)
        if due <= now:
            self._end(Ending.HALF_CLOSED if half_closed else Ending.IDLE)
        elif over <= now:
            self._end(Ending.LIFETIME)

    def arrived(self, direction: Direction, data: memoryview) -> bool:
        """Tell the owner that there is more than the first words now, and what the backend says."""
        answered = direction is self.downstream
        if not direction.count:
            self._owner.relay_begun(answered=answered)
        return answered and self._owner.backend_said(data)

    def shed(self) -> None:
        """End at once: what is kept for a slow reader is needed for others."""
        self._end(Ending.BUFFERS)

    def cut(self) -> None:
        """End at once, for the process ends; what it came to is still accounted for."""
        self.close(Ending.SHUTDOWN)

    def close(self, ending: Ending) -> None:
        """End at once, unless it has ended."""
        if self.deadline != NEVER:
            self._end(ending)

    def on_failure(self, error: Exception) -> None:
        """End both sides at once; the owner reports the error."""
        self._owner.relay_failed(error)
        if self.deadline != NEVER:
            self._end(Ending.FAILURE)

    def source_ended(self, direction: Direction) -> None:
        """Pass an end of file on; its direction has nothing pending."""
        if not direction.count and self._answerless(direction):
            return
        direction.ended = True
        if direction.reset:
            self.source_broke(direction)
        elif direction.peer.delivered:
            direction.delivered = True
            self._end(Ending.COMPLETE)
        else:
            try:
                direction.sink.shutdown(_WRITING)
            except OSError as error:
                self.sink_broke(direction, error)
                return
            direction.delivered = True
            if direction.peer.ended:
                self.source_broke(direction)
            else:
                # Not later than it was: what settles a relay, and the end of its life, do not move.
                self._hasten(min(self.deadline, self.engine.now + self._timeouts.half_closed))

    def sink_broke(self, direction: Direction, error: OSError) -> None:
        """A send failed: the sink was reset. What it had sent before is still delivered.

        If it had ended before it was reset, what it sent is whole: that end is passed on, no reset.
        """
        direction.drop()
        back = direction.peer
        back.reset = error.errno not in _READING_TELLS
        if back.ended:
            self.source_broke(back)
        elif back.pending is None:
            back.pump(READ_ON)

    def source_broke(self, direction: Direction) -> None:
        """The source was reset: nobody is left to deliver to, and the sink must hear of it."""
        if self._answerless(direction):
            return
        back = direction.peer
        back.drop()
        direction.ended = True
        self._ending = (
            Ending.CLIENT_RESET if direction.source is self.client else Ending.BACKEND_RESET
        )
        self._limit = self.engine.now + self._timeouts.half_closed
        if direction.delivered:
            self.discarding = back
            self._hasten(self.engine.now + LINGER_SECONDS)
            self.engine.again(back)
        else:
            self._pass_reset(direction)

    def end_discarding(self) -> None:
        """The side whose bytes were dropped has ended too."""
        self._end(self._ending)

    def _pass_reset(self, direction: Direction) -> None:
        """Reset the sink, as soon as it has acknowledged every byte of the direction."""
        if not _unacknowledged(direction.sink):
            self._reset(direction)
        else:
            self.resetting = direction
            # Rarer the longer it takes: many that do not read must not keep the worker busy.
            waited = self.engine.now - (self._limit - self._timeouts.half_closed)
            self._hasten(self.engine.now + max(RESET_DELIVERY_SECONDS, waited / 4))

    def _reset(self, direction: Direction) -> None:
        reset(direction.sink)
        self._end(self._ending)

    def _hasten(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self.scheduled:
            self.engine.schedule(self)

    def _answerless(self, direction: Direction) -> bool:
        """Give the client back, if its backend ended without a byte and another may be asked.

        Only while nothing but the first words went to that backend, so that they can be said again.
        """
        if direction is not self.downstream or direction.count:
            return False
        if self.upstream.count or self.upstream.delivered or not self._owner.may_ask_another():
            return False
        self.engine.cancel(self)
        self._close(self.backend)
        self.upstream.drop()
        self.downstream.drop()
        self._undo()
        self._owner.backend_silent(self)
        return True

    def _take_over(self, sock: Stream, direction: Direction) -> None:
        self.engine.hand_over(sock.fileno(), direction)
        # What came before, such as an answer with the accept, has had its edge already.
        self.engine.again(direction)

    def _settle(self) -> None:
        self._settled = True
        for sock in (self.client, self.backend):
            if sock.family not in _WITHOUT_TCP:
                _watch_peer(sock, self._timeouts)

    def _close(self, sock: Stream) -> None:
        self.engine.forget(sock.fileno())
        sock.close()

    def _end(self, ending: Ending) -> None:
        self.engine.cancel(self)
        # Bytes that are given up: a clean end would pass what was delivered off as all.
        if self.upstream.pending is not None:
            reset(self.backend)
        if self.downstream.pending is not None:
            reset(self.client)
        self._close(self.client)
        self._close(self.backend)
        self.upstream.drop()
        self.downstream.drop()
        self._owner.relay_ended(self, ending)
        self._undo()

    def _undo(self) -> None:
        # Relay and directions hold each other: undone here, memory is freed without a collector.
        up, down = self.upstream, self.downstream
        del self.upstream, self.downstream, up.peer, down.peer
        self.discarding = self.resetting = None


def _unacknowledged(sock: Stream) -> int:
    """Return the bytes that the peer may still acknowledge (SIOCOUTQ, tcp(7))."""
    if sock.family == socket.AF_VSOCK:
        return 0  # most kernels do not count; an end of it comes behind every byte, and no reset
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    if not count[0] or sock.family == socket.AF_UNIX:
        return count[0]
    if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
        return 0  # reset: the kernel still counts what nobody will acknowledge any more
    return count[0]


def _watch_peer(sock: Stream, timeouts: Timeouts) -> None:
    """Let the kernel find out that a peer is gone: idle (keepalive) or with data under way."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(timeouts.keepalive))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(timeouts.keepalive / 4)))
    # Also what ends a peer that acknowledges nothing, or keeps its window shut while we probe it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeouts.user_timeout * 1000))
