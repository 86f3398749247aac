"""Tests of the weight of a backend that has returned."""

import pytest

from routing.slow_start import FIRST_SHARE, effective_weight
from tests.routing.cases import NOW, backend


@pytest.mark.parametrize(
    ("elapsed", "weight"),
    [
        (-5.0, 20 * FIRST_SHARE),
        (0.0, 20 * FIRST_SHARE),
        (5.0, 11.0),
        (9.0, 18.2),
        (10.0, 20),
        (1e9, 20),
    ],
)
def test_the_weight_grows_from_a_tenth_to_all(elapsed: float, weight: float) -> None:
    """In a straight line, from the return to the end of the slow start."""
    returned = backend("b0", weight=20, returned_at=NOW)
    assert effective_weight(returned, 10.0, NOW + elapsed) == pytest.approx(weight)


def test_who_never_left_has_its_weight() -> None:
    """And so has everybody where there is no slow start."""
    assert effective_weight(backend("b0", weight=3), 10.0, NOW) == 3
    assert effective_weight(backend("b0", weight=3, returned_at=NOW), 0.0, NOW) == 3
