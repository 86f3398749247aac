"""What an operator asks of the scaling of a pool: the `scaling` block, as frozen values."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from l4proxy.scaling.cron import CronWindow
from l4proxy.scaling.hpa import TOLERANCE, RateLimit, up
from l4proxy.scaling.report import MetricName

MAX_BACKENDS: Final = 10_000
"""Backends that a policy may ask for: ten times the largest pool that the balancer is built for."""

MAX_STALE_SECONDS: Final = 60.0
"""The age at which a reading says nothing any more: twelve scrapes of the usual five seconds."""


class BadPolicy(ValueError):
    """A policy that contradicts itself."""


class MetricTarget(NamedTuple):
    """What the mean of a metric over the backends is to be.

    Attributes:
        name: The metric.
        target: In the metric's own unit, for one backend; above 0.
        tolerance: How far from 1 the ratio may be with nothing done.

    """

    name: MetricName
    target: float
    tolerance: float = TOLERANCE


class FreeSessions(NamedTuple):
    """The free session slots to keep, counted as Agones counts its buffer.

    Attributes:
        amount: Slots, or per cent of all slots once they are there.
        percent: Which of the two.

    """

    amount: float
    percent: bool = True

    def slots(self, sessions: float) -> int:
        """Return the slots that so many sessions need, the free ones included."""
        if self.percent:
            return up(sessions * 100 / (100 - self.amount))
        return up(sessions + self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g} %" if self.percent else f"{self.amount:g}"


class Schedule(NamedTuple):
    """A minimum for a part of the week."""

    window: CronWindow
    minimum: int


USUAL_FREE: Final = FreeSessions(20)
"""A fifth of the slots: what comes by surprise while a backend boots."""

USUAL_GROWTH: Final = RateLimit(backends=4, percent=100, seconds=60)
"""Four a minute, or twice as many as there were: what an actuator and its cloud can well do."""

USUAL_SHRINKING: Final = RateLimit(backends=1, percent=10, seconds=60)
"""One a minute, or a tenth: a need that turns round finds most of the pool still there."""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """How a pool is to be scaled.

    Attributes:
        minimum: Backends at least.
        maximum: Backends at most.
        sessions_per_backend: Sessions that one carries; None: sessions do not scale this pool.
        free: The free slots to keep, awake and at rest together.
        metrics: Targets; the metric that asks for most counts.
        forecast: Whether to order for the load that will be there when a backend has booted.
        lead: Seconds from an order to an attested backend; None: as measured.
        standby: Backends to have beyond all that, attested and without new sessions.
        schedules: Higher minimums for parts of the week.
        grow: The rate limit upwards; panic knows none.
        shrink: The rate limit at which backends begin to drain.
        stabilisation: Seconds for which a smaller need must last before anything drains.
        tolerance: Share of the pool that a need must be below it before anything drains.
        panic: Share of the free slots that a spike must threaten to take within the lead time.
        pack: Whether to fill few backends and let the others rest, so that they empty by
            themselves; without it, all but `standby` of them take new sessions.
        mark: Free slots awake below which the next resting backend wakes at once; None: a tenth
            of what one backend carries.
        drain_timeout: Seconds after which a draining backend goes with sessions on it; None: never.

    Raises:
        BadPolicy: Two of these contradict each other, or one is out of its range.

    """

    minimum: int = 1
    maximum: int = 100
    sessions_per_backend: int | None = None
    free: FreeSessions = USUAL_FREE
    metrics: tuple[MetricTarget, ...] = ()
    forecast: bool = True
    lead: float | None = None
    standby: int = 0
    schedules: tuple[Schedule, ...] = ()
    grow: RateLimit = USUAL_GROWTH
    shrink: RateLimit = USUAL_SHRINKING
    stabilisation: float = 1600.0
    tolerance: float = TOLERANCE
    panic: float = 0.5
    pack: bool = True
    mark: int | None = None
    drain_timeout: float | None = None

    def __post_init__(self) -> None:
        least, most = self.minimum, self.maximum
        if not 0 <= least <= most <= MAX_BACKENDS or most < 1:
            raise BadPolicy(f"found {least} to {most} backends, expected 0 to {MAX_BACKENDS}")
        if not 0 <= self.standby <= most:
            raise BadPolicy(f"found {self.standby} on standby, expected 0 to {most}, the maximum")
        if self.sessions_per_backend is not None and self.sessions_per_backend < 1:
            raise BadPolicy(f"found {self.sessions_per_backend} sessions a backend, expected 1")
        if self.free.amount < 0 or (self.free.percent and self.free.amount > _MOST_FREE):
            raise BadPolicy(f"found {self.free} free, expected 0 to {_MOST_FREE} %")
        self._check_parts()

    def _check_parts(self) -> None:
        for metric in self.metrics:
            if not 0 < metric.target < float("inf"):
                raise BadPolicy(
                    f"found a target of {metric.target} for {metric.name}, expected > 0"
                )
        for schedule in self.schedules:
            if not 0 <= schedule.minimum <= self.maximum:
                raise BadPolicy(
                    f"found a scheduled minimum of {schedule.minimum}, "
                    f"expected 0 to {self.maximum}, the maximum"
                )
        if not self.grow.backends and not self.grow.percent:
            raise BadPolicy("found no growth, expected some backends or per cent at a time")
        if self.stabilisation < 0 or self.panic <= 0 or (self.lead is not None and self.lead < 0):
            raise BadPolicy("found a negative time or no threshold, expected both above 0")

    @property
    def wake_below(self) -> int:
        """Free slots awake below which the next resting backend wakes."""
        if self.mark is not None:
            return self.mark
        return max(1, (self.sessions_per_backend or 0) // 10)


_MOST_FREE: Final = 90  # per cent: ten slots for each session
