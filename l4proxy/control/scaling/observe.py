"""From what the supervisor knows of a pool to what the recommender asks for.

The balancer's own counts are the truth about sessions; what telemetry says stands beside them as a
claim. Where a backend cannot serve, the reason says what it is:

    never answered             booting
    answers, proved nothing    attesting; also one whose proof has ended and is being renewed
    answered, does not now     failed
    refuted                    failed
    drained by an operator     taken, however it is

Whoever found a backend may know more. One that is on its way out is not told of at all: it is gone
as far as any number goes. One that boots although nobody asked for it, as in a rolling update, is
told of when it serves.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from l4proxy.config import PoolSettings
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.control.found import Phase
from l4proxy.control.lineup import Lineup
from l4proxy.control.membership import Member, MemberKey
from l4proxy.control.plan import Cells
from l4proxy.control.scaling.lives import Life, Lives
from l4proxy.control.totals import Totals
from l4proxy.dataplane.counters import PARKED, UNPARKED
from l4proxy.scaling import BackendReport, BackendState, MetricName, Observation, Reading
from routing import BackendIndex, BackendName, LoadView, PoolName
from routing.health import HealthReason, Verdict

EVICT_SECONDS: Final = 60.0
"""How long a backend that served does not answer before it is to be removed: a restart is over."""

_UNPROBED: Final = frozenset({HealthReason.ASSUMED, HealthReason.UNPROBED})
_LOST: Final = frozenset({BackendState.BOOTING, BackendState.ATTESTING, BackendState.FAILED})


class Claims(Protocol):
    """What backends tell of themselves."""

    def readings(
        self, pool: PoolName, name: BackendName, now: float
    ) -> Mapping[MetricName, Reading]:
        """Return the last value of each metric of a backend, and its age at `now`, monotonic."""
        ...

    def capacity(self, pool: PoolName, name: BackendName) -> int | None:
        """Return the sessions that a backend says it can carry; None: it says nothing."""
        ...


class Proofs(Protocol):
    """What backends have proved: the attestor."""

    def rules(self, pool: PoolName, /) -> AttestationRules | None:
        """Return what the backends of a pool must prove; None: nothing."""
        ...

    def trusts(self, pool: PoolName, /) -> Mapping[BackendName, Trust]:
        """Return how it stands with each backend of a pool; nothing of one that is not attested."""
        ...


class Backends(Protocol):
    """The backends of all pools: the roster.

    Attributes:
        lineup: Who takes no new sessions by somebody's word; scaling's own is said there.
        loads: What scaling says of the load that they claim.
        changed: Set when workers have to hear of what was said.
    """

    lineup: Lineup
    loads: Mapping[MemberKey, float]
    changed: asyncio.Event

    @property
    def attestor(self) -> Proofs:
        """What they have proved."""
        ...

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Return who exists in a pool, in order."""
        ...

    def complete(self, pool: PoolName) -> bool:
        """Return whether every source of a pool's backends has answered since it is watched."""
        ...

    def verdicts(self, pool: PoolName) -> Mapping[BackendName, Verdict]:
        """Return what is held of each backend of a pool; nothing of a pool not watched."""
        ...


class Ground(NamedTuple):
    """What rounds of scaling stand on.

    Attributes:
        roster: The backends, and how they are.
        load: Sessions on them.
        cells: Where each is counted.
        totals: What workers have counted.
        claims: What backends tell of themselves.
    """

    roster: Backends
    load: LoadView
    cells: Cells
    totals: Totals
    claims: Claims

    def parked(self, pool: PoolName) -> int:
        """Return how many hellos wait because a pool has no backend for them."""
        running = self.totals.running
        return max(0, running(PARKED, pool) - running(UNPARKED, pool))


class Moment(NamedTuple):
    """When a round is.

    Attributes:
        now: Seconds, monotonic.
        utc: Seconds since the epoch, UTC.
        settled: Whether all workers decide by what the last round carried out.
    """

    now: float
    utc: float
    settled: bool = True


class Sight(NamedTuple):
    """A pool as it is seen.

    Attributes:
        observation: What the recommender is told.
        evictable: Of those that failed, who may be removed: refuted, or gone for a while.
        refuted: Those whose evidence was refused.
        leaving: Those that somebody else removes: nobody is asked for in their place.
    """

    observation: Observation
    evictable: frozenset[BackendName]
    refuted: Mapping[BackendName, Trust]
    leaving: frozenset[BackendName]


def observe(
    ground: Ground, name: PoolName, settings: PoolSettings, lives: Lives, moment: Moment
) -> Sight:
    """Look at a pool, and note in `lives` who serves and who does not any more."""
    everybody = ground.roster.members(name)
    members = [member for member in everybody if member.phase is not Phase.DRAINING]
    lives.settle(members, moment.now)
    look = _Look(ground, name, settings, moment)
    reports, evictable = list[BackendReport](), set[BackendName]()
    for member in members:
        life = lives[member.name]
        report = look.report(member, life)
        if life.unasked and life.ready_at is None:
            continue
        reports.append(report)
        if look.evictable(report, life):
            evictable.add(member.name)
    blurred = look.open or not moment.settled
    refuted = {
        name: trust for name, trust in look.trusts.items() if trust.state is TrustState.REFUTED
    }
    observation = Observation(tuple(reports), ground.parked(name), moment.utc, blurred)
    leaving = frozenset(each.name for each in everybody if each.phase is Phase.DRAINING)
    return Sight(observation, frozenset(evictable), refuted, leaving)


def _sessions(load: LoadView, cell: BackendIndex) -> int:
    """Return the sessions on a backend; while a connection is open to it, one at least.

    The session of a client, or of many behind one address, is counted where it began last; another
    backend may have connections of it still, and is not empty before they have ended.
    """
    return max(load.sessions(cell), min(1, load.connections(cell)))


class _Look:
    """One look at a pool.

    Attributes:
        open: Whether none of it answers. Then it is not known whose fault that is: those who
            answered before count as there.
        trusts: What its backends have proved; nothing where no proof is asked for.
    """

    def __init__(
        self, ground: Ground, name: PoolName, settings: PoolSettings, moment: Moment
    ) -> None:
        attestor = ground.roster.attestor
        rules = attestor.rules(name)
        self.trusts: Mapping[BackendName, Trust] = {} if rules is None else attestor.trusts(name)
        self._enforced = rules is not None and rules.enforced
        self._verdicts = ground.roster.verdicts(name)
        self.open = bool(self._verdicts) and not any(
            verdict.healthy for verdict in self._verdicts.values()
        )
        self._resting = ground.roster.lineup.resting
        self._probed = settings.health is not None
        self._slots = settings.capacity.sessions_per_backend
        self._ground, self._name, self._now = ground, name, moment.now

    def report(self, member: Member, life: Life) -> BackendReport:
        """Return what is known of a backend."""
        name = member.name
        cell = self._ground.cells.get((self._name, name))
        sessions = 0 if cell is None else _sessions(self._ground.load, cell)
        state = self._state(member, life, sessions)
        if state in _LOST:
            life.fails(self._now)
        elif state is not BackendState.TAKEN:
            life.serves(self._now)
        started_at, ready_at = life.lead
        if state is BackendState.ATTESTING and life.lost_at is not None:
            started_at = life.lost_at
        return BackendReport(
            name,
            state,
            sessions,
            self._ground.claims.capacity(self._name, name),
            self._ground.claims.readings(self._name, name, self._now),
            started_at,
            ready_at,
        )

    def evictable(self, report: BackendReport, life: Life) -> bool:
        """Return whether a backend may be removed if it has failed.

        Not while none of the pool answers, nor for evidence that could not be renewed: that may be
        our own fault, or that of whoever vouches for the platform.
        """
        if self._refuted(report.name):
            return True
        if life.ready_at is None:
            return life.ordered_at is not None
        if report.state is not BackendState.FAILED or life.lost_at is None or self.open:
            return False
        return self._now - life.lost_at >= EVICT_SECONDS

    def _state(self, member: Member, life: Life, sessions: int) -> BackendState:
        name, lineup, key = member.name, self._ground.roster.lineup, (self._name, member.name)
        if lineup.drains.by_operator(key) or member.phase is Phase.HELD:
            return BackendState.TAKEN
        served = life.ready_at is not None
        if not self._there(member, served=served):
            return BackendState.FAILED if served else BackendState.BOOTING
        if self._enforced and not self._proved(name):
            return BackendState.FAILED if self._refuted(name) else BackendState.ATTESTING
        if key in lineup.drains:
            return BackendState.DRAINING
        if key in self._resting:
            return BackendState.STANDBY
        full = self._slots is not None and sessions >= self._slots
        return BackendState.FULL if full else BackendState.READY

    def _there(self, member: Member, *, served: bool) -> bool:
        if member.phase is Phase.WAITING:
            return False
        return self._answers(self._verdicts.get(member.name)) or (self.open and served)

    def _answers(self, verdict: Verdict | None) -> bool:
        if verdict is None:
            return True
        return verdict.healthy and not (self._probed and verdict.reason in _UNPROBED)

    def _proved(self, name: BackendName) -> bool:
        return name in self.trusts and self.trusts[name].admits

    def _refuted(self, name: BackendName) -> bool:
        trust = self.trusts.get(name)
        return self._enforced and trust is not None and trust.state is TrustState.REFUTED
