"""What the metrics and the admin API read of the balancer. The supervisor is the one that runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from l4proxy.config import Config
from l4proxy.control.attesting.attestor import Attestor
from l4proxy.control.discovery import Statistics
from l4proxy.control.membership import Member, SourceName
from l4proxy.control.scaling import Scaler
from l4proxy.control.scrape import Telemetry
from l4proxy.control.tickets.registry import NameStatistics
from l4proxy.control.tickets.subject import TicketStanding
from l4proxy.snapshot import Snapshot
from routing import Address, BackendName, LoadView, PoolName
from routing.health import Verdict


class Flag(Protocol):
    """Something that is so, or not yet."""

    def is_set(self) -> bool:
        """Return whether it is so."""
        ...


class Seat(Protocol):
    """The place of one worker."""

    @property
    def number(self) -> int:
        """The seat's own number, from 0."""
        ...

    @property
    def pid(self) -> int | None:
        """The present worker; None while there is none."""
        ...

    @property
    def ready(self) -> Flag:
        """Whether the present worker accepts connections."""
        ...

    @property
    def applied(self) -> int:
        """The version of the snapshot by which it decides; 0: none yet."""
        ...

    @property
    def deaths(self) -> int:
        """Workers of this seat that ended unasked."""
        ...


class Load(LoadView, Protocol):
    """Connections open now, over all workers."""

    def open_connections(self) -> int:
        """Return all of them, those without a backend included."""
        ...


class Totals(Protocol):
    """Everything counted, over all workers, since the balancer started."""

    @property
    def ignored(self) -> int:
        """Counters left out because a worker reported too many."""
        ...

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield (name, label, count); the names are those of `l4proxy.dataplane.counters`."""
        ...


class Roster(Protocol):
    """The backends of all pools, and how they are."""

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Return who exists in a pool, in order."""
        ...

    def left_out(self, pool: PoolName) -> int:
        """Return how many addresses were found for a pool for which there was no place."""
        ...

    def verdicts(self, pool: PoolName) -> Mapping[BackendName, Verdict]:
        """Return what is held of each backend of a pool; nothing of a pool not watched."""
        ...

    def since(self, pool: PoolName, name: BackendName) -> float:
        """Return the moment (monotonic) since which the verdict of a backend stands."""
        ...

    def outcomes(self) -> Iterator[tuple[PoolName, str, int]]:
        """Yield pool, fault (empty: none) and count of the probes that have ended."""
        ...

    def ticket_standings(self, pool: PoolName) -> Mapping[BackendName, TicketStanding]:
        """Return how it stands with the tickets of each backend; nothing of a pool not asked."""
        ...

    def name_statistics(self, pool: PoolName) -> Mapping[BackendName, NameStatistics]:
        """Return how it stands with the ticket names of each backend of a pool that is asked."""
        ...

    def interviews(self) -> Iterator[tuple[PoolName, str, int]]:
        """Yield pool, fault (empty: none) and count of the interviews that have ended."""
        ...

    def rounds(self) -> Iterator[tuple[PoolName, int]]:
        """Yield how often all backends of a pool were asked at once for an unknown name."""
        ...

    @property
    def attestor(self) -> Attestor:
        """What they have proved; to be read and never changed."""
        ...

    @property
    def telemetry(self) -> Telemetry:
        """What they tell of their load; to be read and never changed."""
        ...

    def discoveries(self) -> Iterator[tuple[PoolName, SourceName, Statistics]]:
        """Yield what each source of discovery has seen."""
        ...


class Scaling(Protocol):
    """How many backends pools are to have."""

    @property
    def pools(self) -> Mapping[PoolName, Scaler]:
        """Those that are scaled, in the configuration's order; to be read and never changed."""
        ...


class DaemonLog(Protocol):
    """Where the lines of the access log go."""

    @property
    def dropped(self) -> int:
        """Lines that could not be written in time."""
        ...


class Balancer(Protocol):
    """One balancer, to be read and never changed."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """What it was made into."""
        ...

    @property
    def version(self) -> int:
        """The snapshot's version."""
        ...

    @property
    def addresses(self) -> Sequence[Address]:
        """Where clients connect, in the configuration's order; a port 0 has its number here."""
        ...

    @property
    def seats(self) -> Sequence[Seat]:
        """The workers' places."""
        ...

    @property
    def load(self) -> Load:
        """Open connections."""
        ...

    @property
    def totals(self) -> Totals:
        """Counters."""
        ...

    @property
    def roster(self) -> Roster:
        """The backends, and how they are."""
        ...

    @property
    def scaling(self) -> Scaling:
        """How many backends pools are to have."""
        ...

    @property
    def access_log(self) -> DaemonLog:
        """Where the lines of the access log go."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        ...

    @property
    def ready(self) -> bool:
        """Whether clients are served."""
        ...
