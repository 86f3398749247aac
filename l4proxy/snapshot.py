"""Everything a worker decides by, as one immutable value that is swapped whole.

The supervisor builds it from the configuration and sends it encoded; a worker decodes it into the
nouns of `routing`. Nothing is changed in place: routes, pools and settings change together or not
at all.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from enum import IntEnum
from typing import TypedDict

import cbor2

from l4proxy.limits import WAITING_SHARE
from l4proxy.refusal import RefusalStyle
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    HostPattern,
    Pool,
    PoolName,
    Pools,
    Route,
    RouteTable,
)
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
        if not self.sources or backend.host.startswith("/"):
            return []
        return [each for each in self.sources if (":" in each) == (":" in backend.host)]


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
    """

    pools: Pools
    timeouts: Mapping[PoolName, Timeouts]
    settings: Settings
    dialling: Mapping[PoolName, Dialling]


_RouteRow = tuple[str, PoolName, list[bytes] | None, bool]
_BackendRow = tuple[str, int, str, int, int, bool, bool, bool, bool, float | None]
_PoolRow = tuple[PoolName, str, int | None, int | None, list[_BackendRow]]


class _Document(TypedDict):
    routes: list[_RouteRow]
    default: PoolName | None
    pools: list[_PoolRow]
    timeouts: dict[PoolName, list[float]]
    dialling: dict[PoolName, tuple[dict[BackendName, int], list[str]]]
    refusal: str
    hello: tuple[int, int]
    entrances: list[tuple[str, bool, list[str]]]
    settings: tuple[float, int, int, int, int, bool, bool]


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Encode a snapshot as CBOR, for a worker of the same version."""
    table = snapshot.pools.table
    settings = snapshot.settings
    return cbor2.dumps(
        {
            "routes": [_route_row(route) for route in table.routes],
            "default": table.default,
            "pools": [_pool_row(pool) for pool in snapshot.pools.pools.values()],
            "timeouts": {name: astuple(found) for name, found in snapshot.timeouts.items()},
            "dialling": {
                name: (dict(found.proxy), found.sources)
                for name, found in snapshot.dialling.items()
            },
            "refusal": settings.refusal.value,
            "hello": astuple(settings.hello),
            "entrances": [astuple(entrance) for entrance in settings.entrances],
            "settings": [
                settings.hello_timeout,
                settings.connections,
                settings.worker_connections,
                settings.per_client,
                settings.buffers,
                settings.access_log,
                settings.full_addresses,
            ],
        }
    )


def decode_snapshot(document: bytes, before: Snapshot | None = None) -> Snapshot:
    """Decode what `encode_snapshot` made.

    Args:
        document: The encoded snapshot.
        before: The one in force, whose pools hand their rankings on where the members are the same:
            a change of health must not cost each worker the work of ranking anew.

    The document comes from our own supervisor, of the same version: one that is broken raises
    whatever building the nouns of `routing` raises, and ends the worker.
    """
    found: _Document = cbor2.loads(document)
    table = RouteTable(tuple(_route(row) for row in found["routes"]), found["default"])
    known = before.pools.pools if before is not None else {}
    pools = [_pool(row, known.get(row[0])) for row in found["pools"]]
    return Snapshot(
        pools=Pools(table, {pool.name: pool for pool in pools}),
        timeouts={name: Timeouts(*row) for name, row in found["timeouts"].items()},
        dialling={
            name: Dialling(
                {backend: ProxyVersion(version) for backend, version in proxy.items()},
                tuple(sources),
            )
            for name, (proxy, sources) in found["dialling"].items()
        },
        settings=_settings(found),
    )


def _settings(found: _Document) -> Settings:
    timeout, connections, worker_connections, per_client, buffers, *log = found["settings"]
    access_log, full_addresses = log
    return Settings(
        RefusalStyle(found["refusal"]),
        timeout,
        HelloLimits(*found["hello"]),
        connections,
        worker_connections,
        per_client,
        buffers,
        access_log,
        full_addresses,
        tuple(Entrance(name, proxied, tuple(nets)) for name, proxied, nets in found["entrances"]),
    )


def _route_row(route: Route) -> _RouteRow:
    alpn = None if route.alpn is None else sorted(route.alpn)
    # The table refuses a route without a pattern: the default route stands apart.
    return str(route.pattern), route.pool, alpn, route.instance_name


def _route(row: _RouteRow) -> Route:
    pattern, pool, alpn, instance_name = row
    protocols = None if alpn is None else frozenset(alpn)
    return Route(HostPattern.parse(pattern), pool, protocols, instance_name)


def _pool_row(pool: Pool) -> _PoolRow:
    rows = [_backend_row(backend) for backend in pool.backends]
    return pool.name, pool.balance.value, pool.capacity.sessions, pool.capacity.connections, rows


def _pool(row: _PoolRow, before: Pool | None) -> Pool:
    name, balance, sessions, connections, rows = row
    backends = tuple(_backend(row) for row in rows)
    pool = Pool(name, backends, Balance(balance), Capacity(sessions, connections))
    return pool if before is None else replace(pool, ranking=before.ranking)


def _backend_row(backend: Backend) -> _BackendRow:
    return (
        backend.name,
        backend.index,
        backend.address.host,
        backend.address.port,
        backend.weight,
        backend.healthy,
        backend.trusted,
        backend.active,
        backend.draining,
        backend.drain_deadline,
    )


def _backend(row: _BackendRow) -> Backend:
    name, index, host, port, weight, healthy, trusted, active, draining, deadline = row
    return Backend(
        BackendName(name),
        BackendIndex(index),
        Address(host, port),
        weight,
        healthy,
        trusted,
        active,
        draining,
        deadline,
    )
