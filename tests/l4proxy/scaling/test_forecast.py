"""The load when a backend that is ordered now can serve."""

from dataclasses import replace
from math import pi, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.scaling.decision import Outlook
from l4proxy.scaling.forecast import MAX_PENDING, Memory, foresee, spike
from l4proxy.scaling.season import Season


def seen(loads: list[float], lead: float = 90.0, every: float = 5.0) -> tuple[Outlook, Memory]:
    """What is expected after loads that came one a round."""
    memory = Memory()
    outlook = Outlook(0, 0, 0, 0, panic=False)
    for number, load in enumerate(loads):
        outlook, memory = foresee(memory, load, lead, number * every, number * every)
    return outlook, memory


def test_a_level_load_stays() -> None:
    """Nothing moves, nothing is expected to, and no forecast was wrong."""
    outlook, _ = seen([100.0] * 200)
    assert outlook.expected == pytest.approx(100)
    assert outlook.error == pytest.approx(0)


def test_a_ramp_goes_on() -> None:
    """A steady rise is expected to be further up after the lead time, by just so much."""
    outlook, _ = seen([2.0 * number for number in range(400)])
    assert outlook.expected == pytest.approx(outlook.now + 2 / 5 * 90, rel=0.01)


def test_a_fall_ends_at_nothing() -> None:
    """There are no sessions below none."""
    outlook, _ = seen([max(0.0, 500 - 10.0 * number) for number in range(52)])
    assert outlook.expected >= 0


def test_errors_are_told() -> None:
    """A load that turns teaches that forecasts are off, and by how much."""
    outlook, _ = seen([100.0] * 100 + [300.0] * 30)
    assert 1 < outlook.error < 200


def test_the_season_is_ahead_of_the_trend() -> None:
    """On the third day, who knows the days before is nearer to what an hour brings."""
    knowing, guessing, errors = Memory(), Memory(), [0.0, 0.0]
    for at in range(0, 3 * 86_400, 300):
        load, later = (1000 + 800 * sin(pi * when / 21_600) for when in (at, at + 3600))
        expected, knowing = foresee(knowing, load, 3600, at, at)
        guessed, guessing = foresee(replace(guessing, season=Season()), load, 3600, at, at)
        if at >= 2 * 86_400:
            errors[0] += abs(expected.expected - later)
            errors[1] += abs(guessed.expected - later)
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("jump", [-5000.0, 0.0, 5000.0])
def test_a_clock_that_jumps_costs_only_the_trend(jump: float) -> None:
    """Time that stands still, runs back or leaps gives the load as it is."""
    _, memory = seen([2.0 * number for number in range(100)])
    outlook, after = foresee(memory, 198.0, 90, 495 + jump, 0)
    assert outlook.expected == 198
    assert after.trend == 0


def test_a_spike_is_measured_over_seconds() -> None:
    """The rise of the last rounds, and how much that is a second."""
    assert spike(Memory()) == (0, 0)
    _, memory = seen([100.0] * 50)
    assert spike(memory) == (0, 0)
    _, memory = seen([100.0] * 50 + [120.0, 140.0, 160.0])
    assert spike(memory) == (60, 4)
    _, memory = seen([100.0] * 50 + [160.0])
    assert spike(memory) == (60, 4)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(-10, 1000)), max_size=80),
    st.floats(0, 1000),
)
def test_no_load_breaks_it(steps: list[tuple[float, float]], lead: float) -> None:
    """Whatever comes, whenever: the forecast is a number that is not negative, memory is small."""
    memory, now = Memory(), 0.0
    for load, passed in steps:
        now += passed
        outlook, memory = foresee(memory, load, lead, now, now)
        assert 0 <= outlook.expected < 1e15
        assert 0 <= outlook.error < 1e15
    assert len(memory.pending) <= MAX_PENDING
    assert len(memory.recent) <= 64
