"""Promises of `routing.standby`: who rests wakes when the others run short, and not before."""

from routing import Capacity, Mark, OpenConnections, Pool
from routing.standby import awake
from tests.routing.cases import backend, busy, name, pool, state

TEN = Capacity(sessions=10)
AWAKE = backend("awake", 0)
RESTING = backend("resting", 1, active=False)
DRAINING = backend("draining", 2, draining=True, drain_deadline=5.0)
SICK = backend("sick", 3, active=False, healthy=False)


def marked(below: int, *order: str, capacity: Capacity = TEN) -> Pool:
    """A pool with one backend awake, and this mark."""
    mark = Mark(below, tuple(map(name, order)))
    return pool([AWAKE, RESTING, DRAINING, SICK], capacity=capacity, mark=mark)


def who(members: Pool, load: OpenConnections) -> list[str]:
    """The names of those that take new sessions."""
    return [each.name for each in awake(members, state(load)).open]


def test_nobody_wakes_while_enough_is_free() -> None:
    """At the mark all rest; one session more, and the first wakes."""
    members = marked(3, "resting", "draining")
    assert awake(members, state(busy(b0=7))) is members
    assert who(members, busy(b0=8)) == ["awake", "resting"]


def test_they_wake_in_order_until_enough_is_free() -> None:
    """What the first brings counts, less the sessions that it has already."""
    members = marked(3, "draining", "resting")
    assert who(members, busy(b0=10)) == ["awake", "draining"]
    assert who(members, busy(b0=10, b2=8)) == ["awake", "resting", "draining"]


def test_a_drain_that_is_called_back_is_over() -> None:
    """Who wakes out of a drain takes sessions, and lets go of none."""
    woken = awake(marked(3, "draining"), state(busy(b0=9))).named[name("draining")]
    assert not woken.draining
    assert woken.drain_deadline is None


def test_who_cannot_serve_does_not_count() -> None:
    """A sick one in the order, a name that is gone and one that is awake bring nothing."""
    members = marked(3, "sick", "gone", "awake", "resting")
    assert who(members, busy(b0=9)) == ["awake", "resting"]


def test_when_all_are_awake_there_is_nobody_left() -> None:
    """A mark that nothing satisfies ends with its order."""
    assert who(marked(99, "resting"), busy(b0=10, b1=10)) == ["awake", "resting"]


def test_without_a_bound_on_sessions_nobody_wakes() -> None:
    """What is free is then not known."""
    members = marked(3, "resting", capacity=Capacity())
    assert awake(members, state(busy(b0=99))) is members


def test_the_woken_pool_is_made_once() -> None:
    """The next decision finds it, with the ranking that was worked out."""
    members = marked(3, "resting")
    first = awake(members, state(busy(b0=9)))
    assert awake(members, state(busy(b0=10))) is first
    assert first.ranking is members.ranking
