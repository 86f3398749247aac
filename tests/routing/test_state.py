"""Tests of the moment of a decision."""

import pytest

from routing import OpenConnections, State
from tests.routing.cases import APP, name


def test_a_moment_knows_nothing_unless_told() -> None:
    """Left unsaid: no reservation, nobody tried, no hold, nothing seen."""
    state = State(1.0, 0.5, OpenConnections())
    assert (state.reservation, state.tried, state.may_hold, dict(state.seen)) == (
        None,
        (),
        False,
        {},
    )


def test_nothing_seen_stays_nothing() -> None:
    """The empty table that all moments share cannot be written to."""
    seen = State(1.0, 0.5, OpenConnections()).seen
    with pytest.raises(TypeError):
        seen[APP, b"id"] = name("a")  # type: ignore[index]  # that it fails is the promise
