"""Pools for the tests of scaling: reports and rounds in a few words."""

from collections.abc import Mapping

from l4proxy.scaling import (
    BackendReport,
    BackendState,
    Decision,
    MetricName,
    Observation,
    Reading,
    ScalingPolicy,
    ScalingState,
    TermName,
    recommend,
)
from routing import BackendName

POLICY = ScalingPolicy(minimum=1, maximum=20, sessions_per_backend=100)


def backend(
    name: str,
    sessions: int | None = 0,
    state: BackendState = BackendState.READY,
    metrics: Mapping[MetricName, Reading] | None = None,
    image_at: float = 0.0,
) -> BackendReport:
    """A backend that took ninety seconds to boot."""
    return BackendReport(
        BackendName(name),
        state,
        sessions,
        metrics=metrics or {},
        started_at=0.0,
        ready_at=90.0,
        image_at=image_at,
    )


def pool(*sessions: int, state: BackendState = BackendState.READY) -> tuple[BackendReport, ...]:
    """Backends b0, b1, … with so many sessions."""
    return tuple(backend(f"b{number}", count, state) for number, count in enumerate(sessions))


def decide(
    backends: tuple[BackendReport, ...],
    policy: ScalingPolicy = POLICY,
    state: ScalingState | None = None,
    now: float = 1000.0,
) -> tuple[Decision, ScalingState]:
    """One round."""
    return recommend(Observation(backends, utc=now), policy, state or ScalingState(), now)


def after(
    seconds: float, backends: tuple[BackendReport, ...], policy: ScalingPolicy = POLICY
) -> tuple[Decision, ScalingState]:
    """The decision after a pool looked the same for so long, in rounds of twenty seconds."""
    decision, state = decide(backends, policy)
    for step in range(1, int(seconds / 20) + 1):
        decision, state = decide(backends, policy, state, 1000.0 + 20 * step)
    return decision, state


def term(decision: Decision, name: TermName) -> int:
    """What the terms of a name add up to."""
    return sum(found.backends for found in decision.terms if found.name is name)
