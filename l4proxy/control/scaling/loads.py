"""The load that backends claim, as `balance: load` uses it: a share of what each can do. Pure.

What uses most of what it has counts: the processors, or the requests beside their target. Memory
does not: where a heap is kept it stays high whatever there is to do.
"""

from collections.abc import Mapping
from typing import Final

from l4proxy.config import PoolSettings
from l4proxy.scaling import CPU, REQUESTS, MetricName, Reading

FRESH_SECONDS: Final = 15.0
"""The age at which a claim of load is dropped, or three scrapes where these are rarer."""

STEP: Final = 0.05
"""How finely claims are told to workers: a change of less is no reason to send everything anew."""

_SCRAPES = 3


def claimed_load(readings: Mapping[MetricName, Reading], settings: PoolSettings) -> float | None:
    """Return the load that a backend claims, 0 to 1; None: it claims none, or not of late."""
    if settings.telemetry is None:
        return None
    oldest = max(FRESH_SECONDS, _SCRAPES * settings.telemetry.every)
    requests = settings.scaling.metrics.requests if settings.scaling is not None else None
    targets = {CPU: 1.0} if requests is None else {CPU: 1.0, REQUESTS: requests}
    shares = [
        reading.value / target
        for name, target in targets.items()
        if (reading := readings.get(name)) is not None and 0 <= reading.age <= oldest
    ]
    known = [min(1.0, share) for share in shares if share >= 0]  # which no NaN is
    return round(max(known) / STEP) * STEP if known else None
