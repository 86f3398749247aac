"""Reports sorted out: what can be believed, and who is where."""

from bisect import bisect_left
from collections.abc import Collection
from itertools import accumulate
from typing import Final, NamedTuple

from l4proxy.scaling.decision import Doubt
from l4proxy.scaling.hpa import Gauges, up
from l4proxy.scaling.policy import MAX_STALE_SECONDS, MetricTarget, ScalingPolicy
from l4proxy.scaling.report import COMING, BackendReport, BackendState, Observation
from routing import BackendName

MOST_OF_TARGET: Final = 10.0
"""Times its target that one backend may claim of a metric: a liar moves the mean, no further."""

BOOT_SECONDS: Final = 120.0
"""The lead time until one was measured: what a confidential virtual machine takes to boot."""

_LATE: Final = 3  # lead times after which a backend that boots is not counted on any more
_MEASURED: Final = 0.9  # of the boots that were measured, those that the lead time covers


class Member(NamedTuple):
    """A backend that serves, has served or could: its fields compare in the order of victims."""

    sessions: int
    image_at: float
    started_at: float
    name: BackendName
    slots: int
    state: BackendState

    @property
    def free(self) -> int:
        """Slots that are free."""
        return max(0, self.slots - self.sessions)


class Fleet(NamedTuple):
    """A pool, sorted out.

    Attributes:
        alive: Backends that can carry sessions, the first victim first.
        coming: Backends that boot or attest, in time.
        failed: Those that failed, or boot for ever.
        taken: Those that an operator drained.
        sessions: On the living, all together.
        reach: Slots of the living: of the last one alone, of the last two, and so on.
        lead: Seconds from an order to an attested backend.
        gauges: Each metric of the policy.
        doubts: Claims that were not taken as they stood.
        complete: Whether nothing is missing.

    """

    alive: tuple[Member, ...]
    coming: tuple[BackendReport, ...]
    failed: tuple[BackendName, ...]
    taken: tuple[BackendName, ...]
    sessions: int
    reach: tuple[int, ...]
    lead: float
    gauges: tuple[tuple[MetricTarget, Gauges], ...]
    doubts: tuple[Doubt, ...]
    complete: bool

    @property
    def size(self) -> int:
        """How many backends there are in any state."""
        return len(self.alive) + len(self.coming) + len(self.failed) + len(self.taken)

    def backends_for(self, slots: int, each: int) -> int:
        """Return how many backends have so many slots: the living first, then new ones."""
        there = bisect_left(self.reach, slots)
        if there < len(self.reach) or not slots:
            return there + 1 if slots else 0
        rest = slots - (self.reach[-1] if self.reach else 0)
        return len(self.reach) + up(rest / each)


def sort_out(
    observation: Observation, policy: ScalingPolicy, leaving: Collection[BackendName], now: float
) -> Fleet:
    """Return who is where, leaving out those that are being removed."""
    doubts: list[Doubt] = []
    lead = policy.lead if policy.lead is not None else measured_lead(observation)
    alive: list[Member] = []
    coming: list[BackendReport] = []
    failed: list[BackendName] = []
    taken: list[BackendName] = []
    serving: list[BackendReport] = []
    unknown = 0
    for report in observation.backends:
        state = report.state
        if state in COMING and now - report.started_at <= _LATE * lead:
            coming.append(report)
        elif state in COMING or state is BackendState.FAILED:
            failed.append(report.name)
        elif state is BackendState.TAKEN:
            taken.append(report.name)
        elif report.name not in leaving:
            alive.append(_member(report, policy, doubts))
            unknown += report.sessions is None
            if report.sessions or state is not BackendState.STANDBY:
                serving.append(report)
    alive.sort()
    gauges = tuple(
        (metric, _gauges(metric, serving, len(coming), doubts)) for metric in policy.metrics
    )
    return Fleet(
        tuple(alive),
        tuple(coming),
        tuple(failed),
        tuple(taken),
        sum(member.sessions for member in alive),
        tuple(accumulate(member.slots for member in reversed(alive))),
        lead,
        gauges,
        tuple(doubts),
        not unknown and not any(gauge.missing for _, gauge in gauges),
    )


def measured_lead(observation: Observation) -> float:
    """Return the seconds in which nine of ten backends booted and attested."""
    took = sorted(
        report.ready_at - report.started_at
        for report in observation.backends
        if report.ready_at is not None and report.ready_at > report.started_at
    )
    return took[int((len(took) - 1) * _MEASURED)] if took else BOOT_SECONDS


def _member(report: BackendReport, policy: ScalingPolicy, doubts: list[Doubt]) -> Member:
    slots = policy.sessions_per_backend or 0
    claimed = report.capacity
    if claimed is not None and claimed != slots and slots:
        if not 0 < claimed < slots:
            doubts.append(Doubt(report.name, f"claims {claimed} slots, counted with {slots}"))
        else:
            slots = claimed
    sessions = report.sessions
    if sessions is None:
        doubts.append(Doubt(report.name, "its sessions are not known, counted as full"))
        sessions = slots
    elif sessions < 0:
        doubts.append(Doubt(report.name, f"{sessions} sessions, counted as none"))
        sessions = 0
    return Member(sessions, report.image_at, report.started_at, report.name, slots, report.state)


def _gauges(
    metric: MetricTarget, serving: list[BackendReport], coming: int, doubts: list[Doubt]
) -> Gauges:
    most = metric.target * MOST_OF_TARGET
    values: list[float] = []
    for report in serving:
        reading = report.metrics.get(metric.name)
        if reading is None:
            doubts.append(Doubt(report.name, f"{metric.name} is missing"))
        elif not 0 <= reading.age <= MAX_STALE_SECONDS:
            doubts.append(Doubt(report.name, f"{metric.name} is {reading.age:.0f} s old"))
        elif 0 <= reading.value <= most:
            values.append(reading.value)
        elif reading.value > most:
            values.append(most)
            doubts.append(Doubt(report.name, f"{metric.name} {reading.value:g}, cut to {most:g}"))
        else:
            doubts.append(Doubt(report.name, f"{metric.name} {reading.value:g} is no reading"))
    return Gauges(values, coming, len(serving) - len(values))
