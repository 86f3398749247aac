"""Scale-in, drain first."""

from dataclasses import replace

import pytest

from l4proxy.scaling.fleet import sort_out
from l4proxy.scaling.hpa import Change, RateLimit
from l4proxy.scaling.report import BackendReport, BackendState, Observation
from l4proxy.scaling.shrink import MAX_RELEASE_SECONDS, Bounds, Drains, Plan, after, plan, released
from routing import BackendName
from tests.l4proxy.scaling.pools import POLICY, backend, pool

FAST = RateLimit(100, 100, 60)
DRAINING = BackendState.DRAINING
D = BackendName("d")


def planned(
    *reports: BackendReport,
    surplus: int = 1,
    drains: Drains | None = None,
    timeout: float | None = None,
    calm: bool = True,
) -> Plan:
    """The plan at second 1000."""
    fleet = sort_out(Observation(reports), POLICY, (), 1000.0)
    bounds = Bounds(surplus, FAST, timeout, calm)
    return plan(fleet, drains or Drains(), bounds, 1000.0)


def names(members: tuple[object, ...]) -> list[str]:
    """What they are called."""
    return [str(getattr(member, "name", "")) for member in members]


def test_victims_are_those_with_the_fewest_sessions() -> None:
    """So many as are too many, first victims first."""
    assert names(planned(*pool(9, 3, 5), surplus=2).drain) == ["b1", "b2"]
    assert not planned(*pool(9, 3, 5), surplus=0).drain
    assert not planned(*pool(9, 3, 5), surplus=-4).drain


def test_nothing_begins_in_a_panic() -> None:
    """While data is missing or the load jumps no drain begins; those that go on, go on."""
    found = planned(*pool(9), backend("d", 2, DRAINING), surplus=2, calm=False)
    assert not found.drain
    assert names(found.going) == ["d"]


def test_drains_are_cancelled_first() -> None:
    """When fewer are too many, the drain with most sessions comes back first."""
    drains = [backend(name, count, DRAINING) for name, count in (("x", 1), ("y", 8), ("z", 4))]
    found = planned(*pool(50), *drains, surplus=1)
    assert names(found.cancel) == ["y", "z"]
    assert names(found.going) == ["x"]


def test_the_rate_is_limited() -> None:
    """What began to drain a moment ago counts against the next."""
    fleet = sort_out(Observation(pool(*range(20))), POLICY, (), 1000.0)
    bounds = Bounds(10, RateLimit(1, 10, 60), None, calm=True)
    assert len(plan(fleet, Drains(), bounds, 1000.0).drain) == 2
    busy = Drains(begun=(Change(990.0, -2),))
    assert len(plan(fleet, busy, bounds, 1000.0).drain) <= 1


def test_an_empty_victim_is_sealed_before_it_goes() -> None:
    """First no worker may wake it any more, and only a round later may it be removed."""
    empty = backend("d", 0, DRAINING)
    first = planned(*pool(5), empty)
    assert not first.release
    memory = after(first, Drains(since={D: 900.0}), FAST, 1000.0)
    assert memory.sealed == {"d"}
    second = planned(*pool(5), empty, drains=memory)
    assert names(second.release) == ["d"]
    assert not second.kept().release
    final = after(second, memory, FAST, 1005.0)
    assert (final.since, final.sealed, dict(final.released)) == ({}, frozenset(), {D: 1005.0})


def test_a_session_that_came_after_all_keeps_its_backend() -> None:
    """A victim that was empty and is not any more is not removed."""
    memory = Drains(since={D: 900.0}, sealed=frozenset({D}))
    found = planned(*pool(5), backend("d", 1, DRAINING), drains=memory)
    assert not found.release
    assert not after(found, memory, FAST, 1000.0).sealed


@pytest.mark.parametrize(("timeout", "goes"), [(None, False), (101, False), (100, True)])
def test_the_deadline_ends_a_drain(timeout: float | None, goes: bool) -> None:
    """With sessions on it a victim goes only past its deadline, and never without one."""
    memory = Drains(since={D: 900.0})
    found = planned(*pool(5), backend("d", 3, DRAINING), drains=memory, timeout=timeout)
    assert bool(found.release) is goes
    unknown = planned(*pool(5), backend("d", 3, DRAINING), timeout=timeout)
    assert not unknown.release


def test_a_drain_remembers_when_it_began() -> None:
    """The deadline counts from the first round, whatever comes between."""
    first = planned(*pool(5, 3))
    memory = after(first, Drains(), RateLimit(1, 1, 60), 1000.0)
    assert memory.since == {"b1": 1000.0}
    assert memory.begun == (Change(1000.0, -1),)
    again = planned(backend("b0", 5), backend("b1", 3, DRAINING), drains=memory)
    later = after(again, memory, RateLimit(1, 1, 60), 1070.0)
    assert later.since == {"b1": 1000.0}
    assert later.begun == ()


def test_who_is_not_removed_in_time_counts_again() -> None:
    """A victim that nobody removed is forgotten as one after ten minutes, or once it is gone."""
    memory = replace(Drains(), released={D: 1000.0})
    assert released(memory, {D}, 1000 + MAX_RELEASE_SECONDS - 1)
    assert not released(memory, {D}, 1000 + MAX_RELEASE_SECONDS)
    assert not released(memory, {D}, 999)
    assert not released(memory, set(), 1001)
