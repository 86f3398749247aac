"""The copy: bytes one way, untouched.

The hot path, and it knows nothing: no names, no pools. A direction reads once per readiness into
one shared buffer and sends at once; only what the sink did not take is kept, and while something is
kept its source is not read, so the kernel's windows carry the back-pressure. No object is made for
a chunk, and in the compiled build most are copied by the wait that announces them (`Link`). What an
end or a break means is for the relay to say.
"""

import os
import select
import socket
import sys
from abc import ABC, abstractmethod
from typing import Final, Self

from l4proxy.dataplane.backlog import Backlog, Kept
from l4proxy.dataplane.engine import NEVER, WRITABLE, Engine, Watcher
from l4proxy.dataplane.epoll import Link
from l4proxy.dataplane.send_buffer import room
from l4proxy.dataplane.stream import NotTaken, Stream, copy
from l4proxy.limits import BULK_READ_BYTES, READS_PER_TURN, RELAY_BUFFER_BYTES

_BROKEN: Final = select.EPOLLERR | select.EPOLLHUP

READ_ON: Final = select.EPOLLRDHUP | select.EPOLLPRI
"""For `Direction.pump`: do not trust a short read, look for the end of file behind it."""

RESTS_BEFORE_LINK: Final = 2
"""Times that a source was read until it was empty before its direction gets a link: a link costs
more than the one chunk that most directions have."""

_ERROR: Final = socket.SOL_SOCKET, socket.SO_ERROR, 4
_TOLD: Final = READ_ON | _BROKEN
_END: Final = select.EPOLLRDHUP
_INTERNET: Final = {socket.AF_INET, socket.AF_INET6}

_BULK: Final = memoryview(bytearray(BULK_READ_BYTES))
"""Shared by all relays of this process: nothing stays in it beyond one read and its send."""
_BUFFER: Final = _BULK[:RELAY_BUFFER_BYTES]
"""As much of it as most reads get."""

_copy: Final = copy  # compiled code looks a name of another module up each time, but no `Final`

# In the pure build accepted sockets are blocking as the kernel made them: see `Stream`.
_RECEIVE: Final = socket.MSG_DONTWAIT
_SEND: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Joint(ABC):
    """What a direction tells: the relay that joins it to its peer."""

    __slots__ = ("active_at", "backlog", "born_at", "deadline", "discarding", "engine")

    engine: Engine
    backlog: Backlog
    deadline: float
    active_at: float
    born_at: float
    discarding: "Direction | None"

    @abstractmethod
    def arrived(self, direction: "Direction", data: memoryview) -> bool:
        """Look at bytes before they are sent; return whether to show those that follow, too."""

    @abstractmethod
    def source_ended(self, direction: "Direction") -> None:
        """Hear that the source has ended, with nothing pending."""

    @abstractmethod
    def source_broke(self, direction: "Direction") -> None:
        """Hear that the source was reset."""

    @abstractmethod
    def sink_broke(self, direction: "Direction", error: OSError) -> None:
        """Hear that a send failed."""

    @abstractmethod
    def end_discarding(self) -> None:
        """Hear that the source whose bytes are dropped has ended."""

    @abstractmethod
    def cut(self) -> None:
        """Hear that the process ends."""

    @abstractmethod
    def shed(self) -> None:
        """Hear that what is kept must be given up."""

    @abstractmethod
    def on_failure(self, error: Exception) -> None:
        """Hear of an error nobody foresaw."""


class Direction(Watcher, Kept):
    """Half a relay: from `source` to `sink`. It watches the descriptor of its source.

    Attributes:
        pending: Bytes read and not yet taken by the sink, at most `RELAY_BUFFER_BYTES`; or None.
        ended: Nothing more will be read: end of file, or the source broke; then nothing is pending.
        delivered: Everything and the end of file have been handed to the sink's kernel buffer.
        count: Bytes read from the source; those of its link are added in the end.
        watched: What is read is shown to the relay: the first bytes, and more if it asks for them.
    """

    __deletable__ = ("peer",)  # for mypyc: what `del` may take away
    __slots__ = (
        "_armed",
        "_buffer",
        "_by_hand",
        "_link",
        "_relay",
        "_rests",
        "_size",
        "count",
        "delivered",
        "ended",
        "peer",
        "pending",
        "reset",
        "sink",
        "source",
        "watched",
    )

    peer: Self

    def __init__(self, relay: Joint, source: Stream, sink: Stream) -> None:
        """Make an idle direction; the relay joins it to its peer and registers its source."""
        self._relay = relay
        self.source = source
        self.sink = sink
        self.pending: bytes | memoryview | None = None
        self.ended = False
        self.delivered = False
        self.reset = False
        self.count = 0
        self.watched = True
        self._armed = False
        self._buffer = _BUFFER
        self._size: int = RELAY_BUFFER_BYTES
        self._link: Link | None = None
        self._by_hand = False  # nobody else can copy
        self._rests = 0

    def on_ready(self, events: int) -> None:
        """Take room that the source socket has for the other direction, then read from it."""
        relay = self._relay
        if relay.deadline == NEVER:
            return  # ended in this very turn
        relay.active_at = relay.engine.now
        peer = self.peer
        if peer.pending is not None:
            peer.flush()
        if not self.ended and self.pending is None:
            self.pump(events)
        elif relay.discarding is self:
            self._discard()
        elif self.ended and not peer.ended and events & _BROKEN:
            self._hear_break()

    def on_cut(self) -> None:
        """End the whole relay, for the process ends."""
        self._relay.cut()

    def on_failure(self, error: Exception) -> None:
        """End the whole relay."""
        self._relay.on_failure(error)

    def pump(self, events: int) -> None:
        """Read and send until the source is empty, the sink is full or it is others' turn.

        Args:
            events: With EPOLLRDHUP the end of file is behind the data, with nothing to announce it
                again; without it a short read has emptied the source, and new data is a new edge.
                With EPOLLPRI a read may be short that has not: it stops at urgent data (tcp(7)).
        """
        left = READS_PER_TURN
        while left > 0:
            try:
                link, buffer = self._link, self._buffer
                received = link.copy(buffer) if link else _copy(self.source, self.sink, buffer)
            except NotTaken as error:
                self._stick(error)
                return
            except OSError as error:
                self._not_read(error)
                return
            if not received:
                self._relay.source_ended(self)
                return
            if self.watched:
                self.watched = self._relay.arrived(self, _BULK[:received])
            self.count += received
            left -= received // RELAY_BUFFER_BYTES or 1
            if received < self._size and (not events & READ_ON or self._ends_here(events)):
                if not self._by_hand or self._size != RELAY_BUFFER_BYTES:
                    self._rest()
                return
            self._measure(received)
        self._relay.engine.again(self)

    def _ends_here(self, events: int) -> bool:
        """Pass the end on if a short read has taken all before it: no other read need find it.

        Who was joined in this very turn may hear what a descriptor of the same number was told.
        A peer that forges segments can have urgent data hidden from epoll, and loses its own bytes.
        """
        relay = self._relay
        if (
            events & _TOLD != _END
            or relay.born_at >= relay.engine.now
            or self.source.family not in _INTERNET
        ):
            return False
        relay.source_ended(self)
        return True

    def _rest(self) -> None:
        """Leave what comes next to the wait itself: the source is empty, and the sink took all."""
        if self._size != RELAY_BUFFER_BYTES:
            self._resize(RELAY_BUFFER_BYTES)
        if self.ended or self.watched or self._by_hand:
            return
        if self._link is not None:
            self._link.open()
            return
        self._rests += 1
        if self._rests >= RESTS_BEFORE_LINK:
            self._link = self._relay.engine.link(self.source, self.sink)
            self._by_hand = self._link is None

    def _measure(self, received: int) -> None:
        """Read more at once after a full read, as far as the sink takes all: nothing is kept."""
        free = room(self.sink) if received == self._size else 0
        self._resize(max(RELAY_BUFFER_BYTES, min(free, BULK_READ_BYTES)))

    def _resize(self, size: int) -> None:
        self._size = size
        self._buffer = _BUFFER if size == RELAY_BUFFER_BYTES else _BULK[:size]

    def flush(self) -> None:
        """Send what is pending; when all of it is gone, go on where the direction stopped."""
        pending, self.pending = self.pending, None
        if pending is None or not self._send(memoryview(pending)):
            return
        self._relay.backlog.release(self)
        # What came in while we did not read has had its edge already: read to the very end.
        self.pump(READ_ON)

    def keep(self, rest: bytes) -> None:
        """Start with bytes that were not read here: what a dial could not send of the hello."""
        self._keep(rest)

    def drop(self) -> None:
        """Read nothing more, and forget what is pending."""
        self.ended = True
        if self._link is not None:
            self.count += self._link.count
            self._link.close()
            self._link = None
        if self._armed:  # else nothing was ever kept
            self.pending = None
            self._relay.backlog.release(self)

    def copied_at(self) -> float:
        """Return the monotonic seconds of the last bytes that its link has copied; 0: none."""
        return 0.0 if self._link is None else self._link.active_at

    def give_up(self) -> None:
        """End the relay: this direction has waited longest, and others need the room."""
        self._relay.shed()

    def _keep(self, rest: bytes) -> None:
        self.pending = rest
        self._resize(RELAY_BUFFER_BYTES)
        # Once is enough: an edge for room comes only after a send that found none.
        if not self._armed:
            self._armed = True
            self._relay.engine.modify(self.sink.fileno(), WRITABLE)
        self._relay.backlog.keep(self, len(rest))

    def _send(self, data: memoryview) -> bool:
        try:
            sent = self.sink.send(data, _SEND)
        except OSError as error:
            self._not_sent(data, error)
            return False
        if sent == len(data):
            return True
        self._keep(bytes(data[sent:]))
        return False

    def _stick(self, error: NotTaken) -> None:
        """Count what was read, and keep what the sink did not take of it."""
        received, sent, code = error.args
        if self.watched:
            self.watched = self._relay.arrived(self, _BULK[:received])
        self.count += received
        self._not_sent(_BULK[sent:received], OSError(code, os.strerror(code)))

    def _not_read(self, error: OSError) -> None:
        if not isinstance(error, BlockingIOError):
            self._relay.source_broke(self)

    def _not_sent(self, data: memoryview, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            self._keep(bytes(data))
        else:
            self._relay.sink_broke(self, error)

    def _hear_break(self) -> None:
        """Hear of a reset behind the end of file: nothing will be read or sent that would tell."""
        code = int.from_bytes(self.source.getsockopt(*_ERROR), sys.byteorder)
        if code:
            self._relay.sink_broke(self.peer, OSError(code, os.strerror(code)))

    def _discard(self) -> None:
        try:
            for _ in range(READS_PER_TURN):
                if not self.source.recv_into(_BUFFER, 0, _RECEIVE):
                    self._relay.end_discarding()
                    return
        except BlockingIOError:
            return
        except OSError:
            self._relay.end_discarding()
            return
        self._relay.engine.again(self)
