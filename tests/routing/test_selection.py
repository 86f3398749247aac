"""Tests of the selection for a new session."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import (
    Backend,
    Balance,
    Capacity,
    Client,
    Ineligible,
    OpenConnections,
    Session,
    ineligible,
)
from routing.rendezvous import slot_of
from routing.selection import select
from tests.routing.cases import CLIENT, backend, backends, busy, pool, state

WEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=12)
CLIENTS = st.lists(st.binary(min_size=4, max_size=4).map(Client), min_size=1, max_size=60)


def _bound(weight: int, total_weight: int, sessions: int) -> int:
    """The sessions that a backend may have once there are so many in all."""
    return math.ceil(1.25 * sessions * weight / total_weight)


@settings(max_examples=50)
@given(WEIGHTS, CLIENTS)
def test_no_backend_runs_over_its_bound(weights: list[int], clients: list[Client]) -> None:
    """Whoever comes, and be it one network alone, no backend gets more than 5/4 of its share."""
    members, load = pool(backends(*weights)), OpenConnections()
    for count, client in enumerate(clients, 1):
        chosen = select(client, members, state(load))
        assert chosen is not None
        load.opened(chosen.index)
        assert load.sessions(chosen.index) <= _bound(chosen.weight, sum(weights), count)


def test_one_network_is_spread_by_the_bound() -> None:
    """A thousand sessions from behind one NAT use the whole pool, to the bound and not past it."""
    members, load = pool(backends(1, 1, 2)), OpenConnections()
    for _ in range(1000):
        chosen = select(CLIENT, members, state(load))
        assert chosen is not None
        load.opened(chosen.index)
    counts = [load.sessions(member.index) for member in members.backends]
    assert all(0 < count <= most for count, most in zip(counts, (313, 313, 625), strict=True))


@given(CLIENTS)
def test_a_network_comes_back_to_its_backend(clients: list[Client]) -> None:
    """While nobody is over a bound, a client gets the backend that its network ranks first."""
    members = pool(backends(1, 2, 3))
    for client in clients:
        chosen = select(client, members, state(busy(b0=9, b1=18, b2=27)))
        assert chosen is not None
        assert chosen.name == members.ranking.first(slot_of(client.prefix))[0]


@settings(max_examples=30)
@given(WEIGHTS, CLIENTS)
def test_balancers_agree(weights: list[int], clients: list[Client]) -> None:
    """Two balancers that share nothing and list the backends differently choose alike."""
    members = backends(*weights)
    one, other = pool(members), pool(members[::-1])
    for client in clients:
        assert select(client, one, state()) == select(client, other, state(draw=0.9))


MEMBER = st.builds(
    lambda index, weight, flags: backend(
        f"b{index}",
        index,
        weight=weight,
        healthy=flags[0],
        trusted=flags[1],
        active=flags[2],
        draining=not flags[3],
    ),
    st.integers(0, 14),
    st.integers(1, 3),
    st.tuples(*[st.sampled_from([True, True, True, False])] * 4),
)
LOADS = st.dictionaries(st.integers(0, 14).map("b{}".format), st.integers(0, 4))


@given(
    st.lists(MEMBER, max_size=15, unique_by=lambda member: member.name),
    LOADS,
    st.lists(st.integers(0, 14).map("b{}".format), max_size=3),
    st.sampled_from(Balance),
    st.binary(min_size=4, max_size=4),
)
def test_the_chosen_is_eligible_and_nobody_is_overlooked(
    members: list[Backend], sessions: dict[str, int], tried: list[str], balance: Balance, ip: bytes
) -> None:
    """An ineligible backend is never chosen, and None is answered only when all are ineligible."""
    capacity = Capacity(sessions=3, connections=4)
    asked = pool(members, balance=balance, capacity=capacity)
    moment = state(busy(**sessions), tried=tuple(tried))
    chosen = select(Client(ip), asked, moment)
    eligible = [
        member for member in members if not ineligible(member, Session.NEW, capacity, moment)
    ]
    assert (chosen in eligible) if eligible else chosen is None


def test_past_the_kept_ranking_the_order_goes_on() -> None:
    """With all that are kept refused, the rest are ranked as if the refused were not there."""
    members = pool(backends(*[1] * 20))
    first = members.ranking.first(slot_of(CLIENT.prefix))
    rest = [member for member in members.backends if member.name not in first]
    chosen = select(CLIENT, members, state(tried=first))
    assert chosen == select(CLIENT, pool(rest), state())


def test_when_all_that_are_left_are_over_their_bound_the_least_loaded_serves() -> None:
    """With the only backend under its bound refused, load decides, never a refusal."""
    members = pool(backends(1, 1, 1))
    moment = state(busy(b1=9, b2=8), tried=("b0",))
    assert select(CLIENT, members, moment) == members.named[members.backends[2].name]


def test_the_bounds_follow_who_is_open() -> None:
    """Sessions on a draining backend count for nobody's bound."""
    left, drained = backends(1, 1)
    members = pool([left, replace(drained, draining=True)])
    assert select(CLIENT, members, state(busy(b0=3, b1=50))) == left


@pytest.mark.parametrize(
    ("sessions", "chosen"),
    [
        ({"b0": 1, "b1": 1}, "b2"),
        ({"b0": 2, "b1": 1, "b2": 5}, "b1"),
        ({"b0": 2, "b1": 2, "b2": 5}, "b2"),
    ],
)
def test_the_fewest_sessions_for_the_weight(sessions: dict[str, int], chosen: str) -> None:
    """Of weights 1, 1 and 3 the smallest (sessions + 1) / weight is chosen."""
    members = pool(backends(1, 1, 3), balance=Balance.LEAST_SESSIONS)
    found = select(CLIENT, members, state(busy(**sessions)))
    assert found is not None
    assert found.name == chosen


@pytest.mark.parametrize(("draw", "chosen"), [(0.0, "b0"), (0.4, "b1"), (0.999, "b2")])
def test_the_draw_settles_a_tie(draw: float, chosen: str) -> None:
    """Equally loaded backends each have an equal part of [0, 1)."""
    members = pool(backends(1, 1, 1), balance=Balance.LEAST_SESSIONS)
    found = select(CLIENT, members, state(draw=draw))
    assert found is not None
    assert found.name == chosen


def test_least_sessions_fills_by_weight() -> None:
    """In the long run each backend has its share of the sessions."""
    members, load = pool(backends(1, 2, 5), balance=Balance.LEAST_SESSIONS), OpenConnections()
    for turn in range(800):
        chosen = select(CLIENT, members, state(load, draw=turn / 800))
        assert chosen is not None
        load.opened(chosen.index)
    assert load.statistics() == pytest.approx(Counter({0: 100, 1: 200, 2: 500}), abs=2)


@pytest.mark.parametrize("balance", Balance)
def test_nobody_is_nobody(balance: Balance) -> None:
    """A pool that is empty, full, or tried through has no backend for a new session."""
    assert select(CLIENT, pool([], balance=balance), state()) is None
    members = pool(backends(1, 1), balance=balance, capacity=Capacity(sessions=1))
    assert select(CLIENT, members, state(busy(b0=1, b1=1))) is None
    assert select(CLIENT, members, state(tried=("b0", "b1"))) is None


@pytest.mark.parametrize("balance", Balance)
def test_the_least_loaded_may_be_the_one_that_was_tried(balance: Balance) -> None:
    """A refused first choice leads to the next, under every balance."""
    members = pool(backends(1, 1), balance=balance)
    found = select(CLIENT, members, state(busy(b1=1), tried=("b0",)))
    assert found == members.backends[1]


def test_the_reasons_are_the_one_answer() -> None:
    """What bars a backend from selection is what eligibility says of it."""
    asked = pool(backends(1), capacity=Capacity(sessions=1))
    moment = state(busy(b0=1))
    assert select(CLIENT, asked, moment) is None
    (only,) = asked.backends
    assert ineligible(only, Session.NEW, asked.capacity, moment) is Ineligible.FULL
