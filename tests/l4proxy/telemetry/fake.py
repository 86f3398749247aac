"""A balancer that is not running: a configuration, and whatever a test says it has counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from l4proxy.config import Config, parse_config
from l4proxy.control.attesting.attestor import Attestor
from l4proxy.control.discovery import Statistics
from l4proxy.control.membership import Member, SourceName
from l4proxy.control.plan import Cells, Resources, plan
from l4proxy.control.roll import Roll
from l4proxy.control.scaling import Scaler
from l4proxy.control.scrape import Telemetry
from l4proxy.control.tickets.registry import NameStatistics
from l4proxy.control.tickets.subject import TicketStanding
from l4proxy.snapshot import Snapshot
from routing import Address, BackendIndex, BackendName, PoolName
from routing.health import Verdict

TEXT = """
listeners: ["127.0.0.1:8443"]
routes:
  app.example.com: app
  "*.api.example.com": {pool: api, alpn: [h2, http/1.1], instance_name: true}
  default: app
pools:
  app:
    backends: [{address: "10.0.0.1:443", name: a, weight: 2}, {address: "10.0.0.2:443", name: b}]
    capacity: {count: connections, sessions_per_backend: 10, connections_per_backend: 20}
  api: ["[2001:db8::1]:443"]
"""


class Flag:
    """Something that is so."""

    def __init__(self, so: bool) -> None:
        self._so = so

    def is_set(self) -> bool:
        """Whether it is so."""
        return self._so


@dataclass
class FakeSeat:
    """A worker's place."""

    number: int
    pid: int | None = None
    ready: Flag = field(default_factory=lambda: Flag(False))
    applied: int = 0
    deaths: int = 0


class FakeLoad:
    """Open connections as a test says."""

    def __init__(self) -> None:
        self.cells: Counter[int] = Counter()

    def connections(self, index: BackendIndex, /) -> int:
        """Those of a backend."""
        return self.cells[index]

    sessions = connections

    def total_sessions(self, indices: tuple[BackendIndex, ...], /) -> int:
        """Those of some backends."""
        return sum(self.cells[index] for index in indices)

    def open_connections(self) -> int:
        """All."""
        return sum(self.cells.values())


@dataclass
class FakeTotals:
    """Counters as a test says."""

    rows: list[tuple[str, str, int]] = field(default_factory=list)
    ignored: int = 0

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        return iter(self.rows)


class FakeRoster:
    """Backends that are as a test says."""

    def __init__(self, config: Config) -> None:
        self.roll = Roll(config)
        self.held: dict[tuple[PoolName, BackendName], Verdict] = {}
        self.probes: list[tuple[PoolName, str, int]] = []
        self.tickets: dict[tuple[PoolName, BackendName], tuple[TicketStanding, NameStatistics]] = {}
        self.asked: list[tuple[PoolName, str, int]] = []
        self.found: list[tuple[PoolName, SourceName, Statistics]] = []
        self.attestor = Attestor(lambda _pool: None)
        self.telemetry = Telemetry(lambda _pool, _name: b"", lambda: 100.0)

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Who exists."""
        return self.roll.members(pool)

    def left_out(self, pool: PoolName) -> int:
        """How many had no place."""
        return self.roll.left_out(pool)

    def verdicts(self, pool: PoolName) -> dict[BackendName, Verdict]:
        """What is held of each."""
        return {name: verdict for (at, name), verdict in self.held.items() if at == pool}

    def since(self, pool: PoolName, name: BackendName) -> float:
        """Since when."""
        assert (pool, name) in self.held
        return 90.0

    def outcomes(self) -> Iterator[tuple[PoolName, str, int]]:
        """The probes that have ended."""
        return iter(self.probes)

    def ticket_standings(self, pool: PoolName) -> dict[BackendName, TicketStanding]:
        """How it stands with the tickets of each."""
        return {name: found for (at, name), (found, _) in self.tickets.items() if at == pool}

    def name_statistics(self, pool: PoolName) -> dict[BackendName, NameStatistics]:
        """How it stands with the names of each."""
        return {name: found for (at, name), (_, found) in self.tickets.items() if at == pool}

    def interviews(self) -> Iterator[tuple[PoolName, str, int]]:
        """The interviews that have ended."""
        return iter(self.asked)

    def rounds(self) -> Iterator[tuple[PoolName, int]]:
        """A round for each interview."""
        return ((pool, count) for pool, _, count in self.asked)

    def discoveries(self) -> Iterator[tuple[PoolName, SourceName, Statistics]]:
        """What DNS said."""
        return iter(self.found)


@dataclass
class FakeScaling:
    """Pools that are scaled as a test says."""

    pools: dict[PoolName, Scaler] = field(default_factory=dict)


@dataclass
class FakeLog:
    """An access log that has dropped as many lines as a test says."""

    dropped: int = 0


class FakeBalancer:
    """Implements `l4proxy.telemetry.balancer.Balancer`."""

    def __init__(self, text: str = TEXT, rows: list[tuple[str, str, int]] | None = None) -> None:
        self.config: Config = parse_config(text, "fake")
        self.snapshot: Snapshot = plan(self.config, Cells(), Resources(1, 1_064))
        self.version = 3
        self.addresses = [Address("127.0.0.1", 8443)]
        self.roster = FakeRoster(self.config)
        self.access_log = FakeLog()
        self.scaling = FakeScaling()
        self.seats = [
            FakeSeat(0, 41, Flag(True), 3),
            FakeSeat(1, 42, deaths=2),
            FakeSeat(2, deaths=1),
        ]
        self.load = FakeLoad()
        self.totals = FakeTotals(rows or [])
        self.stopping = False
        self.ready = True
