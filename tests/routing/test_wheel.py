"""Tests of the wheel."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.wheel import Wheel
from tests.routing.cases import backends

WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=12)
DRAWS = st.floats(0, 1, exclude_max=True)


def _wheel(weights: list[int]) -> Wheel:
    return Wheel(backends(*weights), weights)


@given(WEIGHTS, st.integers(0, 1 << 64))
def test_turns_come_out_by_weight_wherever_one_begins(weights: list[int], begin: int) -> None:
    """Once around, each backend has had exactly as many turns as its weight."""
    wheel = _wheel(weights)
    turns = Counter(wheel.turn(begin + turn).index for turn in range(sum(weights)))
    assert turns == dict(enumerate(weights))


def test_turns_of_a_heavy_backend_are_spread() -> None:
    """It does not serve five in a row while the others wait."""
    wheel = _wheel([5, 1, 1])
    order = "".join(str(wheel.turn(turn).index) for turn in range(14))
    assert order == "00010200001020"


@given(WEIGHTS, DRAWS)
def test_two_that_are_drawn_differ_where_there_are_two(weights: list[int], draw: float) -> None:
    """The first is the one that is drawn alone; the second another."""
    wheel = _wheel(weights)
    one, other = wheel.two_drawn(draw)
    assert one == wheel.drawn(draw)
    assert (one == other) is (len(weights) == 1)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.75, 1 - 2**-53])
@pytest.mark.parametrize("weights", [[0.1], [0.1, 0.2, 0.7], [1e-3, 1e9], [3, 1, 3]])
def test_rounding_never_leaves_the_wheel(weights: list[float], draw: float) -> None:
    """The ends of the draw's range, and weights that no double holds exactly, find somebody."""
    wheel = Wheel(backends(*[1] * len(weights)), weights)
    assert {*wheel.two_drawn(draw), wheel.drawn(draw)} <= set(wheel.backends)


def test_draws_are_fair() -> None:
    """The first by weight; the second by weight among the rest."""
    wheel, draws = _wheel([1, 2, 1]), 4000
    pairs = Counter(
        (one.index, other.index)
        for one, other in (wheel.two_drawn(n / draws) for n in range(draws))
    )
    fair = {
        (0, 1): 1 / 4 * 2 / 3,
        (0, 2): 1 / 4 * 1 / 3,
        (1, 0): 1 / 2 * 1 / 2,
        (1, 2): 1 / 2 * 1 / 2,
        (2, 0): 1 / 4 * 1 / 3,
        (2, 1): 1 / 4 * 2 / 3,
    }
    assert pairs == pytest.approx({pair: draws * share for pair, share in fair.items()}, abs=2)
