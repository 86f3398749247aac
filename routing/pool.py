"""Pools: the backends that may serve a route, and what a decision can know of them beforehand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from routing.backend import Backend, BackendIndex, BackendName, Balance, Capacity, Hashing, PoolName
from routing.eligibility import closed_to_new
from routing.errors import BadBackend, UnknownPool
from routing.external_psks import ExternalPsks
from routing.maglev import Maglev
from routing.ranking import Ranking
from routing.rendezvous import Rendezvous
from routing.routable import RoutableNames
from routing.table import RouteTable
from routing.ticket_names import TicketNames
from routing.wheel import Wheel


class Mark(NamedTuple):
    """When backends that rest take new sessions too, without anybody being asked.

    Attributes:
        below: While fewer session slots are free on backends that take new sessions, the next of
            `order` takes them too; 0: nobody wakes.
        order: Who wakes, the first one first: backends on standby, and those whose drain is called
            back by it.

    """

    below: int
    order: tuple[BackendName, ...]


NO_MARK = Mark(0, ())
"""Nobody wakes."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The backends that may serve a route.

    Attributes:
        name: Unique in a snapshot.
        backends: In the operator's order, names distinct.
        balance: How a backend is selected for a client that none owns yet.
        capacity: The bounds of each backend.
        ticket_names: The names that its backends' tickets begin with; none for a pool whose stacks
            write no names, or that is not to be sticky by ticket.
        ranking: One of an earlier pool, carried on if its members are the same and replaced if not.
            `dataclasses.replace` hands it on by itself.
        routable: The routing keys; None where no names are routable.
        external_psks: Where clients with keys that are no tickets go.
        hashing: How affinity, and whatever else goes by hash, ranks the backends.
        slow_start: Seconds in which a returned backend comes to its full weight; 0: at once.
        mark: When resting backends wake; without a bound on sessions none does.
        park: Seconds that a hello waits for a backend that may have it; 0: it is refused at once.
        named: Derived: the backends by name.
        by_server_id: Derived: those that have a server id, by it.
        open: Derived: the backends that take new sessions as far as their room goes.
        open_named: Derived: the same, by name.
        open_indices: Derived: their cells in the load view.
        open_weight: Derived: their weights together.
        wheel: Derived: the same, for turns and draws.
        capped: Derived: whether a backend may run out of room.
        rising_until: Derived: when the last slow start of those open is over, in seconds of
            `State.now`; minus infinity: there is none.

    Raises:
        BadBackend: Two backends have one name or one server id.

    """

    name: PoolName
    backends: tuple[Backend, ...]
    balance: Balance = Balance.AFFINITY
    capacity: Capacity = field(default_factory=Capacity)
    ticket_names: TicketNames = field(default_factory=TicketNames)
    ranking: Ranking = field(default_factory=lambda: Rendezvous({}), repr=False, compare=False)
    routable: RoutableNames | None = None
    external_psks: ExternalPsks = field(default_factory=ExternalPsks)
    hashing: Hashing = Hashing.RENDEZVOUS
    slow_start: float = 0.0
    mark: Mark = NO_MARK
    park: float = 0.0
    named: dict[BackendName, Backend] = field(init=False, repr=False, compare=False)
    by_server_id: Mapping[int, Backend] = field(init=False, repr=False, compare=False)
    open: tuple[Backend, ...] = field(init=False, repr=False, compare=False)
    open_named: dict[BackendName, Backend] = field(init=False, repr=False, compare=False)
    open_indices: tuple[BackendIndex, ...] = field(init=False, repr=False, compare=False)
    open_weight: int = field(init=False, repr=False, compare=False)
    wheel: Wheel = field(init=False, repr=False, compare=False)
    capped: bool = field(init=False, repr=False, compare=False)
    rising_until: float = field(init=False, repr=False, compare=False)
    _woken: "list[Pool]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        takes_new = tuple(backend for backend in self.backends if closed_to_new(backend) is None)
        weights = [backend.weight for backend in takes_new]
        bounds = (self.capacity.sessions, self.capacity.connections)
        derived = {
            "named": self._by_name(),
            "by_server_id": self._by_server_id(),
            "ranking": self._ranking(),
            "open": takes_new,
            "open_named": {backend.name: backend for backend in takes_new},
            "open_indices": tuple(backend.index for backend in takes_new),
            "open_weight": sum(weights),
            "wheel": Wheel(takes_new, weights),
            "capped": any(bound is not None for bound in bounds),
            "_woken": [],
            "rising_until": max(
                (
                    each.returned_at + self.slow_start
                    for each in takes_new
                    if each.returned_at is not None
                ),
                default=-math.inf,
            ),
        }
        for attribute, value in derived.items():
            object.__setattr__(self, attribute, value)

    def woken(self) -> "Pool":
        """Return the pool with the next of its mark's order awake: made once, and kept.

        Raises:
            ValueError: There is no next one.

        """
        if not self._woken:
            name, *rest = self.mark.order
            backends = tuple(
                replace(each, active=True, draining=False, drain_deadline=None)
                if each.name == name
                else each
                for each in self.backends
            )
            mark = Mark(self.mark.below, tuple(rest))
            self._woken.append(replace(self, backends=backends, mark=mark))
        return self._woken[0]

    def _by_name(self) -> dict[BackendName, Backend]:
        named = {backend.name: backend for backend in self.backends}
        if len(named) < len(self.backends):
            raise BadBackend(
                f"pool {self.name!r}: {len(self.backends)} backends have {len(named)} names, "
                "expected one each"
            )
        return named

    def _by_server_id(self) -> dict[int, Backend]:
        by_id: dict[int, Backend] = {}
        for backend in self.backends:
            if backend.server_id is None:
                continue
            other = by_id.setdefault(backend.server_id, backend)
            if other is not backend:
                raise BadBackend(
                    f"pool {self.name!r}: backends {other.name!r} and {backend.name!r} have one "
                    f"server id, {backend.server_id}, expected one each"
                )
        return by_id

    def _ranking(self) -> Ranking:
        members = {backend.name: backend.weight for backend in self.backends}
        if self.ranking.hashing is self.hashing and self.ranking.members == members:
            return self.ranking
        return _RANKINGS[self.hashing](members)


_RANKINGS: Mapping[Hashing, type[Rendezvous | Maglev]] = {
    Hashing.RENDEZVOUS: Rendezvous,
    Hashing.MAGLEV: Maglev,
}


@dataclass(frozen=True, slots=True)
class Pools:
    """What routing knows of a snapshot: the routes and the pools that they lead to.

    Raises:
        UnknownPool: A route leads to a pool that is not there.

    """

    table: RouteTable
    pools: Mapping[PoolName, Pool]

    def __post_init__(self) -> None:
        missing = sorted(self.table.pools.difference(self.pools))
        if missing:
            raise UnknownPool(
                f"routes lead to {missing}, expected one of the pools {sorted(self.pools)}"
            )
