"""Backends that have left the snapshot: their counters go once their last connection has ended.

Where names of a directory come and go, a worker would else keep rows of every address there ever
was, until there is no room for those of new backends.
"""

from l4proxy.dataplane.counters import backend_label
from routing import BackendIndex, Pools


class Departures:
    """Backends that were in a snapshot and are not in the newest."""

    __slots__ = ("_gone", "_present")

    def __init__(self) -> None:
        """Start before the first snapshot."""
        self._present: dict[str, BackendIndex] = {}
        self._gone: dict[str, BackendIndex] = {}

    def apply(self, pools: Pools) -> None:
        """Note who is there by now; whoever has come back is not gone."""
        present = {
            backend_label(pool.name, backend.name): backend.index
            for pool in pools.pools.values()
            for backend in pool.backends
        }
        self._gone |= self._present
        for label in present.keys() & self._gone.keys():
            del self._gone[label]
        self._present = present

    def ended(self, open_connections: "memoryview[int]") -> set[str]:
        """Return the labels of those without an open connection here, each of them once.

        Args:
            open_connections: By the backend's index. A cell that another backend has by now only
                makes us wait longer.
        """
        ended = {label for label, index in self._gone.items() if not open_connections[index]}
        for label in ended:
            del self._gone[label]
        return ended
