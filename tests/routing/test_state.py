"""Tests of the moment of a decision."""

from routing import OpenConnections, State


def test_a_moment_knows_nothing_unless_told() -> None:
    """Left unsaid: no reservation, nobody tried, no wait, nothing seen, the first turn."""
    state = State(1.0, 0.5, OpenConnections())
    assert (state.now, state.draw) == (1.0, 0.5)
    assert (state.reservation, state.tried, state.seen, state.turn) == (None, (), None, 0)
    assert not state.may_hold
    assert not state.may_park
