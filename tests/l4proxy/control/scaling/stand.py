"""A pool that is scaled without a daemon: its backends, counts and claims are as a test says."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from l4proxy.actuators import Order, Refusal
from l4proxy.config import Config, parse_config
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import Trust
from l4proxy.control.found import Phase
from l4proxy.control.lineup import Lineup
from l4proxy.control.membership import Member, MemberKey
from l4proxy.control.plan import Cells
from l4proxy.control.roll import Roll
from l4proxy.control.scaling.observe import Ground, Moment
from l4proxy.control.scaling.orders import Orders
from l4proxy.control.scaling.rounds import Round
from l4proxy.control.scaling.scaler import Scaler
from l4proxy.control.totals import Totals
from l4proxy.scaling import MetricName, Reading
from routing import Address, BackendName, PoolName
from routing.health import HealthReason, Verdict
from tests.l4proxy.control.attesting.enclave import KINDS
from tests.l4proxy.control.attesting.verdicts import BY_NONCE
from tests.l4proxy.telemetry.fake import FakeLoad

APP = PoolName("app")
A, B, C, D = (BackendName(name) for name in "abcd")
WELL = Verdict(healthy=True, reason=HealthReason.ANSWERS)
ILL = Verdict(healthy=False, reason=HealthReason.PROBES_FAILED)
NEW = Verdict(healthy=True, reason=HealthReason.ASSUMED)
UTC = 1_800_000_000.0
PROOF = AttestationRules(BY_NONCE, KINDS)


def configured(scaling: str = "{}", more: str = "", backends: str = "abc") -> Config:
    """A configuration whose pool has ten slots a backend, and is scaled."""
    named = ", ".join(
        f'{{address: "127.0.0.1:{number}", name: {name}}}'
        for number, name in enumerate(backends, 1)
    )
    capacity = "capacity: {sessions_per_backend: 10}"
    pool = f"backends: [{named}], sticky: off, {capacity}, scaling: {scaling}{more}"
    text = f'listeners: ["127.0.0.1:0"]\nroutes: {{a.b: app}}\npools: {{app: {{{pool}}}}}\n'
    return parse_config(text, "stand")


class Proofs:
    """What backends have proved, as a test says."""

    def __init__(self) -> None:
        self.asked: AttestationRules | None = None
        self.held: dict[BackendName, Trust] = {}

    def rules(self, _pool: PoolName, /) -> AttestationRules | None:
        """What they must prove."""
        return self.asked

    def trusts(self, _pool: PoolName, /) -> Mapping[BackendName, Trust]:
        """How it stands with each."""
        return self.held


class Backends:
    """Implements `observe.Backends`."""

    def __init__(self, config: Config) -> None:
        self.roll = Roll(config)
        self.lineup = Lineup()
        self.loads: Mapping[MemberKey, float] = {}
        self.changed = asyncio.Event()
        self.attestor = Proofs()
        self.held: dict[BackendName, Verdict] = {}
        self.phases: dict[BackendName, Phase] = {}
        self.known = True

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Who exists."""
        members = self.roll.members(pool)
        return tuple(
            replace(each, phase=self.phases.get(each.name, each.phase)) for each in members
        )

    def complete(self, _pool: PoolName) -> bool:
        """Whether it is known who exists."""
        return self.known

    def verdicts(self, _pool: PoolName) -> Mapping[BackendName, Verdict]:
        """How each answers."""
        return self.held


class Claims:
    """What backends tell of themselves, as a test says."""

    def __init__(self) -> None:
        self.told: dict[BackendName, dict[MetricName, Reading]] = {}
        self.slots: dict[BackendName, int] = {}

    def readings(
        self, _pool: PoolName, name: BackendName, _now: float
    ) -> Mapping[MetricName, Reading]:
        """The metrics of one."""
        return self.told.get(name, {})

    def capacity(self, _pool: PoolName, name: BackendName) -> int | None:
        """What one says that it can carry."""
        return self.slots.get(name)


class Hand:
    """An actuator that notes what it is told, or fails as a test says."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.refusals: list[Refusal] = []
        self.error: Exception | None = None
        self.slow = False

    async def run(self) -> None:
        """Have nothing to serve."""

    async def apply(self, order: Order) -> None:
        """Note an order."""
        if self.slow:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.orders.append(order)

    async def notify(self, refusal: Refusal) -> None:
        """Note a refusal."""
        self.refusals.append(refusal)


class Stand:
    """A pool and its scaler."""

    def __init__(self, config: Config) -> None:
        self.backends, self.load, self.cells = Backends(config), FakeLoad(), Cells()
        self.totals, self.claims, self.hand = Totals(), Claims(), Hand()
        self.cells.assign([(APP, each.name) for each in self.backends.members(APP)])
        counted = (self.load, self.cells, self.totals)
        self.ground = Ground(self.backends, *counted, self.claims)
        self.orders = Orders("app by a test", self.hand)
        self.now = 1_000.0
        self.settings = config.pools[APP]
        assert self.settings.scaling is not None
        told = self.settings, self.settings.scaling, self.orders
        self.scaler = Scaler(APP, self.ground, *told)

    def adopt(self, config: Config) -> None:
        """Go on by another configuration."""
        settings = config.pools[APP]
        assert settings.scaling is not None
        self.settings = settings
        self.scaler.adopt(settings, settings.scaling, self.orders)

    def sessions(self, **counts: int) -> None:
        """Have so many sessions on some backends."""
        for name, count in counts.items():
            self.load.cells[self.cells[APP, BackendName(name)]] = count

    def put(self, *names: str) -> None:
        """Have new backends."""
        for name in names:
            member = Member(BackendName(name), Address("127.0.0.1", 100 + ord(name[0])))
            self.backends.roll.put(APP, member)
        self.cells.assign([(APP, each.name) for each in self.backends.members(APP)])

    def round(self, seconds: float = 5.0, *, settled: bool = True) -> Round:
        """So much later, a round."""
        self.now += seconds
        self.scaler.round(Moment(self.now, UTC + self.now, settled))
        assert self.scaler.rounds.last is not None
        return self.scaler.rounds.last
