"""The metrics of telemetry: what came of asking backends for their load, and how old it is."""

import time
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.families import counter, gauge
from l4proxy.telemetry.health import ANSWERED


def claim_metrics(balancer: Balancer) -> Iterator[Metric]:
    """Yield each metric family with its samples; nothing of pools without telemetry."""
    telemetry, pools = balancer.roster.telemetry, balancer.snapshot.pools.pools
    yield counter(
        "telemetry_attempts", "Attempts to hear of a backend's load, by what came of them.",
        ("pool", "outcome"),
        [
            ((pool, fault or ANSWERED), count)
            for (pool, fault), count in telemetry.outcomes.items()
            if pool in pools
        ],
    )  # fmt: skip
    yield gauge(
        "backend_telemetry_age_seconds", "Since a backend has told of its load.",
        ("pool", "backend"),
        [
            ((row.pool, row.name), row.age)
            for row in telemetry.rows(time.monotonic())
            if row.age is not None
        ],
    )  # fmt: skip
