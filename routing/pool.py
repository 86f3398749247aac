"""Pools: the backends that may serve a route, and what a decision can know of them beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from routing.backend import Backend, BackendIndex, BackendName, Balance, Capacity, PoolName
from routing.eligibility import closed_to_new
from routing.errors import BadBackend, UnknownPool
from routing.rendezvous import Ranking
from routing.table import RouteTable
from routing.ticket_names import TicketNames


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
        named: Derived: the backends by name.
        open: Derived: the backends that take new sessions as far as their room goes.
        open_indices: Derived: their cells in the load view.
        open_weight: Derived: their weights together.

    Raises:
        BadBackend: Two backends have one name.

    """

    name: PoolName
    backends: tuple[Backend, ...]
    balance: Balance = Balance.AFFINITY
    capacity: Capacity = field(default_factory=Capacity)
    ticket_names: TicketNames = field(default_factory=TicketNames)
    ranking: Ranking = field(default_factory=lambda: Ranking({}), repr=False, compare=False)
    named: Mapping[BackendName, Backend] = field(init=False, repr=False, compare=False)
    open: tuple[Backend, ...] = field(init=False, repr=False, compare=False)
    open_indices: tuple[BackendIndex, ...] = field(init=False, repr=False, compare=False)
    open_weight: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = {backend.name: backend for backend in self.backends}
        if len(named) < len(self.backends):
            raise BadBackend(
                f"pool {self.name!r}: {len(self.backends)} backends have {len(named)} names, "
                "expected one each"
            )
        takes_new = tuple(backend for backend in self.backends if closed_to_new(backend) is None)
        members = {backend.name: backend.weight for backend in self.backends}
        if self.ranking.members != members:
            object.__setattr__(self, "ranking", Ranking(members))
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "open", takes_new)
        object.__setattr__(self, "open_indices", tuple(backend.index for backend in takes_new))
        object.__setattr__(self, "open_weight", sum(backend.weight for backend in takes_new))


@dataclass(frozen=True, slots=True)
class Pools:
    """What routing knows of a snapshot: the routes and the pools that they lead to.

    Raises:
        UnknownPool: A route leads to a pool that is not there.

    """

    table: RouteTable
    pools: Mapping[PoolName, Pool]

    def __post_init__(self) -> None:
        missing = sorted(self.table.pools - self.pools.keys())
        if missing:
            raise UnknownPool(
                f"routes lead to {missing}, expected one of the pools {sorted(self.pools)}"
            )
