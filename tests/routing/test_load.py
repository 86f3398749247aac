"""Tests of the counts in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import BackendIndex, LoadView, OpenConnections
from tests.routing.cases import busy


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 5)))
def test_the_counts_are_what_was_opened(counts: dict[int, int]) -> None:
    """Each view of the load agrees with what was opened, one by one and together."""
    load: LoadView = busy(**{f"b{index}": count for index, count in counts.items()})
    indices = tuple(map(BackendIndex, range(10)))
    expected = [counts.get(index, 0) for index in indices]
    assert [load.sessions(index) for index in indices] == expected
    assert [load.connections(index) for index in indices] == expected
    assert load.total_sessions(indices) == sum(expected)


def test_closing_undoes_opening() -> None:
    """What is closed is counted no more, and what is at zero takes no room."""
    load = busy(b1=2, b2=1)
    load.closed(BackendIndex(1))
    load.closed(BackendIndex(2))
    assert load.statistics() == {1: 1}


def test_closing_twice_is_an_error() -> None:
    """A count never falls below zero, and the message says which backend's would."""
    with pytest.raises(ValueError, match="backend 3 closed a connection"):
        OpenConnections().closed(BackendIndex(3))


def test_statistics_are_a_copy() -> None:
    """What happens later does not change what was reported."""
    load = busy(b0=1)
    before = load.statistics()
    load.opened(BackendIndex(0))
    assert before == {0: 1}
