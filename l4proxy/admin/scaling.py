"""The pools that are scaled as a JSON document: the numbers, and why they are what they are.

The keys are stable, as those of `l4proxy.admin.view` are.
"""

import time
from typing import TypedDict

from l4proxy.control.scaling import Round, Scaler
from l4proxy.scaling import BackendState
from l4proxy.telemetry.balancer import Balancer


class TermDocument(TypedDict):
    """A part of the sum that `desired` is."""

    name: str
    backends: int
    reason: str


class DoubtDocument(TypedDict):
    """A claim that was not taken as it stood."""

    backend: str
    reason: str


class ForecastDocument(TypedDict):
    """The sessions to expect."""

    sessions: float
    expected: float
    error: float
    lead: float
    panic: bool


class RoundDocument(TypedDict):
    """A round that changed something."""

    age: float
    did: list[str]
    desired: int
    current: int
    terms: list[TermDocument]
    drain: list[str]
    cancel: list[str]
    rest: list[str]
    wake: list[str]
    release: list[str]
    evict: list[str]


class MarkDocument(TypedDict):
    """When workers wake whom by themselves."""

    below: int
    order: list[str]


class ActuatorDocument(TypedDict):
    """Who hears of the number, and how that goes."""

    name: str
    applied: int | None
    failures: int
    fault: str | None


class PoolScalingDocument(TypedDict):
    """One pool; null before its first round."""

    pool: str
    min: int
    max: int
    desired: int | None
    current: int | None
    ready: int | None
    standby: int | None
    states: dict[str, int]
    free_sessions: int | None
    parked: int | None
    forecast: ForecastDocument | None
    terms: list[TermDocument]
    doubts: list[DoubtDocument]
    mark: MarkDocument
    actuator: ActuatorDocument
    decisions: list[RoundDocument]


class ScalingDocument(TypedDict):
    """All pools that are scaled, in the configuration's order."""

    pools: list[PoolScalingDocument]


def scaling_document(balancer: Balancer) -> ScalingDocument:
    """Return how it stands with each pool that is scaled."""
    utc = time.time()
    return {"pools": [_pool(scaler, utc) for scaler in balancer.scaling.pools.values()]}


def _pool(scaler: Scaler, utc: float) -> PoolScalingDocument:
    last = scaler.rounds.last
    states = {state.value: last.states[state] if last else 0 for state in BackendState}
    awake = states[BackendState.READY] + states[BackendState.FULL]
    below, order = last.decision.mark if last is not None else (0, ())
    return {
        "pool": scaler.name,
        "min": scaler.policy.minimum,
        "max": scaler.policy.maximum,
        "desired": None if last is None else last.decision.desired,
        "current": None if last is None else last.current,
        "ready": None if last is None else awake,
        "standby": None if last is None else states[BackendState.STANDBY],
        "states": states,
        "free_sessions": None if last is None else last.free,
        "parked": None if last is None else last.parked,
        "forecast": None if last is None else _forecast(last),
        "terms": [] if last is None else _terms(last),
        "doubts": [] if last is None else _doubts(last),
        "mark": {"below": below, "order": list(order)},
        "actuator": _actuator(scaler),
        "decisions": [_round(each, utc) for each in reversed(scaler.rounds.changes)],
    }


def _forecast(last: Round) -> ForecastDocument:
    outlook = last.decision.outlook
    return {
        "sessions": round(outlook.now, 1),
        "expected": round(outlook.expected, 1),
        "error": round(outlook.error, 1),
        "lead": round(outlook.lead, 1),
        "panic": outlook.panic,
    }


def _terms(one: Round) -> list[TermDocument]:
    return [
        {"name": term.name.value, "backends": term.backends, "reason": term.reason}
        for term in one.decision.terms
    ]


def _doubts(one: Round) -> list[DoubtDocument]:
    return [{"backend": doubt.backend, "reason": doubt.reason} for doubt in one.decision.doubts]


def _actuator(scaler: Scaler) -> ActuatorDocument:
    applied = scaler.orders.applied
    return {
        "name": scaler.actuator,
        "applied": None if applied is None else applied.desired,
        "failures": scaler.orders.failures,
        "fault": scaler.orders.fault,
    }


def _round(one: Round, utc: float) -> RoundDocument:
    return {
        "age": round(max(0.0, utc - one.utc), 1),
        "did": [kind.value for kind in one.kinds],
        "desired": one.decision.desired,
        "current": one.current,
        "terms": _terms(one),
        "drain": list(one.taken.drain),
        "cancel": list(one.taken.cancel),
        "rest": list(one.taken.rest),
        "wake": list(one.taken.wake),
        "release": list(one.decision.release),
        "evict": list(one.evict),
    }
