"""A snapshot on its way to a worker: CBOR there, the nouns of `routing` again on arrival.

Both ends are processes of one balancer and of one version, so this is no format for anybody else.
"""

from collections.abc import Callable, Iterable
from dataclasses import astuple, replace
from functools import lru_cache
from typing import TypedDict, TypeVar

import cbor2

from l4proxy.refusal import RefusalStyle
from l4proxy.snapshot import (
    Dialling,
    Entrance,
    ProxyVersion,
    SessionRules,
    Settings,
    Snapshot,
    Timeouts,
)
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    ExternalPsks,
    Hashing,
    HostPattern,
    Mark,
    Pool,
    PoolName,
    Pools,
    RoutableNames,
    Route,
    RouteTable,
    TicketLayout,
    TicketName,
    TicketNames,
)
from sni import HelloLimits

# Sets of routing keys kept as they arrive.
_KEPT_KEYS = 512

# Ticket names of the snapshot before, as they travel and as they arrive: a thousand take
# milliseconds, and mostly they are the same ones. No older ones, which are megabytes each.
_written = dict[TicketNames, bytes]()
_read = dict[bytes, TicketNames]()

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_RouteRow = tuple[str, PoolName, list[bytes] | None, bool]
_AddressRow = tuple[str, int]
_MarksRow = tuple[bool, bool, bool, bool, float | None]
_ClaimsRow = tuple[int | None, float | None, bool, float | None]
_BackendRow = tuple[str, int, _AddressRow, int, _MarksRow, _ClaimsRow]
_NameRow = tuple[int, int, bytes, str]


class _PoolRow(TypedDict):
    name: PoolName
    backends: list[_BackendRow]
    balance: str
    capacity: tuple[int | None, int | None]
    names: bytes
    keys: list[bytes]
    psks: tuple[dict[bytes, BackendName], bool]
    hashing: str
    slow_start: float
    mark: tuple[int, list[BackendName]]
    park: float


class _Document(TypedDict):
    routes: list[_RouteRow]
    default: PoolName | None
    pools: list[_PoolRow]
    timeouts: dict[PoolName, list[float]]
    dialling: dict[PoolName, tuple[dict[BackendName, int], list[str]]]
    sessions: dict[PoolName, tuple[float, float, bool, bool, bool]]
    refusal: str
    hello: tuple[int, int]
    entrances: list[tuple[str, bool, list[str]]]
    settings: tuple[float, int, int, int, int, bool, bool]


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Encode a snapshot as CBOR, for a worker of the same version."""
    table = snapshot.pools.table
    settings = snapshot.settings
    _renew(_written, (pool.ticket_names for pool in snapshot.pools.pools.values()), _write_names)
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
            "sessions": {name: astuple(found) for name, found in snapshot.sessions.items()},
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
    _renew(_read, (row["names"] for row in found["pools"]), _read_names)
    table = RouteTable(tuple(_route(row) for row in found["routes"]), found["default"])
    known = before.pools.pools if before is not None else {}
    pools = [_pool(row, known.get(row["name"])) for row in found["pools"]]
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
        sessions={name: SessionRules(*row) for name, row in found["sessions"].items()},
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
    return {
        "name": pool.name,
        "backends": [_backend_row(backend) for backend in pool.backends],
        "balance": pool.balance.value,
        "capacity": (pool.capacity.sessions, pool.capacity.connections),
        "names": _written[pool.ticket_names],
        "keys": _secrets(pool.routable),
        "psks": (dict(pool.external_psks.owners), pool.external_psks.hashed),
        "hashing": pool.hashing.value,
        "slow_start": pool.slow_start,
        "mark": (pool.mark.below, list(pool.mark.order)),
        "park": pool.park,
    }


def _pool(row: _PoolRow, before: Pool | None) -> Pool:
    pool = Pool(
        row["name"],
        tuple(_backend(each) for each in row["backends"]),
        Balance(row["balance"]),
        Capacity(*row["capacity"]),
        ticket_names=_read[row["names"]],
        routable=_keys(tuple(row["keys"])),
        external_psks=ExternalPsks(*row["psks"]),
        hashing=Hashing(row["hashing"]),
        slow_start=row["slow_start"],
        mark=Mark(row["mark"][0], tuple(row["mark"][1])),
        park=row["park"],
    )
    return pool if before is None else replace(pool, ranking=before.ranking)


def _renew(kept: dict[_Key, _Value], keys: Iterable[_Key], make: Callable[[_Key], _Value]) -> None:
    """Keep what these keys have, made where it is new, and nothing else."""
    fresh = {key: kept[key] if key in kept else make(key) for key in keys}
    kept.clear()
    kept.update(fresh)


def _write_names(names: TicketNames) -> bytes:
    rows = [(each.layout.offset, each.layout.length, each.name, each.owner) for each in names.names]
    return cbor2.dumps(sorted(rows))


def _read_names(written: bytes) -> TicketNames:
    rows: list[_NameRow] = cbor2.loads(written)
    return TicketNames(
        TicketName(TicketLayout(offset, length), name, BackendName(owner))
        for offset, length, name, owner in rows
    )


# Only a worker that has keys loads the cipher: a tenth of what its start takes.


def _secrets(names: RoutableNames | None) -> list[bytes]:
    if names is None:
        return []
    from l4proxy.routable import RoutingKeys  # noqa: PLC0415 - see above

    return [key.secret for key in names.keys] if isinstance(names, RoutingKeys) else []


@lru_cache(maxsize=_KEPT_KEYS)
def _keys(secrets: tuple[bytes, ...]) -> RoutableNames | None:
    if not secrets:
        return None
    from l4proxy.routable import RoutingKey, RoutingKeys  # noqa: PLC0415 - see above

    return RoutingKeys(RoutingKey(secret) for secret in secrets)


def _backend_row(backend: Backend) -> _BackendRow:
    return (
        backend.name,
        backend.index,
        (backend.address.host, backend.address.port),
        backend.weight,
        (
            backend.healthy,
            backend.trusted,
            backend.active,
            backend.draining,
            backend.drain_deadline,
        ),
        (backend.server_id, backend.returned_at, backend.refuted, backend.load),
    )


def _backend(row: _BackendRow) -> Backend:
    name, index, (host, port), weight, marks, claims = row
    return Backend(
        BackendName(name),
        BackendIndex(index),
        Address(host, port),
        weight,
        *marks,
        *claims,
    )
