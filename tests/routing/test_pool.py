"""Tests of the pools and what they know beforehand."""

from dataclasses import replace

import pytest

from routing import (
    Backend,
    BadBackend,
    HostPattern,
    PoolName,
    Pools,
    Route,
    RouteTable,
    UnknownPool,
)
from tests.routing.cases import APP, backend, backends, pool


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
    assert list(made.named.values()) == members


def test_a_pool_may_be_empty() -> None:
    """Discovery may find nobody: that is a pool, too."""
    assert pool([]).open == ()


def test_a_name_stands_for_one_backend() -> None:
    """Two backends of one name are refused: an instance name could mean either."""
    with pytest.raises(BadBackend, match="'app': 2 backends have 1 names"):
        pool([backend("a", 0), backend("a", 1)])


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
    one.ranking.first(0)
    assert one == other


def test_every_route_leads_somewhere() -> None:
    """A route, or a default, to a pool that is not there is refused when the parts are joined."""
    routes = [Route(HostPattern.parse("a.example.com"), PoolName("api"))]
    with pytest.raises(UnknownPool, match=r"\['api', 'other'\], expected one of .*\['app'\]"):
        Pools(RouteTable(routes, PoolName("other")), {APP: pool([])})
