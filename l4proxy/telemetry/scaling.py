"""The metrics of scaling: how many backends a pool is to have, what is foreseen, what was done."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from l4proxy.control.scaling import Kind, Round
from l4proxy.scaling import BackendState
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.families import counter, gauge
from routing import PoolName


def scaling_metrics(balancer: Balancer) -> Iterator[Metric]:
    """Yield each metric family with its samples; nothing of pools that are not scaled."""
    pools = balancer.scaling.pools
    rounds = {
        name: scaler.rounds.last for name, scaler in pools.items() if scaler.rounds.last is not None
    }
    yield from _numbers(rounds)
    yield from _forecasts(rounds)
    yield counter(
        "scaling_decisions", "Rounds of scaling, by what they did.", ("pool", "kind"),
        [
            ((name, kind.value), scaler.rounds.counts[kind])
            for name, scaler in pools.items()
            for kind in Kind
        ],
    )  # fmt: skip
    yield counter(
        "scaling_actuator_failures", "Times that an actuator did not do what it was told.",
        ("pool",),
        [((name,), scaler.orders.failures) for name, scaler in pools.items()],
    )  # fmt: skip


def _numbers(rounds: dict[PoolName, Round]) -> Iterator[Metric]:
    yield gauge(
        "scaling_desired", "Backends that a pool is to have.", ("pool",),
        [((name,), one.decision.desired) for name, one in rounds.items()],
    )  # fmt: skip
    yield gauge(
        "scaling_backends", "Backends of a pool that is scaled, by where they are in their life.",
        ("pool", "state"),
        [
            ((name, state.value), one.states[state])
            for name, one in rounds.items()
            for state in BackendState
        ],
    )  # fmt: skip
    yield gauge(
        "scaling_free_sessions", "Free session slots on backends that take new sessions.",
        ("pool",),
        [((name,), one.free) for name, one in rounds.items() if one.free is not None],
    )  # fmt: skip
    yield gauge(
        "scaling_parked", "Hellos that wait because a pool has no backend for them.", ("pool",),
        [((name,), one.parked) for name, one in rounds.items()],
    )  # fmt: skip


def _forecasts(rounds: dict[PoolName, Round]) -> Iterator[Metric]:
    seen = {name: one.decision.outlook for name, one in rounds.items()}
    yield gauge(
        "scaling_forecast_sessions", "Sessions to expect when a backend ordered now can serve.",
        ("pool",), [((name,), outlook.expected) for name, outlook in seen.items()],
    )  # fmt: skip
    yield gauge(
        "scaling_forecast_error", "Sessions by which such forecasts were off, as a mean.",
        ("pool",), [((name,), outlook.error) for name, outlook in seen.items()],
    )  # fmt: skip
    yield gauge(
        "scaling_lead_seconds", "From an order to a backend that serves.",
        ("pool",), [((name,), outlook.lead) for name, outlook in seen.items()],
    )  # fmt: skip
