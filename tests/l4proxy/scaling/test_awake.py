"""Who takes new sessions."""

import pytest

from l4proxy.scaling.awake import Watch, watch
from l4proxy.scaling.fleet import Member, sort_out
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.report import BackendReport, BackendState, Observation
from tests.l4proxy.scaling.pools import POLICY, backend, pool

REST = BackendState.STANDBY


def members(*reports: BackendReport) -> list[Member]:
    """Reports, sorted out."""
    return list(sort_out(Observation(reports), POLICY, (), 1000.0).alive)


def watched(
    *reports: BackendReport,
    policy: ScalingPolicy = POLICY,
    drains: tuple[BackendReport, ...] = (),
    least: int = 0,
    calm: bool = True,
) -> Watch:
    """Who rests and wakes."""
    return watch(members(*reports), members(*drains), policy, least, calm=calm)


def test_few_fill_up_and_the_others_rest() -> None:
    """Those with the fewest sessions rest while twice the mark is free without them."""
    found = watched(*pool(90, 95, 30, 5))
    assert found.rest == ("b3",)
    assert found.mark == (10, ("b3",))
    assert not watched(*pool(90, 95, 30)).rest  # without b2 fifteen were free: hardly the mark


def test_nobody_rests_in_a_panic() -> None:
    """While the load jumps, or data is missing, all stay as they are."""
    assert not watched(*pool(90, 90, 30, 5), calm=False).rest


def test_one_is_always_awake() -> None:
    """However empty the pool is, somebody takes the next session."""
    assert watched(*pool(0, 0, 0)).rest == ("b0", "b1")


def test_those_that_metrics_want_stay_awake() -> None:
    """What is busy by another measure is not packed further."""
    assert watched(*pool(0, 0, 0), least=2).rest == ("b0",)
    asleep = backend("z", 3, REST)
    assert watched(*pool(10), asleep, least=2).wake == ("z",)


def test_the_next_wakes_under_the_mark() -> None:
    """Most sessions first, until the mark is free again; those that wake are in no order."""
    asleep = backend("few", 1, REST), backend("most", 97, REST), backend("more", 60, REST)
    found = watched(*pool(99), *asleep)
    assert found.wake == ("most", "more")
    assert found.mark == (10, ("few",))
    assert not found.rest


def test_a_drain_is_called_back_before_a_fresh_one_wakes() -> None:
    """Of two without sessions the draining one comes first: it is to be had for nothing."""
    drains = backend("d", 0, BackendState.DRAINING), backend("e", 4, BackendState.DRAINING)
    found = watched(*pool(50), backend("s", 0, REST), drains=drains)
    assert found.mark.order == ("e", "d", "s")


@pytest.mark.parametrize(("standby", "rest"), [(0, ()), (1, ("b2",)), (2, ("b2", "b1"))])
def test_without_packing_only_the_standby_rests(standby: int, rest: tuple[str, ...]) -> None:
    """A policy may want all but so many to share the load."""
    policy = ScalingPolicy(sessions_per_backend=100, pack=False, standby=standby)
    assert watched(*pool(20, 10, 5), policy=policy).rest == rest
    asleep = tuple(backend(name, 0, REST) for name in "xyz")
    assert len(watched(*pool(20), *asleep, policy=policy).wake) == 3 - standby


@pytest.mark.parametrize(("standby", "rest"), [(0, ()), (1, ("b2",))])
def test_without_a_capacity_only_the_standby_rests(standby: int, rest: tuple[str, ...]) -> None:
    """Where sessions are not counted nobody knows who is full."""
    policy = ScalingPolicy(standby=standby)
    found = watched(*pool(20, 10, 5), policy=policy)
    assert found.rest == rest
    assert found.mark.below == 0
