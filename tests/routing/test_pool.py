"""Tests of the pools and what they know beforehand."""

import math
from dataclasses import replace

import pytest

from routing import (
    Backend,
    BadBackend,
    Capacity,
    Hashing,
    HostPattern,
    PoolName,
    Pools,
    Route,
    RouteTable,
    UnknownPool,
)
from tests.routing.cases import APP, NOW, backend, backends, pool


def test_a_pool_knows_who_takes_new_sessions() -> None:
    """Whoever is unhealthy, untrusted, on standby or draining is left out, weight and cell too."""
    members = [
        backend("a", 1, weight=2),
        backend("unhealthy", 2, healthy=False),
        backend("untrusted", 3, trusted=False),
        backend("standby", 4, active=False),
        backend("draining", 5, draining=True),
        backend("b", 6, weight=3),
    ]
    made = pool(members)
    assert [member.name for member in made.open] == ["a", "b"]
    assert made.open_indices == (1, 6)
    assert made.open_weight == 5
    assert list(made.open_named) == ["a", "b"]
    assert list(made.named.values()) == members


def test_a_pool_may_be_empty() -> None:
    """Discovery may find nobody: that is a pool, too."""
    assert pool([]).open == ()


def test_a_name_stands_for_one_backend() -> None:
    """Two backends of one name are refused: an instance name could mean either."""
    with pytest.raises(BadBackend, match="'app': 2 backends have 1 names"):
        pool([backend("a", 0), backend("a", 1)])


def test_a_server_id_stands_for_one_backend() -> None:
    """Backends are found by it; two of one id are refused: a routable name could mean either."""
    one, other, without = backend("a", server_id=0), backend("b", 1, server_id=7), backend("c", 2)
    assert pool([one, other, without]).by_server_id == {0: one, 7: other}
    with pytest.raises(BadBackend, match="'a' and 'b' have one server id, 7, expected one each"):
        pool([replace(one, server_id=7), other])


@pytest.mark.parametrize(
    ("capacity", "capped"),
    [
        (Capacity(), False),
        (Capacity(sessions=1), True),
        (Capacity(connections=1), True),
    ],
)
def test_a_pool_knows_whether_room_may_run_out(capacity: Capacity, capped: bool) -> None:
    """Either bound makes a backend's room worth asking about."""
    assert pool(backends(1), capacity=capacity).capped is capped


@pytest.mark.parametrize(
    ("slow_start", "member", "until"),
    [
        (30.0, backend("a", returned_at=NOW), NOW + 30.0),
        (0.0, backend("a", returned_at=NOW), NOW),
        (30.0, backend("a"), -math.inf),
        (30.0, backend("a", returned_at=NOW, draining=True), -math.inf),
    ],
)
def test_a_pool_knows_how_long_somebody_is_in_slow_start(
    slow_start: float, member: Backend, until: float
) -> None:
    """Only where it is asked for, and somebody who takes new sessions has returned."""
    assert pool([member], slow_start=slow_start).rising_until == until


@pytest.mark.parametrize("hashing", Hashing)
def test_a_pool_ranks_by_its_own_hashing(hashing: Hashing) -> None:
    """The ranking is of the kind asked for; one of another kind is not carried on."""
    before = pool(backends(1, 2), hashing=hashing)
    assert before.ranking.hashing is hashing
    assert replace(before, backends=before.backends[::-1]).ranking is before.ranking
    for other in set(Hashing) - {hashing}:
        assert replace(before, hashing=other).ranking.hashing is other


def test_the_ranking_outlives_a_change_of_health() -> None:
    """A snapshot with the same names and weights goes on with what was worked out."""
    before = pool(backends(1, 2))
    sick = replace(before.backends[0], healthy=False)
    after = replace(before, backends=(before.backends[1], sick))
    assert after.ranking is before.ranking


@pytest.mark.parametrize("members", [backends(1), backends(1, 2, 1), backends(1, 3)])
def test_another_membership_ranks_anew(members: tuple[Backend, ...]) -> None:
    """A backend more or less, or another weight, is another ranking."""
    before = pool(backends(1, 2))
    after = replace(before, backends=members)
    assert after.ranking is not before.ranking
    assert after.ranking.members == {member.name: member.weight for member in after.backends}


def test_equal_pools_are_equal_values() -> None:
    """What was worked out since does not tell two pools apart."""
    one, other = pool(backends(1, 2)), pool(backends(1, 2))
    one.ranking.first(b"")
    assert one == other


def test_every_route_leads_somewhere() -> None:
    """A route, or a default, to a pool that is not there is refused when the parts are joined."""
    routes = [Route(HostPattern.parse("a.example.com"), PoolName("api"))]
    with pytest.raises(UnknownPool, match=r"\['api', 'other'\], expected one of .*\['app'\]"):
        Pools(RouteTable(routes, PoolName("other")), {APP: pool([])})
