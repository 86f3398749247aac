"""Each baseline by the examples of its own documentation."""

import pytest

from l4proxy.scaling.policy import FreeSessions, ScalingPolicy
from l4proxy.scaling.report import BackendReport, BackendState, Observation
from l4proxy.scaling.simulator.scalers import AgonesBuffer, Fixed, Hpa, Kpa, Recommender, target_of
from routing import BackendName
from tests.l4proxy.scaling.pools import backend, pool

POLICY = ScalingPolicy(1, 100, sessions_per_backend=10, free=FreeSessions(30))
NOBODY = FreeSessions(0)


def seen(*sessions: int, booting: int = 0, parked: int = 0) -> Observation:
    """A pool with so many sessions on each, and so many that boot."""
    coming = tuple(
        BackendReport(BackendName(f"c{number}"), BackendState.BOOTING) for number in range(booting)
    )
    return Observation((*pool(*sessions), *coming), parked)


def test_knative_divides_by_the_target() -> None:
    """100 at once, 10 a pod at 70 %: 15 pods, rounded up."""
    assert target_of(POLICY) == 7
    assert Kpa(POLICY).round(seen(*[10] * 10), 0.0).desired == 15


def test_knative_panics_at_twice_what_is_ready() -> None:
    """What six seconds ask for counts at once, and a panic never scales in before it is over."""
    kpa, wanted, last = Kpa(POLICY), 0, 0
    for second in range(0, 60, 2):
        assert kpa.round(seen(3, 3), float(second)).desired <= 2
    for second in range(60, 68, 2):
        wanted = kpa.round(seen(10, 10, parked=15), float(second)).desired
    assert wanted >= 4
    assert kpa.round(seen(1, 1, 0, 0), 70.0).desired == wanted
    for second in range(72, 200, 2):
        last = kpa.round(seen(1, 1, 0, 0), float(second)).desired
    assert last == 2  # at most halved


def test_hpa_follows_its_formula_and_defaults() -> None:
    """The mean of the ready over the target; those that boot count with nothing."""
    policy = ScalingPolicy(1, 100, sessions_per_backend=100, free=FreeSessions(20))
    assert Hpa(policy).round(seen(*[80] * 5), 0.0).desired == 5
    assert Hpa(policy).round(seen(*[87] * 10), 0.0).desired == 10  # within a tenth
    assert Hpa(policy).round(seen(*[100] * 4), 0.0).desired == 5
    assert Hpa(policy).round(seen(*[100] * 4, booting=1), 0.0).desired == 5


def test_hpa_grows_by_no_more_than_a_hundred_per_cent() -> None:
    """From 10 to 100 within 75 seconds, doubling every 15."""
    hpa, size, now = Hpa(ScalingPolicy(1, 100, sessions_per_backend=1, free=NOBODY)), 10, 0.0
    sizes = []
    while size < 100:
        size = hpa.round(seen(*[20] * size), now).desired
        sizes.append(size)
        now += 15
    assert sizes == [20, 40, 80, 100]


def test_hpa_shrinks_by_the_largest_of_five_minutes() -> None:
    """A valley shorter than the window changes nothing."""
    policy = ScalingPolicy(1, 100, sessions_per_backend=100, free=NOBODY)
    hpa = Hpa(policy)
    assert hpa.round(seen(*[100] * 4), 0.0).desired == 4
    assert hpa.round(seen(*[20] * 4), 15.0).desired == 4
    assert hpa.round(seen(*[20] * 4), 300.0).desired == 4
    assert hpa.round(seen(*[20] * 4), 315.0).desired == 1


@pytest.mark.parametrize(
    ("sessions", "free", "desired"),
    [
        (40, FreeSessions(20, percent=False), 6),
        (40, FreeSessions(0, percent=False), 4),
        (70, FreeSessions(30), 10),
        (50, FreeSessions(30), 8),  # ceil(50 × 100 / 70) = 72 slots
        (0, FreeSessions(30), 1),  # never below one
        (2000, FreeSessions(30), 100),
    ],
)
def test_agones_keeps_its_buffer(sessions: int, free: FreeSessions, desired: int) -> None:
    """So many free, or so many per cent of the result; within the bounds; busy servers stay."""
    policy = ScalingPolicy(0, 100, sessions_per_backend=10, free=free)
    orders = AgonesBuffer(policy).round(seen(sessions), 0.0)
    assert (orders.desired, orders.spares) == (desired, True)


def test_a_fixed_pool_is_fixed() -> None:
    """Whatever comes."""
    assert Fixed(7).round(seen(1000), 0.0).desired == 7


def test_ours_names_who_goes() -> None:
    """The recommender keeps its state from round to round."""
    ours = Recommender(ScalingPolicy(sessions_per_backend=100))
    orders = ours.round(Observation((backend("a", 95),)), 0.0)
    assert orders.desired == 2
    assert orders.decision is not None
    assert ours.state.desired == 2
