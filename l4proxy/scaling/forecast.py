"""The load when a backend that is ordered now can serve: trend, season, and how wrong that was.

Holt's method: a level and a trend, each smoothed exponentially, here with time constants because
rounds are not evenly spaced. The season gives the part of the slope that the hour explains, the
trend the rest. Forecasts are kept until they fall due: what they were off by is the error.
"""

from dataclasses import dataclass, field
from math import exp
from typing import Final

from l4proxy.scaling.decision import Outlook
from l4proxy.scaling.season import Season

LEVEL_SECONDS: Final = 30.0
"""The memory of the level: a few rounds, so that chance arrivals even out."""

TREND_SECONDS: Final = 120.0
"""The memory of the trend: about a lead time, for a trend that is older says nothing of it."""

SPIKE_SECONDS: Final = 15.0
"""The stretch over which a spike is measured: three rounds."""

MAX_PENDING: Final = 16
"""Forecasts that wait to fall due: sixteen a lead time tell the error well."""

_GAP: Final = 600.0  # seconds without a round after which the past says nothing of the trend
_ERROR_WEIGHT: Final = 0.1  # of the newest error beside those before
_SAMPLES: Final = 64  # loads of the spike's stretch at the most, however fast rounds come


@dataclass(frozen=True, slots=True)
class Memory:
    """What a forecast is made of; a fresh one knows nothing.

    Attributes:
        at: When the last load was seen, in seconds, monotonic; None: never.
        level: The smoothed load.
        trend: Its change a second, the season's part left out.
        error: How far forecasts were off, as a mean.
        pending: Forecasts and when they fall due.
        recent: The loads of the last `SPIKE_SECONDS`, and when they were seen.
        season: The week as it usually goes.

    """

    at: float | None = None
    level: float = 0.0
    trend: float = 0.0
    error: float = 0.0
    pending: tuple[tuple[float, float], ...] = ()
    recent: tuple[tuple[float, float], ...] = ()
    season: Season = field(default_factory=Season)


def foresee(
    memory: Memory, load: float, lead: float, now: float, utc: float
) -> tuple[Outlook, Memory]:
    """Return what to expect after the lead time, and the memory with this load in it.

    A clock that stands still or runs backwards, and a gap of ten minutes, begin the trend anew.
    """
    season = memory.season.seen(utc, load)
    slope = season.slope(utc)
    passed = 0.0 if memory.at is None else now - memory.at
    if not 0 < passed <= _GAP:
        fresh = Memory(now, load, 0.0, memory.error, (), ((now, load),), season)
        return Outlook(load, load, memory.error, lead, panic=False), fresh
    expected = memory.level + (memory.trend + slope) * passed
    surprise = (1 - exp(-passed / LEVEL_SECONDS)) * (load - expected)
    level = expected + surprise
    trend = memory.trend + (1 - exp(-passed / TREND_SECONDS)) * surprise / passed
    # From the load itself, not from the level: sessions come and go by chance, and what is there
    # now says more of the next minutes than what was there on average.
    forecast = max(0.0, load + (trend + season.slope(utc + lead / 2)) * lead)
    error, pending = _judged(memory, load, now)
    if len(pending) < MAX_PENDING and (not pending or _rested(pending[-1][0], now, lead)):
        pending = (*pending, (now + lead, forecast))
    recent = (*(seen for seen in memory.recent if now - seen[0] <= SPIKE_SECONDS), (now, load))
    known = Memory(now, level, trend, error, pending, recent[-_SAMPLES:], season)
    return Outlook(load, forecast, error, lead, panic=False), known


def spike(memory: Memory) -> tuple[float, float]:
    """Return by how much the load rose of late, and how much that is a second.

    A jump within one round is spread over `SPIKE_SECONDS`: it may be all that comes.
    """
    if not memory.recent:
        return 0.0, 0.0
    (then, before), (now, load) = memory.recent[0], memory.recent[-1]
    rise = load - before
    return rise, rise / max(SPIKE_SECONDS, now - then)


def _judged(
    memory: Memory, load: float, now: float
) -> tuple[float, tuple[tuple[float, float], ...]]:
    error = memory.error
    for due, forecast in memory.pending:
        if due <= now:
            error += _ERROR_WEIGHT * (abs(load - forecast) - error)
    return error, tuple(kept for kept in memory.pending if kept[0] > now)


def _rested(last_due: float, now: float, lead: float) -> bool:
    return now + lead - last_due >= lead / MAX_PENDING
