"""Open sessions and connections per backend and worker, in memory that all processes see.

One anonymous shared mapping, one row a worker, two cells a backend; each cell has one writer, the
worker of its row. So a choice by load and a bound on a backend hold across workers without a
message. A reader may see a count that is a moment old, never a torn one: a cell is one aligned
32-bit word.
"""

import mmap
import os
from struct import Struct
from typing import Final

from l4proxy.limits import MAX_BACKENDS
from routing import BackendIndex, LoadView

_CELL_BYTES: Final = 4
_TOTAL: Final = MAX_BACKENDS
_SESSIONS: Final = MAX_BACKENDS + 1
"""Where the sessions of a row begin, behind its connections and their total."""
_STRIDE: Final = _SESSIONS + MAX_BACKENDS
_ROW_BYTES: Final = _STRIDE * _CELL_BYTES


MAX_LAID_OUT: Final = 4 * MAX_BACKENDS
"""Cells of a row of which it is remembered how to add them up, by pool: four states of all pools,
0.5 MB a worker; then all is forgotten, and worked out anew."""


class SharedLoad(LoadView):
    """The table, mapped into this process. Implements `routing.LoadView` over all rows."""

    __slots__ = ("_cells", "_laid_out", "_mapping", "_readers", "_sessions")

    def __init__(self, descriptor: int, rows: int) -> None:
        """Map `rows` rows of the memory behind `descriptor`, which stays the caller's."""
        self._mapping = mmap.mmap(descriptor, rows * _STRIDE * _CELL_BYTES)
        self._cells = memoryview(self._mapping).cast("i")
        self._sessions = [self.sessions_row(number) for number in range(rows)]
        self._readers: dict[tuple[BackendIndex, ...], Struct] = {}
        self._laid_out = 0

    def connections(self, index: BackendIndex, /) -> int:
        """Return the connections open to a backend."""
        return sum(self._cells[index::_STRIDE])

    def sessions(self, index: BackendIndex, /) -> int:
        """Return the sessions on a backend, as its pool counts them."""
        total = 0
        for row in self._sessions:
            total += row[index]
        return total

    def total_sessions(self, indices: tuple[BackendIndex, ...], /) -> int:
        """Return the sessions on several backends together."""
        reader = self._readers.get(indices)
        if reader is None:
            reader = self._reader(indices)
        total = 0
        for number in range(len(self._sessions)):
            cells: tuple[int, ...] = reader.unpack_from(self._mapping, number * _ROW_BYTES)
            for count in cells:  # of ten, when compiled, a quarter of what `sum` takes
                total += count
        return total

    def _reader(self, indices: tuple[BackendIndex, ...]) -> Struct:
        """Lay out the sessions of some backends in a row, so that one call reads them all."""
        if self._laid_out + len(indices) > MAX_LAID_OUT:
            self._readers.clear()
            self._laid_out = 0
        self._laid_out += len(indices)
        layout, end = ["@"], 0  # native: a cell is read as one word
        for index in sorted(indices):
            cell = _SESSIONS + index
            layout.append(f"{(cell - end) * _CELL_BYTES}xi")
            end = cell + 1
        reader = self._readers[indices] = Struct("".join(layout))
        return reader

    def open_connections(self) -> int:
        """Return the connections open in all workers, those without a backend included."""
        return sum(self._cells[_TOTAL::_STRIDE])

    def row(self, number: int) -> "memoryview[int]":
        """Return the connections of one worker, writable: [backend index], [TOTAL] at the end."""
        start = number * _STRIDE
        return self._cells[start : start + _SESSIONS]

    def sessions_row(self, number: int) -> "memoryview[int]":
        """Return the sessions of one worker, writable: [backend index]."""
        start = number * _STRIDE + _SESSIONS
        return self._cells[start : start + MAX_BACKENDS]

    def clear(self, number: int) -> None:
        """Zero the row of a worker that has ended: its connections ended with it."""
        start = number * _STRIDE * _CELL_BYTES
        self._mapping[start : start + _STRIDE * _CELL_BYTES] = bytes(_STRIDE * _CELL_BYTES)

    def close(self) -> None:
        """Unmap; rows that were handed out are released first by whoever took them."""
        for row in self._sessions:
            row.release()
        self._cells.release()
        self._mapping.close()


TOTAL: Final = BackendIndex(_TOTAL)
"""The cell of a row that counts the worker's open connections."""


def create(rows: int) -> int:
    """Create zeroed memory for `rows` workers; return its descriptor, the caller's to close."""
    descriptor = os.memfd_create("l4proxy-load", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, rows * _STRIDE * _CELL_BYTES)
    return descriptor
