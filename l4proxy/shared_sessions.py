"""Which client has a session where, in memory that all workers see.

One anonymous shared mapping, one segment a worker, written by that worker alone; the others read.
So one client that several workers serve is counted once, and its first connections, which the
kernel spreads over the workers, find the reservation of the first of them.

A segment is a table of fixed size without chains: a session stands in one of a few neighbouring
slots, or in none; then the others do not see it, and nobody else's is pushed out. A reader that
meets a slot being written may see the fields of two sessions: it prefers a backend that it need
not, or counts a client twice, for a second.
"""

import mmap
import os
from hashlib import blake2b
from secrets import token_bytes
from typing import Final, NamedTuple

from routing import BackendIndex, PoolName

SHARED_SESSIONS: Final = 65_536
"""Slots of one worker's segment, 1.5 MiB: sessions that other workers can see."""

NEIGHBOURS: Final = 4
"""Slots in which a session may stand: with half of all slots taken, 1 in 30 finds none free."""

FOREVER: Final = 2**31 - 1
"""The end of a session with an open connection, in ticks."""

TICKS: Final = 10
"""Ticks a second: 32 bits of tenths of a second last for 6.8 years of monotonic time."""

_KEY_BYTES: Final = 8
_FIELDS: Final = 4  # backend, end, reserved, end of the reservation: 32 bits each
_HEADER_BYTES: Final = 16  # the key of the hash: the same in all workers, unknown to clients
_HOMES: Final = SHARED_SESSIONS - NEIGHBOURS  # where the neighbours of a key may begin
_SEGMENT_BYTES: Final = SHARED_SESSIONS * (_KEY_BYTES + 4 * _FIELDS)


class SharedSession(NamedTuple):
    """One session as its worker tells the others; a slot of it takes four 32-bit words.

    Attributes:
        backend: Where the client was sent last.
        counted: Whether the worker counts it.
        ends: When it ends, ticks.
        reserved: Where the client's next new connections go.
        reserved_until: Until when, ticks; 0: there is no reservation.
    """

    backend: BackendIndex
    counted: bool
    ends: int
    reserved: BackendIndex
    reserved_until: int


class SharedSessions:
    """All segments, mapped into the process of one worker, which writes its own."""

    __slots__ = ("_fields", "_keys", "_mapping", "_others", "_own", "_secret")

    def __init__(self, descriptor: int, rows: int, row: int) -> None:
        """Map the segments of `rows` workers behind `descriptor`, as the worker of `row`."""
        self._mapping = mmap.mmap(descriptor, _size(rows))
        view = memoryview(self._mapping)
        self._secret = bytes(view[:_HEADER_BYTES])
        keys_end = _HEADER_BYTES + rows * SHARED_SESSIONS * _KEY_BYTES
        self._keys = view[_HEADER_BYTES:keys_end].cast("Q")
        self._fields = view[keys_end:].cast("i")
        self._own = row * SHARED_SESSIONS
        self._others = [n * SHARED_SESSIONS for n in range(rows) if n != row]

    @property
    def alone(self) -> bool:
        """Whether there is no other worker to tell, or to ask."""
        return not self._others

    def key_of(self, pool: PoolName, client: bytes) -> int:
        """Return the key of a client's session with a pool: 62 bits, never 0."""
        named = b"%s\0%s" % (pool.encode(), client)
        keyed = blake2b(named, digest_size=_KEY_BYTES, key=self._secret)
        # What is longer is no machine word in compiled code.
        return int.from_bytes(keyed.digest(), "little") >> 2 or 1

    def claim(self, key: int) -> int | None:
        """Return a free slot of this worker for a new session, if one of its neighbours is."""
        at = self._own + key % _HOMES
        for slot in range(at, at + NEIGHBOURS):
            if self._keys[slot] == 0:
                return slot
        return None

    def write_reservation(self, slot: int, reserved: BackendIndex, until: int) -> None:
        """Tell the others where the client of a slot should go, and until when, ticks."""
        at = _FIELDS * slot + 2
        self._fields[at] = reserved
        self._fields[at + 1] = until

    def write_end(self, slot: int, ends: int) -> None:
        """Tell the others when the session in a slot ends, ticks."""
        self._fields[_FIELDS * slot + 1] = ends

    def write(self, slot: int, key: int, backend: BackendIndex, *, counted: bool) -> None:
        """Tell the others of a session in a slot that was claimed for it: the last to be written.

        Only by its key do they find it.
        """
        index = backend + 1
        self._fields[_FIELDS * slot] = index if counted else -index
        self._keys[slot] = key

    def free(self, slot: int) -> None:
        """Give a slot back."""
        self._keys[slot] = 0

    def elsewhere(self, key: int, now: int) -> list[tuple[int, SharedSession]]:
        """Return what other workers say of a live session, each with where its segment begins."""
        found: list[tuple[int, SharedSession]] = []
        home = key % _HOMES
        for segment in self._others:
            at = segment + home
            for slot in range(at, at + NEIGHBOURS):
                if self._keys[slot] == key:
                    self._read(slot, segment, now, found)
        return found

    def outranks(self, segment: int) -> bool:
        """Say whether another worker goes on counting where both have begun to."""
        return segment < self._own

    def clear(self) -> None:
        """Forget what a worker that had this row before has left."""
        keys = self._keys[self._own : self._own + SHARED_SESSIONS]
        keys.cast("B")[:] = bytes(SHARED_SESSIONS * _KEY_BYTES)

    def _read(
        self, slot: int, segment: int, now: int, found: list[tuple[int, SharedSession]]
    ) -> None:
        """Add what stands in a slot of another worker's segment, if it lives."""
        at = _FIELDS * slot
        index, ends, reserved, until = self._fields[at : at + _FIELDS]
        if ends > now or until > now:
            backend = BackendIndex(abs(index) - 1)
            other = SharedSession(backend, index > 0, ends, BackendIndex(reserved), until)
            found.append((segment, other))


def create_sessions(rows: int) -> int:
    """Create empty segments for `rows` workers; return the descriptor, the caller's to close."""
    descriptor = os.memfd_create("l4proxy-sessions", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, _size(rows))
    os.pwrite(descriptor, token_bytes(_HEADER_BYTES), 0)
    return descriptor


def _size(rows: int) -> int:
    return _HEADER_BYTES + rows * _SEGMENT_BYTES
