"""Tests of the one answer, with its reason for each no."""

from dataclasses import replace

import pytest

from routing import Backend, Capacity, Ineligible, Session, ineligible
from tests.routing.cases import NOW, backend, busy, state

FINE = backend("b")


@pytest.mark.parametrize(
    ("asked", "new", "held"),
    [
        (FINE, None, None),
        (backend("b", healthy=False), "unhealthy", "unhealthy"),
        (backend("b", trusted=False), "untrusted", "untrusted"),
        (replace(FINE, refuted=True), "untrusted", "untrusted"),
        (backend("b", active=False), "standby", None),
        (backend("b", draining=True), "draining", None),
        (backend("b", draining=True, drain_deadline=NOW + 1), "draining", None),
        (backend("b", draining=True, drain_deadline=NOW), "draining", "drain_expired"),
        (backend("b", drain_deadline=NOW - 1), None, None),
    ],
)
def test_what_the_backend_is_decides(asked: Backend, new: str | None, held: str | None) -> None:
    """Health and trust are asked of all; standby and drain bar new sessions and keep old ones."""
    assert ineligible(asked, Session.NEW, Capacity(), state()) == new
    assert ineligible(asked, Session.HELD, Capacity(), state()) == held


@pytest.mark.parametrize(
    ("capacity", "new", "held"),
    [
        (Capacity(), None, None),
        (Capacity(sessions=4, connections=4), None, None),
        (Capacity(sessions=3), "full", None),
        (Capacity(connections=3), "connections_full", "connections_full"),
        (Capacity(sessions=3, connections=3), "full", "connections_full"),
        (Capacity(sessions=0), "full", None),
    ],
)
def test_what_it_carries_decides(capacity: Capacity, new: str | None, held: str | None) -> None:
    """With three open: a held session needs no place for itself, but its connection does."""
    moment = state(busy(b0=3))
    assert ineligible(FINE, Session.NEW, capacity, moment) == new
    assert ineligible(FINE, Session.HELD, capacity, moment) == held


@pytest.mark.parametrize("session", Session)
def test_a_dial_that_failed_is_not_repeated(session: Session) -> None:
    """A backend that was tried for this connection is out, whatever else is true of it."""
    sick = backend("b", healthy=False)
    assert ineligible(FINE, session, Capacity(), state(tried=("a", "b"))) is Ineligible.TRIED
    assert ineligible(sick, session, Capacity(), state(tried=("b",))) is Ineligible.TRIED


def test_the_first_reason_counts() -> None:
    """Of several reasons the order of the enumeration chooses, so that labels do not flicker."""
    wreck = backend("b", healthy=False, trusted=False, active=False, draining=True)
    full = Capacity(sessions=0, connections=0)
    assert ineligible(wreck, Session.NEW, full, state()) is Ineligible.UNHEALTHY
