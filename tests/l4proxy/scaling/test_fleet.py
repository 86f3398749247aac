"""Reports sorted out: what is believed."""

import math

import pytest

from l4proxy.scaling.fleet import BOOT_SECONDS, Fleet, measured_lead, sort_out
from l4proxy.scaling.policy import MetricTarget, ScalingPolicy
from l4proxy.scaling.report import CPU, BackendReport, BackendState, Observation, Reading
from routing import BackendName
from tests.l4proxy.scaling.pools import POLICY, backend, pool

CPU_POLICY = ScalingPolicy(metrics=(MetricTarget(CPU, 0.7),), sessions_per_backend=100)


def sorted_out(*reports: BackendReport, policy: ScalingPolicy = POLICY) -> Fleet:
    """The fleet at second 1000."""
    return sort_out(Observation(reports), policy, (), 1000.0)


@pytest.mark.parametrize(
    ("reading", "value", "said"),
    [
        (Reading(0.5, 3), 0.5, ""),
        (Reading(50.0, 3), 7.0, "cut to 7"),
        (Reading(math.inf, 3), 7.0, "cut to 7"),
        (Reading(-0.1, 3), None, "no reading"),
        (Reading(math.nan, 3), None, "no reading"),
        (Reading(0.5, 61), None, "61 s old"),
        (Reading(0.5, -1), None, "-1 s old"),
        (Reading(0.5, math.nan), None, "old"),
        (None, None, "missing"),
    ],
)
def test_a_reading_is_believed_within_bounds(
    reading: Reading | None, value: float | None, said: str
) -> None:
    """What no gauge says is missing, what is too much is cut, and the reason is told."""
    metrics = {} if reading is None else {CPU: reading}
    fleet = sorted_out(backend("a", 5, metrics=metrics), policy=CPU_POLICY)
    ((_, gauges),) = fleet.gauges
    assert gauges.values == ([] if value is None else [value])
    assert gauges.missing == (value is None)
    assert fleet.complete is (value is not None)
    assert said in (fleet.doubts[0].reason if fleet.doubts else "")


@pytest.mark.parametrize(
    ("claimed", "slots"), [(None, 100), (50, 50), (100, 100), (1000, 100), (0, 100), (-5, 100)]
)
def test_a_backend_may_only_claim_less(claimed: int | None, slots: int) -> None:
    """A capacity that is more than the policy's, or none, is not believed."""
    report = BackendReport(BackendName("a"), BackendState.READY, 10, claimed)
    fleet = sorted_out(report)
    assert fleet.alive[0].slots == slots
    assert bool(fleet.doubts) is (claimed is not None and not 0 < claimed <= 100)


@pytest.mark.parametrize(("sessions", "counted"), [(None, 100), (-3, 0), (30, 30)])
def test_sessions_are_never_fewer_than_known(sessions: int | None, counted: int) -> None:
    """Where the count is not known the backend counts as full."""
    fleet = sorted_out(backend("a", sessions))
    assert fleet.sessions == counted
    assert fleet.complete is (sessions is not None)


def test_each_state_has_its_place() -> None:
    """Who can carry sessions, who comes, who failed, who was taken away."""
    late = BackendReport(BackendName("late"), BackendState.BOOTING, started_at=0.0)
    soon = BackendReport(BackendName("soon"), BackendState.ATTESTING, started_at=990.0)
    states = BackendState.READY, BackendState.FULL, BackendState.DRAINING, BackendState.STANDBY
    alive = [backend(state.value, 1, state) for state in states]
    others = [backend(state.value, 0, state) for state in (BackendState.FAILED, BackendState.TAKEN)]
    fleet = sorted_out(late, soon, *alive, *others)
    assert {member.name for member in fleet.alive} == {state.value for state in states}
    assert [report.name for report in fleet.coming] == ["soon"]
    assert fleet.failed == ("late", "failed")
    assert fleet.taken == ("taken",)
    assert fleet.size == 8


def test_victims_stand_in_order() -> None:
    """Fewest sessions, then the oldest image, then the oldest, then by name."""
    fleet = sorted_out(
        backend("busy", 9, image_at=1), backend("new", 2, image_at=5), backend("old", 2, image_at=3)
    )
    assert [member.name for member in fleet.alive] == ["old", "new", "busy"]


@pytest.mark.parametrize(
    ("slots", "backends"), [(0, 0), (1, 1), (100, 1), (101, 2), (300, 3), (301, 4), (501, 6)]
)
def test_slots_are_counted_on_those_there_are_first(slots: int, backends: int) -> None:
    """What the living cannot hold takes new ones of the usual size."""
    assert sorted_out(*pool(1, 2, 3)).backends_for(slots, 100) == backends
    assert sorted_out().backends_for(slots, 100) == math.ceil(slots / 100)


def test_the_lead_time_is_measured() -> None:
    """Nine of ten boots were as fast; before the first, a usual one is assumed."""
    assert measured_lead(Observation(())) == BOOT_SECONDS
    boots = tuple(
        BackendReport(BackendName(str(took)), BackendState.READY, 0, ready_at=float(took))
        for took in range(1, 101)
    )
    assert measured_lead(Observation(boots)) == 90


def test_those_that_leave_are_not_counted() -> None:
    """A backend that is being removed holds no slots."""
    fleet = sort_out(Observation(pool(1, 2)), POLICY, {BackendName("b0")}, 1000.0)
    assert [member.name for member in fleet.alive] == ["b1"]
