"""The metrics, as Prometheus reads them: names in the glossary's words, labels of bounded number.

A label value comes from the code or from the configuration, never from a client. A counter never
falls while the balancer lives: what a worker had counted when it ended stays in the total.
"""

import time
from collections import Counter
from collections.abc import Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from l4proxy.telemetry.balancer import Balancer, Seat
from l4proxy.telemetry.claims import claim_metrics
from l4proxy.telemetry.families import counter, gauge, single
from l4proxy.telemetry.health import health_metrics
from l4proxy.telemetry.scaling import scaling_metrics
from l4proxy.telemetry.stickiness import stickiness_metrics
from l4proxy.telemetry.tally import Tally, tally
from l4proxy.telemetry.trust import trust_metrics
from l4proxy.version import VERSION
from routing import Session, State, ineligible

WORKER_STATES = ("ready", "starting", "missing")


def exposition(balancer: Balancer, accept: str) -> tuple[bytes, str]:
    """Return the page of metrics, in a format that an Accept header names, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(BalancerCollector(balancer)), content_type


class BalancerCollector(Collector):
    """Every metric of a balancer, as of the moment that it is asked."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer

    def collect(self) -> Iterator[Metric]:
        """Yield each metric family with its samples."""
        counted = tally(self._balancer.totals, self._balancer.snapshot.pools)
        yield from _connections(counted, self._balancer.load.open_connections())
        yield from _choices(counted)
        yield from _relays(counted)
        yield from _backends(self._balancer)
        yield from health_metrics(self._balancer)
        yield from stickiness_metrics(self._balancer)
        yield from trust_metrics(self._balancer)
        yield from claim_metrics(self._balancer)
        yield from scaling_metrics(self._balancer)
        yield from _daemon(self._balancer, counted)


def _connections(counted: Tally, now_open: int) -> Iterator[Metric]:
    yield counter("connections_accepted", "Connections accepted.", (), [((), counted.accepted)])
    yield gauge("connections_open", "Client connections open now.", (), [((), now_open)])
    yield counter(
        "connections_refused", "Connections refused.", ("reason",), single(counted.refused.items())
    )
    yield counter(
        "accept_pauses", "Times that accepting rested.", ("reason",),
        single(counted.accept_pauses.items()),
    )  # fmt: skip


def _choices(counted: Tally) -> Iterator[Metric]:
    yield counter(
        "decisions", "Decisions for a backend that then answered, by what led to it.",
        ("pool", "why"),
        [
            ((pool, why), count)
            for pool, by_why in counted.decisions.items()
            for why, count in by_why.items()
        ],
    )  # fmt: skip
    yield counter(
        "dial_failures", "Dials that failed.", ("pool", "backend", "reason"),
        [
            ((*key, reason), count)
            for key, served in counted.backends.items()
            for reason, count in served.dial_failures.items()
        ],
    )  # fmt: skip


def _relays(counted: Tally) -> Iterator[Metric]:
    yield counter(
        "connections_forwarded", "Connections relayed to a backend.", ("pool", "backend"),
        [(key, served.forwarded) for key, served in counted.backends.items()],
    )  # fmt: skip
    yield counter(
        "relayed_bytes",
        "Bytes of relays that have ended, the hello not counted.",
        ("pool", "backend", "direction"),
        [
            ((*key, direction), count)
            for key, served in counted.backends.items()
            for direction, count in (
                ("to_backend", served.to_backend),
                ("to_client", served.to_client),
            )
        ],
    )
    yield counter(
        "connections_ended",
        "Relays that ended, by how.",
        ("ending",),
        single(counted.ended.items()),
    )


def _backends(balancer: Balancer) -> Iterator[Metric]:
    state = State(time.monotonic(), 0.0, balancer.load)
    labels = ("pool", "backend")
    connections = gauge("backend_connections", "Connections open to a backend.", labels, ())
    eligible = gauge(
        "backend_eligible", "Whether a backend may have new sessions (1) or not (0).", labels, ()
    )
    for pool in balancer.snapshot.pools.pools.values():
        for backend in pool.backends:
            key = (pool.name, backend.name)
            connections.add_metric(key, balancer.load.connections(backend.index))
            why_not = ineligible(backend, Session.NEW, pool.capacity, state)
            eligible.add_metric(key, why_not is None)
    yield connections
    yield eligible


def _daemon(balancer: Balancer, counted: Tally) -> Iterator[Metric]:
    states = Counter(_worker_state(seat) for seat in balancer.seats)
    deaths = sum(seat.deaths for seat in balancer.seats)
    yield gauge(
        "workers", "Seats for workers, by the state of the worker.", ("state",),
        [((state,), states[state]) for state in WORKER_STATES],
    )  # fmt: skip
    yield counter("worker_deaths", "Workers that ended unasked.", (), [((), deaths)])
    yield counter(
        "internal_failures", "Connections ended by an error nobody foresaw.", ("error",),
        single(counted.internal_failures.items()),
    )  # fmt: skip
    yield counter(
        "counters_ignored", "Counters left out because a worker reported too many.", (),
        [((), balancer.totals.ignored)],
    )  # fmt: skip
    yield counter(
        "access_log_dropped", "Lines of the access log that were dropped.", ("where",),
        [(("worker",), counted.log_dropped), (("writer",), balancer.access_log.dropped)],
    )  # fmt: skip
    yield gauge(
        "snapshot_version", "Version of the snapshot in force.", (), [((), balancer.version)]
    )
    yield gauge(
        "build_info", "Always 1; the label says what runs.", ("version",), [((VERSION,), 1)]
    )


def _worker_state(seat: Seat) -> str:
    ready, starting, missing = WORKER_STATES
    if seat.pid is None:
        return missing
    return ready if seat.ready.is_set() else starting
