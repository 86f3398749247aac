"""From the configuration to what workers decide by: cells for backends, numbers for limits."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from l4proxy.config import Config, Count, LogClients, PoolSettings, TimeoutSettings
from l4proxy.control.found import Phase
from l4proxy.control.membership import Member, MemberKey
from l4proxy.control.roll import Roll
from l4proxy.limits import (
    DESCRIPTORS_PER_CONNECTION,
    MAX_BACKENDS,
    MOST_HELLO_RECORDS,
    RESERVED_DESCRIPTORS,
)
from l4proxy.refusal import RefusalStyle
from l4proxy.routable import RoutingKeys
from l4proxy.snapshot import Dialling, Entrance, SessionRules, Settings, Snapshot, Timeouts
from routing import (
    NO_MARK,
    Backend,
    BackendIndex,
    BackendName,
    Capacity,
    ExternalPsks,
    LoadView,
    Mark,
    Pool,
    PoolName,
    Pools,
    Route,
    RouteTable,
    TicketNames,
)
from sni import HelloLimits

_NO_NAMES = TicketNames()

MAX_WAKING = 64
"""Backends that workers may wake by themselves between two rounds: each that is awake and full is
looked at in each decision, which takes half a microsecond."""


class TooManyBackends(ValueError):
    """The pools have more backends than the shared load table has cells."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the machine gives.

    Attributes:
        workers: Worker processes.
        descriptors: The descriptor limit of each.
    """

    workers: int
    descriptors: int


class Cells:
    """Which cell of the shared load table counts which backend.

    A backend keeps its cell over reloads as long as its pool and name stay: its connections are
    still counted there. The cell of a backend that is gone is given to another only when none of
    the connections that outlive it is counted there any more, and while there are others not as
    long as one of its sessions is.
    """

    def __init__(self, load: LoadView | None = None) -> None:
        """Start with every cell free.

        Args:
            load: The counts in the cells; None: nothing runs, so all are zero.
        """
        self._load = load
        self._cells: dict[MemberKey, BackendIndex] = {}

    def assign(self, keys: list[MemberKey]) -> None:
        """Give each backend of a new configuration a cell, and forget those that are gone.

        Raises:
            TooManyBackends: More than `MAX_BACKENDS`, removed ones with connections included.
        """
        self._cells = self._assigned(keys)

    def check(self, roll: Roll, *joining: MemberKey) -> None:
        """Look whether `plan` will find a cell for everybody; nothing changes.

        Raises:
            TooManyBackends: It will not.
        """
        self._assigned(list(dict.fromkeys((*_keys(roll), *joining))))

    def _assigned(self, keys: list[MemberKey]) -> dict[MemberKey, BackendIndex]:
        kept = {key: self._cells[key] for key in keys if key in self._cells}
        new = [key for key in keys if key not in kept]
        free = self._free(set(kept.values())) if new else []
        if len(new) > len(free):
            raise TooManyBackends(
                f"found {len(keys)} backends in all pools, expected at most {MAX_BACKENDS}"
            )
        return kept | dict(zip(new, free, strict=False))

    def _free(self, used: set[BackendIndex]) -> list[BackendIndex]:
        cells = (BackendIndex(cell) for cell in range(MAX_BACKENDS))
        load = self._load
        if load is None:
            return [cell for cell in cells if cell not in used]
        free = [cell for cell in cells if cell not in used and not load.connections(cell)]
        # Sessions outlive connections, and would fill who has their cell: last, but not never.
        return sorted(free, key=load.sessions)

    def __getitem__(self, key: MemberKey) -> BackendIndex:
        """Return the cell of a backend of the present configuration."""
        return self._cells[key]

    def get(self, key: MemberKey) -> BackendIndex | None:
        """Return the cell of a backend; None: it was in no plan yet, so nobody was sent to it."""
        return self._cells.get(key)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who exists, who of them may have traffic, and whose sessions are whose.

    Attributes:
        roll: The members of every pool.
        usable: Of pools whose health is watched, those that may have traffic.
        drains: When each backend that is drained lets go of its sessions, seconds, monotonic; None:
            never.
        returned: When each backend came back that had been unhealthy, seconds, monotonic.
        names: The ticket names that each pool is known to have.
        keys: The routing keys of each pool that has any.
        barred: Backends that have not proved what their pools ask for, and when each loses the
            connections that it has, seconds, monotonic; minus infinity: at once; None: not yet.
        resting: Backends on standby.
        sealed: Backends that get nothing at all, for they are empty and about to be removed.
        marks: When workers wake whom of them, in each pool that is scaled.
        loads: The share of what it can do that each backend claims to do, 0 to 1, as far as known.
    """

    roll: Roll
    usable: Mapping[PoolName, frozenset[BackendName]] = field(default_factory=dict)
    drains: Mapping[MemberKey, float | None] = field(default_factory=dict)
    returned: Mapping[MemberKey, float] = field(default_factory=dict)
    names: Mapping[PoolName, TicketNames] = field(default_factory=dict)
    keys: Mapping[PoolName, RoutingKeys] = field(default_factory=dict)
    barred: Mapping[MemberKey, float | None] = field(default_factory=dict)
    resting: Collection[MemberKey] = ()
    sealed: Collection[MemberKey] = ()
    marks: Mapping[PoolName, Mark] = field(default_factory=dict)
    loads: Mapping[MemberKey, float] = field(default_factory=dict)

    def drain(self, key: MemberKey) -> tuple[bool, float | None]:
        """Return whether a backend is to lose what it has by and by, and from when; None: never.

        Because it is drained, or because its proof has ended; whichever comes first.
        """
        ends = [self.drains.get(key), self.barred.get(key)]
        found = [end for end in ends if end is not None and end != -math.inf]
        return key in self.drains or bool(found), min(found, default=None)


def plan(
    config: Config, cells: Cells, room: Resources, standing: Standing | None = None
) -> Snapshot:
    """Build the snapshot that a configuration asks for.

    Args:
        config: A configuration that has been checked.
        cells: Keeps the cells of backends over reloads.
        room: What the machine gives.
        standing: The backends; None: those of the configuration, all well.

    Raises:
        TooManyBackends: More than the load table has cells.
    """
    now = standing if standing is not None else Standing(Roll(config))
    roll = now.roll
    cells.assign(_keys(roll))
    routes = tuple(
        Route(pattern, rule.pool, rule.alpn, rule.instance_name)
        for pattern, rules in config.routes.patterns.items()
        for rule in rules
    )
    pools = config.pools.items()
    return Snapshot(
        pools=Pools(
            RouteTable(routes, config.routes.default),
            {name: _pool(name, pool, cells, now) for name, pool in pools},
        ),
        timeouts={name: _timeouts(pool.timeouts) for name, pool in pools},
        settings=_settings(config, room),
        dialling={
            name: Dialling(roll.headers(name), tuple(str(source) for source in pool.source))
            for name, pool in pools
        },
        sessions={name: _sessions(pool) for name, pool in pools},
    )


def connections_for(descriptors: int) -> int:
    """Return how many connections a process with this descriptor limit has room for."""
    return max(1, (descriptors - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION)


def _keys(roll: Roll) -> list[MemberKey]:
    return [(name, member.name) for name in roll for member in roll.members(name)]


def _pool(name: PoolName, found: PoolSettings, cells: Cells, now: Standing) -> Pool:
    members = now.roll.members(name)
    usable = now.usable.get(name, {member.name for member in members})
    psks = found.sticky.external_psks if found.sticky is not None else None
    return Pool(
        name=name,
        backends=tuple(
            _backend((name, member.name), member, cells, now, healthy=member.name in usable)
            for member in members
        ),
        balance=found.balance,
        capacity=Capacity(
            found.capacity.sessions_per_backend, found.capacity.connections_per_backend
        ),
        ticket_names=now.names.get(name, _NO_NAMES),
        routable=now.keys.get(name),
        external_psks=ExternalPsks() if psks is None else ExternalPsks(psks.backends, psks.hashed),
        hashing=found.hash,
        slow_start=found.slow_start or 0.0,
        mark=_mark(now.marks.get(name, NO_MARK), members),
        park=(found.scaling.park or 0.0) if found.scaling is not None else 0.0,
    )


def _mark(mark: Mark, members: Iterable[Member]) -> Mark:
    """Return a mark that wakes nobody who goes, or is not ready, by the word of who found it."""
    ready = {member.name for member in members if member.phase is Phase.ELIGIBLE}
    return Mark(mark.below, tuple(name for name in mark.order if name in ready)[:MAX_WAKING])


def _backend(
    key: MemberKey, member: Member, cells: Cells, now: Standing, *, healthy: bool
) -> Backend:
    draining, deadline = now.drain(key)
    return Backend(
        member.name,
        cells[key],
        member.address,
        member.weight,
        # Workers know no better word for who gets nothing, whatever ticket a client offers.
        healthy=healthy and member.phase is not Phase.WAITING and key not in now.sealed,
        trusted=key not in now.barred,
        active=key not in now.resting and member.phase is not Phase.HELD,
        draining=draining or member.phase is Phase.DRAINING,
        drain_deadline=deadline,
        server_id=member.server_id,
        returned_at=now.returned.get(key),
        refuted=now.barred.get(key) == -math.inf,
        load=now.loads.get(key),
    )


def _sessions(found: PoolSettings) -> SessionRules:
    sticky = found.sticky
    return SessionRules(
        idle=found.session.idle,
        reservation=(sticky.reservation or 0.0) if sticky is not None else 0.0,
        by_connections=found.capacity.count is Count.CONNECTIONS,
        learns=sticky is not None and sticky.tickets,
        observes=sticky is not None and sticky.session_ids,
    )


def _timeouts(found: TimeoutSettings) -> Timeouts:
    return Timeouts(
        connect=found.connect,
        idle=found.idle,
        half_closed=found.half_closed,
        lifetime=math.inf if found.lifetime is None else found.lifetime,
        user_timeout=found.user_timeout,
        keepalive=found.keepalive,
    )


def _settings(config: Config, room: Resources) -> Settings:
    limits = config.limits
    each = connections_for(room.descriptors)
    return Settings(
        refusal=RefusalStyle(config.refusal.value),
        hello_timeout=limits.hello_timeout,
        hello=HelloLimits(limits.hello_bytes, MOST_HELLO_RECORDS),
        connections=limits.connections or each * room.workers,
        worker_connections=each,
        per_client=limits.per_client or 0,
        buffers=limits.buffers,
        access_log=config.access_log is not None,
        full_addresses=config.log_clients is LogClients.FULL,
        entrances=tuple(
            Entrance(
                str(listener.address),
                listener.proxy_protocol,
                tuple(str(network) for network in listener.trusted),
            )
            for listener in config.listeners
        ),
    )
