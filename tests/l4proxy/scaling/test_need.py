"""How many backends a load needs."""

import pytest

from l4proxy.scaling.cron import Cron, CronWindow
from l4proxy.scaling.decision import Outlook, TermName
from l4proxy.scaling.fleet import sort_out
from l4proxy.scaling.need import Load, Sum, need
from l4proxy.scaling.policy import FreeSessions, MetricTarget, ScalingPolicy, Schedule
from l4proxy.scaling.report import CPU, MEMORY, BackendReport, BackendState, Observation, Reading
from routing import BackendName
from tests.l4proxy.scaling.pools import backend, pool

CALM = Outlook(0, 0, 0, 90, panic=False)
NOON = CronWindow(Cron.parse("0 12 * * *"), 3600)


def needed(
    backends: tuple[BackendReport, ...],
    policy: ScalingPolicy,
    expected: float = 0,
    parked: int = 0,
    utc: float = 0.0,
) -> Sum:
    """The sum for a pool."""
    fleet = sort_out(Observation(backends), policy, (), 1000.0)
    load = Load(fleet.sessions, parked, CALM._replace(expected=expected))
    return need(fleet, policy, load, utc)


def terms(whole: Sum) -> dict[TermName, int]:
    """What each term adds."""
    return {term.name: term.backends for term in whole.terms if term.backends}


def test_each_term_adds_its_part() -> None:
    """Sessions, then who waits, then what is to be free, then what will come, then the reserve."""
    policy = ScalingPolicy(sessions_per_backend=100, free=FreeSessions(20), standby=2)
    whole = needed(pool(90, 90, 90), policy, expected=500, parked=40)
    assert terms(whole) == {
        TermName.SESSIONS: 3,
        TermName.PARKED: 1,
        TermName.FORECAST: 3,
        TermName.STANDBY: 2,
    }
    assert whole.total == 9


def test_free_slots_bear_the_error_of_the_forecast() -> None:
    """An error that fits in the free slots orders nothing; one that does not, does."""
    policy = ScalingPolicy(sessions_per_backend=100)
    fleet = sort_out(Observation(pool(80, 80)), policy, (), 0.0)
    for error, total in ((0, 2), (40, 2), (41, 3)):
        outlook = Outlook(160, 160, error, 90, panic=False)
        assert need(fleet, policy, Load(160, 0, outlook), 0).total == total


def test_without_a_forecast_nothing_is_ordered_ahead() -> None:
    """A policy that wants none has no such term."""
    policy = ScalingPolicy(sessions_per_backend=100, forecast=False)
    assert needed(pool(10), policy, expected=5000).total == 1


@pytest.mark.parametrize(("parked", "total"), [(0, 0), (3, 1)])
@pytest.mark.parametrize("slots", [None, 100])
def test_an_empty_pool_asks_for_one_when_somebody_waits(
    parked: int, total: int, slots: int | None
) -> None:
    """A pool may be empty until the first hello waits for it."""
    policy = ScalingPolicy(minimum=0, sessions_per_backend=slots)
    assert needed((), policy, parked=parked, expected=parked).total == total


def test_the_metric_that_asks_for_most_counts() -> None:
    """Each metric says its number, only the largest adds."""
    policy = ScalingPolicy(metrics=(MetricTarget(CPU, 0.5), MetricTarget(MEMORY, 0.5)))
    metrics = {CPU: Reading(0.9, 1), MEMORY: Reading(0.75, 1)}
    whole = needed(tuple(backend(name, metrics=metrics) for name in "abcd"), policy)
    assert [term.backends for term in whole.terms] == [8, 0]
    assert "memory asks for 6" in whole.terms[1].reason
    assert whole.busy == 8


def test_backends_that_boot_for_the_reserve_ask_for_no_more() -> None:
    """Within the tolerance a metric asks for those that serve, not for those that come as well."""
    policy = ScalingPolicy(metrics=(MetricTarget(CPU, 0.5),), standby=2)
    metrics = {CPU: Reading(0.5, 1)}
    coming = tuple(
        BackendReport(BackendName(name), BackendState.BOOTING, started_at=990.0) for name in "xy"
    )
    serving = tuple(backend(name, 5, metrics=metrics) for name in "abcd")
    assert needed((*serving, *coming), policy).total == 6


def test_who_failed_or_was_taken_is_replaced() -> None:
    """A number that an actuator keeps counts those that are of no use, too."""
    policy = ScalingPolicy(sessions_per_backend=100)
    lost = backend("x", 0, BackendState.FAILED), backend("y", 9, BackendState.TAKEN)
    whole = needed((*pool(50), *lost), policy, expected=50)
    assert terms(whole) == {TermName.SESSIONS: 1, TermName.FAILED: 1, TermName.TAKEN: 1}


@pytest.mark.parametrize(
    ("sessions", "utc", "total"), [(50, 0, 2), (50, 43_200, 5), (5000, 43_200, 8), (5000, 0, 8)]
)
def test_bounds_hold(sessions: int, utc: float, total: int) -> None:
    """Never under the minimum nor that of the hour, never over the maximum."""
    policy = ScalingPolicy(2, 8, sessions_per_backend=100, schedules=(Schedule(NOON, 5),))
    assert needed(pool(sessions), policy, expected=sessions, utc=utc).total == total


def test_a_sum_adds_up() -> None:
    """Whatever is added, the terms make the total."""
    whole = Sum()
    whole.add(TermName.SESSIONS, 3, "")
    whole.raise_to(TermName.FREE, 2, "")
    whole.raised_to(TermName.MINIMUM, 2, "")
    whole.raised_to(TermName.MINIMUM, 9, "")
    whole.lower_to(TermName.MAXIMUM, 9, "")
    whole.lower_to(TermName.MAXIMUM, 7, "")
    assert [term.backends for term in whole.terms] == [3, 0, 6, -2]
    assert whole.total == 7
