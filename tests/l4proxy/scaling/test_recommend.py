"""A round of scaling, from what is seen to what is done."""

import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.scaling.decision import Decision, TermName
from l4proxy.scaling.hpa import RateLimit
from l4proxy.scaling.policy import FreeSessions, MetricTarget, ScalingPolicy
from l4proxy.scaling.recommend import ScalingState, recommend
from l4proxy.scaling.report import (
    CPU,
    MEMORY,
    REQUESTS,
    BackendReport,
    BackendState,
    MetricName,
    Observation,
    Reading,
)
from routing import BackendName
from tests.l4proxy.scaling.pools import POLICY, after, backend, decide, pool, term

LONG = 2000.0
HASTY = replace(POLICY, stabilisation=0.0, shrink=RateLimit(100, 100, 60))


def test_a_pool_at_rest_stays() -> None:
    """Four full backends and a fifth of the slots free: nothing is asked for."""
    decision, _ = after(LONG, pool(80, 80, 80, 80))
    assert decision.desired == 4
    assert not decision.drain


def test_growth_is_asked_for_at_once() -> None:
    """What the free slots lack is ordered in the first round that sees it."""
    decision, _ = decide(pool(95, 95, 95, 95))
    assert decision.desired == 5
    assert term(decision, TermName.FREE) == 1


def test_growth_has_a_rate() -> None:
    """Outside a panic a pool at most doubles, or grows by four, a minute."""
    decision, state = decide(pool(*[100] * 10), replace(POLICY, free=FreeSessions(90)))
    assert decision.desired == 20
    policy = replace(POLICY, maximum=100, free=FreeSessions(90))
    decision, state = decide(pool(*[100] * 10), policy)
    assert decision.desired == 20
    assert term(decision, TermName.RATE_LIMIT) < 0
    decision, _ = decide(pool(*[100] * 10), policy, state, 1030.0)
    assert decision.desired == 20
    decision, _ = decide(pool(*[100] * 10), policy, state, 1061.0)
    assert decision.desired == 40


def test_a_spike_is_a_panic() -> None:
    """A load that would take half of what is free before help comes knows no rate limit."""
    policy = replace(POLICY, maximum=100, grow=RateLimit(1, 0, 60))
    _, state = decide(pool(*[80] * 10), policy)
    decision, state = decide(pool(*[88] * 10), policy, state, 1005.0)
    assert decision.outlook.panic
    assert decision.desired == 17
    assert not decision.rest
    # It lasts a minute beyond its cause.
    decision, state = decide(pool(*[88] * 10), policy, state, 1060.0)
    assert decision.outlook.panic
    decision, _ = decide(pool(*[88] * 10), policy, state, 1070.0)
    assert not decision.outlook.panic


def test_shrinking_waits() -> None:
    """A smaller need lasts the window before anybody drains, and drains before it goes."""
    backends = pool(*[80] * 5, *[0] * 5)
    decision, _ = after(POLICY.stabilisation - 20, backends)
    assert (decision.desired, decision.drain) == (10, ())
    decision, _ = after(POLICY.stabilisation + 20, backends)
    assert (decision.desired, decision.drain) == (10, ("b5",))


def test_a_victim_goes_in_three_rounds() -> None:
    """It drains, it is sealed, and then the number is lowered and it is named."""
    _, state = decide(pool(80, 80, 0), HASTY)
    drained = (*pool(80, 80), backend("b2", 0, BackendState.DRAINING))
    first, state = decide(drained, HASTY, state, 1005.0)
    assert (first.desired, first.release) == (3, ())
    assert "b2" not in first.mark.order
    second, state = decide(drained, HASTY, state, 1010.0)
    assert (second.desired, second.release) == (2, ("b2",))
    third, _ = decide(drained, HASTY, state, 1015.0)
    assert (third.desired, third.release) == (2, ())


def test_a_busy_victim_holds_the_number() -> None:
    """As long as there are sessions on it, the number is not lowered, and the sum says why."""
    decision, state = decide(pool(60, 60, 20), HASTY)
    drained = (*pool(60, 60), backend("b2", 20, BackendState.DRAINING))
    for step in range(1, 50):
        decision, state = decide(drained, HASTY, state, 1000.0 + 5 * step)
        assert decision.desired == 3
        assert not decision.release
    assert term(decision, TermName.DRAINING) == 1


def test_nobody_leaves_while_the_load_rises() -> None:
    """An empty victim is a reserve as long as more is on its way."""
    _, state = decide(pool(50, 50, 0), HASTY)
    for step in range(1, 10):
        load = 50 + 2 * step
        drained = (*pool(load, load), backend("b2", 0, BackendState.DRAINING))
        decision, state = decide(drained, HASTY, state, 1000.0 + 5 * step)
        assert not decision.release


def test_demand_that_returns_cancels_drains() -> None:
    """The cheapest capacity there is: nothing is ordered while a drain can be called back."""
    _, state = decide(pool(60, 60, 20), HASTY)
    drained = (*pool(85, 85), backend("b2", 20, BackendState.DRAINING))
    decision, _ = decide(drained, HASTY, state, 1100.0)
    assert decision.cancel == ("b2",)
    assert decision.desired == 3


def test_what_an_operator_drained_is_left_alone() -> None:
    """It is replaced, never called back, never in the order of those that wake."""
    taken = backend("t", 40, BackendState.TAKEN)
    decision, _ = decide((*pool(99, 99), taken))
    assert decision.desired == 4
    assert "t" not in (*decision.cancel, *decision.wake, *decision.mark.order, *decision.drain)


def test_who_failed_is_replaced_and_named() -> None:
    """The number grows by one, and shrinks by one once it is gone, and by no more."""
    failed = backend("f", 0, BackendState.FAILED)
    decision, state = decide((*pool(80, 80), failed))
    assert (decision.desired, decision.evict) == (3, ("f",))
    decision, _ = decide(pool(80, 80), POLICY, state, 1005.0)
    assert decision.desired == 2 or term(decision, TermName.STABILISATION) == 1


def test_who_vanishes_is_asked_for_again() -> None:
    """Backends that are not seen any more, for whatever reason, lower nothing."""
    _, state = decide(pool(80, 80, 80, 80))
    for step in range(1, 200):
        decision, state = decide((), POLICY, state, 1000.0 + 20 * step)
        assert decision.desired == 4


def test_an_order_that_nobody_fulfilled_can_be_taken_back() -> None:
    """What was never there may be asked for no more when the load is gone."""
    policy = replace(POLICY, stabilisation=0.0)
    decision, state = decide(pool(99, 99), policy)
    assert decision.desired == 3
    decision, state = decide(pool(80, 80), policy, state, 1005.0)
    assert decision.desired == 2


@pytest.mark.parametrize("lost", [{}, {CPU: Reading(0.1, 600)}, {CPU: Reading(float("nan"), 1)}])
def test_missing_data_shrinks_nothing(lost: dict[MetricName, Reading]) -> None:
    """One backend that does not report holds the whole pool where it is."""
    policy = replace(HASTY, metrics=(MetricTarget(CPU, 0.7),))
    idle = {CPU: Reading(0.01, 1)}
    reporting = tuple(backend(name, 1, metrics=idle) for name in "abcd")
    _, state = decide(reporting, policy)
    assert decide(reporting, policy, state, 1005.0)[0].drain
    silent = replace(reporting[0], metrics=lost)
    decision, _ = decide((silent, *reporting[1:]), policy, state, 1005.0)
    assert not decision.drain
    assert decision.desired == 4
    assert decision.doubts[0].backend == "a"


def test_a_liar_moves_the_mean_no_further_than_allowed() -> None:
    """One backend that claims everything cannot fill the pool up to its maximum."""
    policy = ScalingPolicy(maximum=1000, metrics=(MetricTarget(CPU, 0.5),))
    honest = tuple(backend(f"h{n}", metrics={CPU: Reading(0.5, 1)}) for n in range(99))
    liar = backend("liar", metrics={CPU: Reading(1e300, 1)})
    decision, _ = decide((*honest, liar), policy)
    assert decision.desired <= 110


def test_a_lowered_maximum_drains() -> None:
    """A pool that is larger than it may be shrinks without breaking a session."""
    policy = replace(HASTY, maximum=2)
    decision, _ = decide(pool(90, 90, 90, 10), policy)
    assert decision.desired == 4
    assert decision.drain == ("b3", "b0")


STATES = st.sampled_from(list(BackendState))
VALUES = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 2))


@st.composite
def reports(draw: st.DrawFn) -> tuple[BackendReport, ...]:
    """A pool in any state, with telemetry from a world gone mad."""
    found = []
    for number in range(draw(st.integers(0, 12))):
        value = draw(VALUES)
        age = draw(st.floats(-10, 200))
        found.append(
            BackendReport(
                BackendName(f"b{number}"),
                draw(STATES),
                draw(st.one_of(st.none(), st.integers(-5, 250))),
                draw(st.one_of(st.none(), st.integers(-5, 10_000))),
                {} if value is None else {CPU: Reading(value, age)},
                draw(st.floats(0, 2000)),
                draw(st.one_of(st.none(), st.floats(0, 2000))),
                draw(st.floats(0, 10)),
            )
        )
    return tuple(found)


POLICIES = st.builds(
    ScalingPolicy,
    minimum=st.integers(0, 3),
    maximum=st.integers(3, 15),
    sessions_per_backend=st.one_of(st.none(), st.integers(1, 200)),
    metrics=st.sampled_from([(), (MetricTarget(CPU, 0.7),)]),
    standby=st.integers(0, 3),
    pack=st.booleans(),
    stabilisation=st.sampled_from([0.0, 60.0]),
    drain_timeout=st.sampled_from([None, 50.0]),
    shrink=st.just(RateLimit(100, 100, 60)),
)
ROUNDS = st.lists(st.tuples(reports(), st.floats(-5, 100), st.integers(-1, 50)), max_size=6)


def rounds(
    policy: ScalingPolicy, steps: list[tuple[tuple[BackendReport, ...], float, int]]
) -> list[tuple[tuple[BackendReport, ...], ScalingState, Decision]]:
    """What was seen, what was known, what was decided, round by round."""
    told, state, now = [], ScalingState(), 1000.0
    for backends, passed, parked in steps:
        now += passed
        before = state
        decision, state = recommend(Observation(backends, parked, now), policy, state, now)
        told.append((backends, before, decision))
    return told


@settings(max_examples=150, deadline=None)
@given(POLICIES, ROUNDS)
def test_bounds_and_sums_hold_in_any_world(
    policy: ScalingPolicy, steps: list[tuple[tuple[BackendReport, ...], float, int]]
) -> None:
    """Never under the minimum; over the maximum only with those that are there; terms add up."""
    there = 0
    for backends, _, decision in rounds(policy, steps):
        there = max(there, len(backends))
        assert decision.desired >= policy.minimum
        assert decision.desired <= max(policy.maximum, there)
        assert sum(found.backends for found in decision.terms) == decision.desired
        assert all(found.reason for found in decision.terms)


@settings(max_examples=150, deadline=None)
@given(POLICIES, ROUNDS)
def test_what_goes_is_empty_in_any_world(
    policy: ScalingPolicy, steps: list[tuple[tuple[BackendReport, ...], float, int]]
) -> None:
    """The number falls only by orders that were taken back and victims that are named and empty."""
    for backends, before, decision in rounds(replace(policy, drain_timeout=None), steps):
        by_name = {report.name: report for report in backends}
        gone = before.away - by_name.keys()
        for name in decision.release:
            victim = by_name[name]
            assert victim.state is BackendState.DRAINING
            assert victim.sessions is not None
            assert victim.sessions <= 0
        assert decision.desired >= before.held - len(decision.release) - len(gone)


@settings(max_examples=100, deadline=None)
@given(reports(), POLICIES)
def test_losing_data_shrinks_nothing_in_any_world(
    backends: tuple[BackendReport, ...], policy: ScalingPolicy
) -> None:
    """Were all counts and readings lost at once, no drain begins and the number is no smaller."""
    _, state = decide(backends, policy)
    blind = tuple(replace(report, sessions=None, metrics={}) for report in backends)
    decision, _ = decide(blind, policy, state, 1005.0)
    alive = [report for report in blind if report.state in {BackendState.READY, BackendState.FULL}]
    if alive:
        assert not decision.drain
        assert not decision.release
    assert decision.desired >= min(policy.maximum, len(backends))


@settings(max_examples=100, deadline=None)
@given(reports(), POLICIES)
def test_nobody_is_told_two_things(
    backends: tuple[BackendReport, ...], policy: ScalingPolicy
) -> None:
    """A backend rests or wakes or drains; those in the mark's order take no sessions now."""
    decision, _ = decide(backends, policy)
    told = (*decision.drain, *decision.rest, *decision.wake, *decision.release, *decision.evict)
    assert len(told) == len(set(told))
    assert not set(decision.mark.order) & set(decision.wake)
    assert set(decision.rest) <= set(decision.mark.order)


def calls_of_a_round(size: int) -> int:
    """How many calls the second round over so many backends takes, each with three metrics."""
    metrics = {CPU: Reading(0.6, 1), MEMORY: Reading(0.5, 1), REQUESTS: Reading(300, 1)}
    targets = tuple(MetricTarget(name, 1000.0) for name in metrics)
    policy = ScalingPolicy(maximum=2000, sessions_per_backend=500, metrics=targets)
    backends = tuple(backend(f"b{n}", 300 + n % 200, metrics=metrics) for n in range(size))
    decision, state = decide(backends, policy)
    calls = Counter[str]()
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: calls.update([event]))
    try:
        decision, _ = decide(backends, policy, state, 1005.0)
    finally:
        sys.setprofile(before)
    assert decision.desired >= size
    return calls["call"] + calls["c_call"]


def test_a_round_costs_no_more_for_each_backend_than_in_a_small_pool() -> None:
    """Over a thousand backends nothing is looked up for each one among all the others."""
    assert calls_of_a_round(1000) < 11 * calls_of_a_round(100)


def test_while_the_view_is_blurred_nobody_begins_to_go() -> None:
    """Nor is anybody released, nor called back for it; who is there stays asked for."""
    policy = replace(POLICY, stabilisation=0.0, forecast=False)
    idle = pool(0, 0, 0)
    _, state = decide(idle, policy)
    blurred = Observation(idle, utc=1020.0, blurred=True)
    decision, state = recommend(blurred, policy, state, 1020.0)
    assert (decision.drain, decision.rest, decision.desired) == ((), (), 3)
    assert decide(idle, policy, state, 1040.0)[0].drain
