"""What a connection finds around it: the worker, as far as a connection may see it."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from l4proxy.dataplane.access_log import AccessLog
from l4proxy.dataplane.admission import Admission
from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.closing import Closing
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.observing import Observer
from l4proxy.dataplane.places import Places
from l4proxy.dataplane.waits import Waits
from l4proxy.snapshot import Entrance, Snapshot
from routing import LoadView


class Peer(NamedTuple):
    """Who connected, and where. A tuple: one is made per connection.

    Attributes:
        address: Packed: 4 bytes IPv4, 16 bytes IPv6.
        port: The peer's port.
        entrance: The listener's part of the snapshot.
    """

    address: bytes
    port: int
    entrance: Entrance


class Room(Protocol):
    """The worker."""

    engine: Engine
    snapshot: Snapshot
    counters: Counters
    backlog: Backlog
    admission: Admission
    access_log: AccessLog
    places: Places
    waits: Waits
    observer: Observer
    closing: Closing
    turns: Iterator[int]

    @property
    def load(self) -> LoadView:
        """Open connections and sessions per backend, over all workers."""

    def connection_ended(self) -> None:
        """Count one open connection less."""

    def report_failure(self, error: Exception) -> None:
        """Report an error nobody foresaw."""
