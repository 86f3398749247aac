"""The arithmetic of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), as documented.

The recommender uses it for each metric, and the simulator's baseline for everything. The rules are
those of "Horizontal Pod Autoscaling", "Algorithm details" and "Configurable scaling behavior".
"""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final, NamedTuple

TOLERANCE: Final = 0.1
"""How far from 1 the ratio of a metric to its target may be with nothing done: a tenth."""

_ROUNDING: Final = 1e-9  # 3 × 0.7 is a hair over 2.1, and must not cost a backend


class Gauges(NamedTuple):
    """A metric over a pool.

    Attributes:
        values: Of the backends that are ready and report.
        unready: Backends that do not serve yet.
        missing: Backends that serve and do not report.

    """

    values: Sequence[float]
    unready: int = 0
    missing: int = 0

    @property
    def replicas(self) -> int:
        """How many backends there are."""
        return len(self.values) + self.unready + self.missing


def up(value: float) -> int:
    """Return the next whole number, forgiving what floating point adds."""
    return ceil(value - _ROUNDING)


def replicas(gauges: Gauges, target: float, tolerance: float = TOLERANCE) -> int:
    """Return how many backends bring the mean of a metric to its target.

    A backend that is not ready counts with nothing when the pool grows, and not at all when it
    shrinks. One that is missing counts with nothing when it grows, and with the target when it
    shrinks. When that turns the direction round, nothing changes; nor without any value.
    """
    now = gauges.replicas
    ready = len(gauges.values)
    if not ready:
        return now
    total = sum(gauges.values)
    ratio = total / ready / target
    counted = ready
    if ratio > 1:
        counted += gauges.unready + gauges.missing
    elif ratio < 1:
        counted += gauges.missing
        total += gauges.missing * target
    adjusted = total / counted / target
    turned = (ratio - 1) * (adjusted - 1) < 0
    if turned or abs(adjusted - 1) <= tolerance + _ROUNDING:
        return now
    wanted = up(adjusted * counted)
    return max(now, wanted) if adjusted > 1 else min(now, wanted)


class RateLimit(NamedTuple):
    """How far a pool may move in a stretch of time: by the larger of the two.

    Attributes:
        backends: So many.
        percent: So many per cent of what there was at the beginning of the stretch.
        seconds: How long the stretch is.

    """

    backends: int
    percent: float
    seconds: float


class Change(NamedTuple):
    """A step that was taken: when (seconds, monotonic), and by how many backends."""

    at: float
    backends: int


def most_replicas(now: float, current: int, changes: Iterable[Change], limit: RateLimit) -> int:
    """Return up to how many backends a pool may grow at once."""
    start = current - _moved(now, changes, limit, 1)
    return start + max(limit.backends, up(start * limit.percent / 100))


def least_replicas(now: float, current: int, changes: Iterable[Change], limit: RateLimit) -> int:
    """Return down to how many backends a pool may shrink at once."""
    start = current - _moved(now, changes, limit, -1)
    return max(0, start - max(limit.backends, up(start * limit.percent / 100)))


def _moved(now: float, changes: Iterable[Change], limit: RateLimit, sign: int) -> int:
    recent = (change.backends for change in changes if now - change.at < limit.seconds)
    return sum(backends for backends in recent if backends * sign > 0)
