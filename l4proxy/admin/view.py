"""The daemon and its pools as JSON documents. Pure: what is read and when comes as an argument.

The keys are stable: a later version may add some, and takes none away. `docs/admin-api.md` says
what each means.
"""

import math
from typing import TypedDict

from l4proxy.admin.trust import trust_warnings
from l4proxy.telemetry.balancer import Balancer, Seat
from l4proxy.telemetry.tally import Tally, tally
from l4proxy.version import VERSION
from routing import Pool, PoolName, Route, Session, State, ineligible


class WorkerDocument(TypedDict):
    """One worker's seat."""

    number: int
    pid: int | None
    ready: bool
    applied: int
    deaths: int


class AccessLogDocument(TypedDict):
    """Lines of the access log that were dropped."""

    dropped_by_workers: int
    dropped_by_writer: int


class ConnectionsDocument(TypedDict):
    """Connections, over all workers."""

    open: int
    limit: int
    accepted: int
    forwarded: int
    refused: int


class StatusDocument(TypedDict):
    """The daemon."""

    version: str
    state: str
    snapshot: int
    listeners: list[str]
    workers: list[WorkerDocument]
    connections: ConnectionsDocument
    refused: dict[str, int]
    ended: dict[str, int]
    warnings: list[str]
    accept_pauses: dict[str, int]
    internal_failures: dict[str, int]
    access_log: AccessLogDocument


class RouteDocument(TypedDict):
    """One rule that leads to a pool."""

    pattern: str
    alpn: list[str] | None
    instance_name: bool


class CapacityDocument(TypedDict):
    """Bounds of each backend; null is none."""

    sessions_per_backend: int | None
    connections_per_backend: int | None


class TimeoutsDocument(TypedDict):
    """Deadlines in seconds; null is none."""

    connect: float
    idle: float
    half_closed: float
    lifetime: float | None
    user_timeout: float
    keepalive: float


class DiscoveryDocument(TypedDict):
    """One source of discovery of a pool."""

    source: str
    addresses: int
    age: float | None
    fault: str | None


class PoolDocument(TypedDict):
    """One pool."""

    name: str
    balance: str
    routes: list[RouteDocument]
    default: bool
    backends: list[str]
    eligible: int
    open: bool
    discovery: list[DiscoveryDocument]
    left_out: int
    connections_open: int
    capacity: CapacityDocument
    timeouts: TimeoutsDocument
    decisions: dict[str, int]


class PoolsDocument(TypedDict):
    """All pools, in the configuration's order."""

    pools: list[PoolDocument]


def state_of(balancer: Balancer) -> str:
    """Return `ready`, `stopping` or `starting`."""
    if balancer.stopping:
        return "stopping"
    return "ready" if balancer.ready else "starting"


def status_document(balancer: Balancer) -> StatusDocument:
    """Return what the daemon is and has counted."""
    counted = tally(balancer.totals, balancer.snapshot.pools)
    return {
        "version": VERSION,
        "state": state_of(balancer),
        "snapshot": balancer.version,
        "listeners": [str(address) for address in balancer.addresses],
        "workers": [_worker(seat) for seat in balancer.seats],
        "connections": {
            "open": balancer.load.open_connections(),
            "limit": balancer.snapshot.settings.connections,
            "accepted": counted.accepted,
            "forwarded": counted.forwarded,
            "refused": sum(counted.refused.values()),
        },
        "refused": dict(counted.refused),
        "ended": dict(counted.ended),
        "warnings": list(trust_warnings(balancer)),
        "accept_pauses": dict(counted.accept_pauses),
        "internal_failures": dict(counted.internal_failures),
        "access_log": {
            "dropped_by_workers": counted.log_dropped,
            "dropped_by_writer": balancer.access_log.dropped,
        },
    }


def pools_document(balancer: Balancer, now: float) -> PoolsDocument:
    """Return the pools; `now` is in monotonic seconds."""
    counted = tally(balancer.totals, balancer.snapshot.pools)
    state = State(now, 0.0, balancer.load)
    pools = balancer.snapshot.pools.pools.values()
    return {"pools": [_pool(pool, balancer, counted, state) for pool in pools]}


def _worker(seat: Seat) -> WorkerDocument:
    return {
        "number": seat.number,
        "pid": seat.pid,
        "ready": seat.ready.is_set(),
        "applied": seat.applied,
        "deaths": seat.deaths,
    }


def _pool(pool: Pool, balancer: Balancer, counted: Tally, state: State) -> PoolDocument:
    table = balancer.snapshot.pools.table
    eligible = [
        backend
        for backend in pool.backends
        if ineligible(backend, Session.NEW, pool.capacity, state) is None
    ]
    verdicts = balancer.roster.verdicts(pool.name).values()
    return {
        "name": pool.name,
        "balance": pool.balance.value,
        "routes": [_route(route) for route in table.routes if route.pool == pool.name],
        "default": table.default == pool.name,
        "backends": [backend.name for backend in pool.backends],
        "eligible": len(eligible),
        "open": bool(verdicts) and not any(verdict.healthy for verdict in verdicts),
        "discovery": _discovery(balancer, pool.name),
        "left_out": balancer.roster.left_out(pool.name),
        "connections_open": sum(state.load.connections(backend.index) for backend in pool.backends),
        "capacity": {
            "sessions_per_backend": pool.capacity.sessions,
            "connections_per_backend": pool.capacity.connections,
        },
        "timeouts": _timeouts(balancer, pool.name),
        "decisions": dict(counted.decisions[pool.name]),
    }


def _discovery(balancer: Balancer, pool: PoolName) -> list[DiscoveryDocument]:
    return [
        {
            "source": source,
            "addresses": seen.addresses,
            "age": None if seen.age is None else round(seen.age, 1),
            "fault": None if seen.fault is None else seen.fault.value,
        }
        for name, source, seen in balancer.roster.discoveries()
        if name == pool
    ]


def _route(route: Route) -> RouteDocument:
    alpn = None if route.alpn is None else sorted(name.decode("ascii") for name in route.alpn)
    return {"pattern": str(route.pattern), "alpn": alpn, "instance_name": route.instance_name}


def _timeouts(balancer: Balancer, pool: PoolName) -> TimeoutsDocument:
    found = balancer.snapshot.timeouts[pool]
    return {
        "connect": found.connect,
        "idle": found.idle,
        "half_closed": found.half_closed,
        "lifetime": None if math.isinf(found.lifetime) else found.lifetime,
        "user_timeout": found.user_timeout,
        "keepalive": found.keepalive,
    }
