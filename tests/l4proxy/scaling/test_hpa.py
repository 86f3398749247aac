"""The arithmetic of Kubernetes' HPA, by the examples of its documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.scaling.hpa import (
    Change,
    Gauges,
    RateLimit,
    least_replicas,
    most_replicas,
    replicas,
    up,
)


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        ([200.0], 100, 2),  # "if the current metric value is 200m and the desired 100m: doubled"
        ([50.0, 50.0], 100, 1),  # "if the current value is instead 50m: halved"
        ([109.0] * 10, 100, 10),  # a ratio within a tenth of 1 changes nothing
        ([91.0] * 10, 100, 10),
        ([111.0] * 10, 100, 12),
        ([60.0] * 3, 50, 4),
    ],
)
def test_the_documented_ratio(values: list[float], target: float, expected: int) -> None:
    """Desired is the ceiling of current times the ratio, and within the tolerance nothing moves."""
    assert replicas(Gauges(values), target) == expected


@pytest.mark.parametrize(("backends", "expected"), [(9, 10), (10, 10), (11, 11), (20, 20)])
def test_one_more_is_ignored_from_ten_on(backends: int, expected: int) -> None:
    """A demand for one more than there are is within the tolerance on pools of ten and more."""
    demand = (backends + 1) / backends
    assert replicas(Gauges([demand] * backends), 1.0) == expected
    assert replicas(Gauges([demand] * backends), 1.0, tolerance=0) == backends + 1


@pytest.mark.parametrize(
    ("gauges", "expected"),
    [
        (Gauges([2.0, 2.0], unready=2), 4),  # with the unready at nothing the ratio is 1
        (Gauges([3.0, 3.0], unready=1), 6),
        (Gauges([0.5, 0.5], unready=2), 1),  # not set in for the shrinking
        (Gauges([1.5, 1.5], missing=2), 4),  # they turn growing into shrinking: nothing
        (Gauges([0.4, 0.4], missing=2), 3),  # missing ones count with the target
        (Gauges([], missing=3), 3),
    ],
)
def test_those_that_say_nothing_dampen(gauges: Gauges, expected: int) -> None:
    """The unready and the missing count with nothing upwards, the missing with the target down."""
    assert replicas(gauges, 1.0) == expected


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_missing_never_asks_for_less(values: list[float], unready: int, missing: int) -> None:
    """A backend whose reading is lost never makes the answer smaller than with it at the target."""
    with_target = replicas(Gauges([*values, *([1.0] * missing)], unready), 1.0)
    lost = replicas(Gauges(values, unready, missing), 1.0)
    mean = sum(values) / len(values) if values else 1.0
    assert lost >= with_target or mean >= 1


def test_the_documented_walk_down() -> None:
    """From 80, a tenth a minute: 8, then 8 (7.2 rounded up); at 40 and below four a minute."""
    tenth = RateLimit(4, 10, 60)
    assert least_replicas(0, 80, [], tenth) == 72
    assert least_replicas(30, 72, [Change(0, -8)], tenth) == 72
    assert least_replicas(60, 72, [Change(0, -8)], tenth) == 64
    assert least_replicas(0, 40, [], tenth) == 36
    assert least_replicas(0, 36, [], tenth) == 32


def test_the_documented_walk_up() -> None:
    """By default a pool doubles in 15 s, or grows by four: 10 is 100 within 75 s."""
    limit = RateLimit(4, 100, 15)
    now, size, changes = 0.0, 10, list[Change]()
    while size < 100:
        grown = min(100, most_replicas(now, size, changes, limit))
        changes.append(Change(now, grown - size))
        now, size = now + 15, grown
    assert now <= 75
    assert most_replicas(0, 1, [], limit) == 5


def test_noise_of_floating_point_costs_no_backend() -> None:
    """Three tenths of ten are three."""
    assert up(0.1 * 3 * 10) == 3
    assert up(3.1) == 4
