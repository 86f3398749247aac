"""Everything a worker decides by, as one immutable value that is swapped whole.

The supervisor builds it from the configuration and from what it has learned; workers are sent it
as `l4proxy.snapshot_cbor` writes it. Nothing is changed in place: routes, pools and settings change
together or not at all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from l4proxy.limits import WAITING_SHARE
from l4proxy.refusal import RefusalStyle
from routing import Address, BackendName, PoolName, Pools
from sni import HelloLimits


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a pool's connections, seconds.

    Attributes:
        connect: From dial to an answered connect.
        idle: Without a byte either way.
        half_closed: The same, once one direction has ended.
        lifetime: Of the whole relay; infinite where it is off.
        user_timeout: Unacknowledged data, to either peer (TCP_USER_TIMEOUT).
        keepalive: Idle before the kernel asks a peer whether it lives (TCP_KEEPIDLE).
    """

    connect: float
    idle: float
    half_closed: float
    lifetime: float = math.inf
    user_timeout: float = 120.0
    keepalive: float = 60.0


class ProxyVersion(IntEnum):
    """The version of the PROXY header that a backend is sent."""

    V1 = 1
    V2 = 2


@dataclass(frozen=True, slots=True)
class Dialling:
    """How a pool's backends are dialled.

    Attributes:
        proxy: The backends that are told who the client is, and how.
        sources: Local IP literals that dials leave from, each backend's family's in turn; none:
            the kernel chooses.
    """

    proxy: Mapping[BackendName, ProxyVersion] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    def sources_for(self, backend: Address) -> list[str]:
        """Return the sources of a backend's address family, a new list."""
        if not self.sources or not backend.is_ip:
            return []
        return [each for each in self.sources if (":" in each) == backend.is_ipv6]


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What a session of a pool is, and what tells whose it is.

    Attributes:
        idle: Seconds that it lasts once its last connection has ended.
        reservation: Seconds for which a client's new connections follow its first; 0: they do not.
        by_connections: Whether each connection counts as a session of its own.
        learns: Whether ticket names are learned, so that an unknown one is worth a wait.
        observes: Whether session ids and tickets are remembered that backends show in the clear.
    """

    idle: float = 600.0
    reservation: float = 0.0
    by_connections: bool = False
    learns: bool = False
    observes: bool = False


@dataclass(frozen=True, slots=True)
class Entrance:
    """What holds for one listener.

    Attributes:
        name: Its address as configured, for the log.
        proxied: Whether a PROXY header must stand before the hello.
        trusted: Networks, in CIDR, whose PROXY headers are believed; nobody else may connect there.
    """

    name: str
    proxied: bool = False
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every connection.

    Attributes:
        refusal: How a refused client is told.
        hello_timeout: Seconds from accept to decision.
        hello: What a hello may take.
        connections: Most open client connections, over all workers.
        worker_connections: Most open client connections of one worker: its descriptors' room.
        per_client: Most open connections of one client address in one worker; 0: no such bound.
        buffers: Most bytes that one worker keeps for slow readers.
        access_log: Whether a line is written for each connection.
        full_addresses: Whether that line tells the client's address, not only its network.
        entrances: The listeners, in the order in which their sockets are passed.
    """

    refusal: RefusalStyle
    hello_timeout: float
    hello: HelloLimits
    connections: int
    worker_connections: int
    per_client: int = 0
    buffers: int = 256 * 1024 * 1024
    access_log: bool = False
    full_addresses: bool = False
    entrances: tuple[Entrance, ...] = ()

    @property
    def waiting(self) -> int:
        """Most clients of one worker that may wait for their hello at once."""
        return max(1, int(min(self.connections, self.worker_connections) * WAITING_SHARE))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of everything.

    Attributes:
        pools: Routing's own part.
        timeouts: Deadlines of each pool.
        settings: What holds for all.
        dialling: How each pool's backends are dialled.
        sessions: What a session of each pool is.
    """

    pools: Pools
    timeouts: Mapping[PoolName, Timeouts]
    settings: Settings
    dialling: Mapping[PoolName, Dialling]
    sessions: Mapping[PoolName, SessionRules]
