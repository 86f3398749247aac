"""What an operator may ask for."""

import pytest

from l4proxy.scaling.cron import Cron, CronWindow
from l4proxy.scaling.hpa import RateLimit
from l4proxy.scaling.policy import BadPolicy, FreeSessions, MetricTarget, ScalingPolicy, Schedule
from l4proxy.scaling.report import CPU

NIGHT = CronWindow(Cron.parse("0 0 * * *"), 3600)


@pytest.mark.parametrize(
    ("free", "sessions", "slots"),
    [
        (FreeSessions(20), 800, 1000),  # Agones: of the result, not of the sessions
        (FreeSessions(30), 50, 72),  # ceil(50 × 100 / 70)
        (FreeSessions(50), 7, 14),
        (FreeSessions(0), 7, 7),
        (FreeSessions(20), 0, 0),
        (FreeSessions(5, percent=False), 40, 45),
        (FreeSessions(20, percent=False), 0, 20),
    ],
)
def test_free_slots_are_counted_as_agones_counts(
    free: FreeSessions, sessions: int, slots: int
) -> None:
    """Per cent are of all slots once they are there; a number is added."""
    assert free.slots(sessions) == slots


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScalingPolicy(minimum=3, maximum=2),
        lambda: ScalingPolicy(minimum=-1),
        lambda: ScalingPolicy(minimum=0, maximum=0),
        lambda: ScalingPolicy(maximum=10_001),
        lambda: ScalingPolicy(maximum=2, standby=3),
        lambda: ScalingPolicy(sessions_per_backend=0),
        lambda: ScalingPolicy(grow=RateLimit(0, 0, 60)),
        lambda: ScalingPolicy(free=FreeSessions(91)),
        lambda: ScalingPolicy(free=FreeSessions(-1, percent=False)),
        lambda: ScalingPolicy(metrics=(MetricTarget(CPU, 0.0),)),
        lambda: ScalingPolicy(metrics=(MetricTarget(CPU, float("nan")),)),
        lambda: ScalingPolicy(maximum=5, schedules=(Schedule(NIGHT, 6),)),
        lambda: ScalingPolicy(stabilisation=-1),
        lambda: ScalingPolicy(panic=0),
        lambda: ScalingPolicy(lead=-1.0),
    ],
)
def test_what_contradicts_itself_is_refused(make: object) -> None:
    """A policy that nobody can keep says what was found."""
    assert callable(make)
    with pytest.raises(BadPolicy, match="found"):
        make()


@pytest.mark.parametrize(("slots", "mark", "below"), [(100, None, 10), (5, None, 1), (100, 3, 3)])
def test_the_mark_is_a_tenth_of_a_backend(slots: int, mark: int | None, below: int) -> None:
    """Unless it is said, and never nothing."""
    assert ScalingPolicy(sessions_per_backend=slots, mark=mark).wake_below == below
