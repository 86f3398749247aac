"""The metrics of stickiness: whose sessions, whose tickets, and whether backends take them up."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from l4proxy.dataplane.counters import RESUMPTIONS
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.families import counter, gauge
from l4proxy.telemetry.tally import OTHER
from routing import PoolName, Why

OUTCOMES = ("accepted", "refused", "unknown")
"""What a backend made of an offered session; unknown: its first words do not say."""

NAMED = "named"
"""The outcome of an interview that brought names."""

_BACKEND = ("pool", "backend")
_SEPARATOR = "/"


def stickiness_metrics(balancer: Balancer) -> Iterator[Metric]:
    """Yield each metric family with its samples."""
    yield _resumptions(balancer)
    yield from _backends(balancer)
    yield from _names(balancer)
    yield from _questions(balancer)


def _resumptions(balancer: Balancer) -> Metric:
    pools = balancer.snapshot.pools.pools
    whys = [why.value for why in Why]
    counts = Counter({(pool, why, each): 0 for pool in pools for why in whys for each in OUTCOMES})
    for name, label, count in balancer.totals:
        pool, _, rest = label.partition(_SEPARATOR)
        why, _, outcome = rest.partition(_SEPARATOR)
        if name == RESUMPTIONS and pool in pools:
            known = why in whys and outcome in OUTCOMES
            counts[(PoolName(pool), *((why, outcome) if known else (OTHER, OTHER)))] += count
    return counter(
        "resumptions",
        "Sessions that clients offered to go on with, by what led to the backend and whether it "
        "took them up.",
        ("pool", "why", "outcome"),
        counts.items(),
    )


def _backends(balancer: Balancer) -> Iterator[Metric]:
    sessions = gauge("backend_sessions", "Sessions on a backend.", _BACKEND, ())
    draining = gauge(
        "backend_draining", "Whether a backend is drained (1) or not (0).", _BACKEND, ()
    )
    for pool in balancer.snapshot.pools.pools.values():
        for backend in pool.backends:
            sessions.add_metric((pool.name, backend.name), balancer.load.sessions(backend.index))
            draining.add_metric((pool.name, backend.name), backend.draining)
    yield from (sessions, draining)


def _names(balancer: Balancer) -> Iterator[Metric]:
    names = gauge("backend_ticket_names", "Ticket names that a backend is known by.", _BACKEND, ())
    clashes = counter(
        "ticket_name_clashes",
        "Times that a backend showed the name of another one, and did not get it.", _BACKEND, (),
    )  # fmt: skip
    left_out = counter(
        "ticket_names_left_out", "Times that there was no place for a name.", _BACKEND, ()
    )
    for pool in balancer.snapshot.pools.pools:
        for backend, found in balancer.roster.name_statistics(pool).items():
            names.add_metric((pool, backend), found.names)
            clashes.add_metric((pool, backend), found.clashes)
            left_out.add_metric((pool, backend), found.left_out)
    yield from (names, clashes, left_out)


def _questions(balancer: Balancer) -> Iterator[Metric]:
    yield counter(
        "ticket_interviews", "Interviews about tickets that have ended, by what came of them.",
        ("pool", "outcome"),
        [((pool, fault or NAMED), count) for pool, fault, count in balancer.roster.interviews()],
    )  # fmt: skip
    yield counter(
        "ticket_rounds", "Times that a pool was asked at once for a name that nobody knew.",
        ("pool",),
        [((pool,), count) for pool, count in balancer.roster.rounds()],
    )  # fmt: skip
