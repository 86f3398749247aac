"""What is believed of what a backend tells. Pure: samples and the time go in, readings come out.

A value is taken as it is, refused with a reason, or, of a counter, turned into a rate. What was
believed stays, and ages; whoever reads it decides how old is too old.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from l4proxy.scaling.report import CPU, MEMORY, MetricName, Reading
from l4proxy.series import Series

MOST: Final = 1e15
"""The largest value that anybody believes: above it a float no longer counts one by one."""

OVERSHOOT: Final = 0.1
"""By how much a share may be above 1, and counts as 1: a busy machine measures itself late."""

LEAST_INTERVAL_SECONDS: Final = 0.5
"""The least time between two counts that make a rate: in less, one request is a flood."""

MOST_INTERVAL_SECONDS: Final = 120.0
"""The most: a mean over longer says nothing of now, and the count begins anew."""

_SHARES: Final = frozenset({CPU, MEMORY})


class Refused(StrEnum):
    """Why a value does not count."""

    ABSENT = "absent"
    """The page has no such series."""

    MALFORMED = "malformed"
    """A line of it cannot be read."""

    DUPLICATE = "duplicate"
    """One series stands twice."""

    TOO_MANY = "too_many"
    """More samples than are added up."""

    NOT_A_NUMBER = "not_a_number"
    NEGATIVE = "negative"
    INFINITE = "infinite"
    TOO_LARGE = "too_large"

    ABOVE_ONE = "above_one"
    """A share that is none: perhaps a percentage, which is to be divided by 100."""

    BEGUN = "begun"
    """A counter that was heard for the first time, or has begun anew: a rate needs two counts."""


class _Count(NamedTuple):
    total: float
    at: float


class Claims:
    """What one backend claims.

    Attributes:
        wanted: What is to be found out.
        refused: What of the newest samples does not count, and why.
        heard_at: When the newest samples came, seconds, monotonic; None: none ever did.
    """

    def __init__(self, wanted: Mapping[MetricName, Series]) -> None:
        """Believe nothing yet."""
        self.wanted = wanted
        self.refused: dict[MetricName, Refused] = {}
        self.heard_at: float | None = None
        self._values: dict[MetricName, _Count] = {}
        self._counts: dict[MetricName, _Count] = {}

    def take(self, found: Mapping[MetricName, float | Refused], now: float) -> None:
        """Take the samples of one page; `now` is in seconds, monotonic."""
        self.refused, self.heard_at = {}, now
        for metric, series in self.wanted.items():
            sample = found.get(metric, Refused.ABSENT)
            value = self._believed(metric, series, sample, now)
            if isinstance(value, Refused):
                self.refused[metric] = value
            elif value is not None:
                self._values[metric] = _Count(value, now)

    def readings(self, now: float) -> dict[MetricName, Reading]:
        """Return the last value of each metric, and its age."""
        return {
            metric: Reading(value.total, max(0.0, now - value.at))
            for metric, value in self._values.items()
        }

    def _believed(
        self, metric: MetricName, series: Series, sample: float | Refused, now: float
    ) -> float | Refused | None:
        """Return the value that counts, why none does, or None: the one before still does."""
        doubt = _doubt(sample)
        if doubt is not None or isinstance(sample, Refused):
            return doubt
        value: float | Refused | None = float(sample)  # a plug-in's may be a whole number
        if series.rate:
            value = self._rate(metric, float(sample), now)
        if not isinstance(value, float):
            return value
        value /= series.divisor
        if value > MOST:
            return Refused.TOO_LARGE
        if metric in _SHARES and value > 1:
            return 1.0 if value <= 1 + OVERSHOOT else Refused.ABOVE_ONE
        return value

    def _rate(self, metric: MetricName, total: float, now: float) -> float | Refused | None:
        before = self._counts.get(metric)
        interval = now - before.at if before is not None else math.inf
        if before is not None and total >= before.total and interval < LEAST_INTERVAL_SECONDS:
            return None
        self._counts[metric] = _Count(total, now)
        if before is None or total < before.total or interval > MOST_INTERVAL_SECONDS:
            return Refused.BEGUN
        return (total - before.total) / interval


def _doubt(sample: float | Refused) -> Refused | None:
    """Return why a sample is no sound number; None: it is one."""
    if isinstance(sample, Refused):
        return sample
    if abs(sample) == math.inf:
        return Refused.INFINITE
    if sample < 0:
        return Refused.NEGATIVE
    if sample > MOST:  # before anything that takes no whole number of any size
        return Refused.TOO_LARGE
    return Refused.NOT_A_NUMBER if math.isnan(sample) else None
