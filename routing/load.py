"""How busy each backend is: the view that a decision reads, and the simplest thing behind it."""

from collections import Counter
from typing import Protocol

from routing.backend import BackendIndex


class LoadView(Protocol):
    """Open sessions and connections per backend, as of now. Reading never fails and never waits."""

    __slots__ = ()

    def sessions(self, index: BackendIndex, /) -> int:
        """Return the sessions on one backend."""
        ...

    def connections(self, index: BackendIndex, /) -> int:
        """Return the connections open to one backend."""
        ...

    def total_sessions(self, indices: tuple[BackendIndex, ...], /) -> int:
        """Return the sessions on several backends together.

        Asked by affinity of a backend with many, with the same tuple of distinct indices while a
        pool stays the same. It is a question of its own because who holds the cells adds them up
        faster than a caller.
        """
        ...


class OpenConnections(LoadView):
    """Connections counted in memory, each as a session: the load view of one process.

    Whoever acts on a decision calls `opened` and, once for
    each, `closed`. Holds one number for each backend that has a connection, none for the others.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: Counter[BackendIndex] = Counter()

    def opened(self, index: BackendIndex) -> None:
        """Count a connection to a backend."""
        self._open[index] += 1

    def closed(self, index: BackendIndex) -> None:
        """Count a connection no more.

        Raises:
            ValueError: The backend has none open; the caller closed something twice.

        """
        if index not in self._open:
            raise ValueError(f"backend {index} closed a connection, but none of its own is open")
        self._open[index] -= 1
        if not self._open[index]:
            del self._open[index]

    def connections(self, index: BackendIndex, /) -> int:
        """Return the connections open to one backend."""
        return self._open[index]

    def sessions(self, index: BackendIndex, /) -> int:
        """Return the sessions on one backend: here, its connections."""
        return self._open[index]

    def total_sessions(self, indices: tuple[BackendIndex, ...], /) -> int:
        """Return the sessions on several backends together."""
        return sum(map(self._open.__getitem__, indices))

    def statistics(self) -> dict[BackendIndex, int]:
        """Return a copy of the counts, backends without a connection left out."""
        return dict(self._open)
