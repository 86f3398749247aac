"""Tests of the tree of errors."""

import routing.errors
from routing import RoutingError


def test_every_error_stands_in_the_tree() -> None:
    """Whoever catches the root catches all, and the tree that is printed is the whole one."""
    text = routing.errors.__doc__ or ""
    kinds = [kind for kind in vars(routing.errors).values() if isinstance(kind, type)]
    assert all(issubclass(kind, RoutingError) and kind.__name__ in text for kind in kinds)


def test_an_error_is_a_value_error() -> None:
    """Whoever reads a configuration may treat a bad part like any other bad value."""
    assert issubclass(RoutingError, ValueError)
