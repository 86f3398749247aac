"""Tests of the selection for a new session."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import (
    Backend,
    BackendIndex,
    Balance,
    Capacity,
    Client,
    Hashing,
    Ineligible,
    OpenConnections,
    Pool,
    Session,
    ineligible,
)
from routing.selection import select
from tests.routing.cases import CLIENT, NOW, backend, backends, busy, pool, state

WEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=12)
CLIENTS = st.lists(st.binary(min_size=4, max_size=4).map(Client), min_size=1, max_size=60)


def _bound(weight: int, total_weight: int, sessions: int) -> int:
    """The sessions that a backend may have once there are so many in all."""
    return math.ceil(_most(sessions * weight / total_weight))


def _most(share: float) -> float:
    """A quarter more than a share, or what chance alone may make of it."""
    return max(1.25 * share, share + 4 * math.sqrt(share))


@pytest.mark.parametrize("hashing", Hashing)
@settings(max_examples=30)
@given(weights=WEIGHTS, clients=CLIENTS)
def test_no_backend_runs_over_its_bound(
    hashing: Hashing, weights: list[int], clients: list[Client]
) -> None:
    """Whoever comes, and be it one network alone: 5/4 of its share, or what chance may make."""
    members, load = pool(backends(*weights), hashing=hashing), OpenConnections()
    for count, client in enumerate(clients, 1):
        chosen = select(client, members, state(load))
        assert chosen is not None
        load.opened(chosen.index)
        assert load.sessions(chosen.index) <= _bound(chosen.weight, sum(weights), count)


class _Asked(OpenConnections):
    """A load that counts how often it is asked for the total."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def total_sessions(self, indices: tuple[BackendIndex, ...], /) -> int:
        self.times += 1
        return super().total_sessions(indices)


def test_the_total_is_not_asked_for_each_backend() -> None:
    """Where the favourites of a network are all over their share, the others cost one total."""
    members, load = pool(backends(*[1] * 60)), _Asked()
    for member in members.backends:
        for _ in range(20):
            load.opened(member.index)
    for favourite in members.ranking.first(CLIENT.prefix):
        for _ in range(80):
            load.opened(members.named[favourite].index)
    chosen = select(CLIENT, members, state(load))
    assert chosen is not None
    assert load.sessions(chosen.index) == 20
    assert load.times <= len(members.ranking.first(CLIENT.prefix)) + 1


@pytest.mark.parametrize("hashing", Hashing)
def test_one_network_is_spread_by_the_bound(hashing: Hashing) -> None:
    """A thousand sessions from behind one NAT use the whole pool, to the bound and not past it."""
    members, load = pool(backends(1, 1, 2), hashing=hashing), OpenConnections()
    for _ in range(1000):
        chosen = select(CLIENT, members, state(load))
        assert chosen is not None
        load.opened(chosen.index)
    counts = [load.sessions(member.index) for member in members.backends]
    assert all(0 < count <= most for count, most in zip(counts, (314, 314, 625), strict=True))


@pytest.mark.parametrize("hashing", Hashing)
@pytest.mark.parametrize("networks", [6, 24, 100, 300])
def test_chance_alone_sends_nobody_away(hashing: Hashing, networks: int) -> None:
    """Clients of as many networks come to what their hash says, though some backends get more."""
    members, load = pool(backends(1, 1, 1), hashing=hashing), OpenConnections()
    for number in range(networks):
        client = Client(number.to_bytes(3) + b"?")
        chosen = select(client, members, state(load))
        assert chosen is not None
        assert chosen.name == members.ranking.first(client.prefix)[0]
        load.opened(chosen.index)


@pytest.mark.parametrize("hashing", Hashing)
@given(clients=CLIENTS)
def test_a_network_comes_back_to_its_backend(hashing: Hashing, clients: list[Client]) -> None:
    """While nobody is over a bound, a client gets the backend that its network ranks first."""
    members = pool(backends(1, 2, 3), hashing=hashing)
    for client in clients:
        chosen = select(client, members, state(busy(b0=9, b1=18, b2=27)))
        assert chosen is not None
        assert chosen.name == members.ranking.first(client.prefix)[0]


@pytest.mark.parametrize("hashing", Hashing)
@settings(max_examples=20)
@given(weights=WEIGHTS, clients=CLIENTS)
def test_balancers_agree(hashing: Hashing, weights: list[int], clients: list[Client]) -> None:
    """Two balancers that share nothing and list the backends differently choose alike."""
    members = backends(*weights)
    one, other = pool(members, hashing=hashing), pool(members[::-1], hashing=hashing)
    for client in clients:
        assert select(client, one, state()) == select(client, other, state(draw=0.9))


MEMBER = st.builds(
    lambda index, weight, flags, returned_at: backend(
        f"b{index}",
        index,
        weight=weight,
        healthy=flags[0],
        trusted=flags[1],
        active=flags[2],
        draining=not flags[3],
        returned_at=returned_at,
    ),
    st.integers(0, 14),
    st.integers(1, 3),
    st.tuples(*[st.sampled_from([True, True, True, False])] * 4),
    st.sampled_from([None, NOW - 3, NOW]),
)
LOADS = st.dictionaries(st.integers(0, 14).map("b{}".format), st.integers(0, 4))


@given(
    st.lists(MEMBER, max_size=15, unique_by=lambda member: member.name),
    LOADS,
    st.lists(st.integers(0, 14).map("b{}".format), max_size=3),
    st.sampled_from(Balance),
    st.tuples(st.sampled_from([0.0, 10.0]), st.floats(0, 1, exclude_max=True), st.integers(0, 99)),
)
def test_the_chosen_is_eligible_and_nobody_is_overlooked(
    members: list[Backend],
    sessions: dict[str, int],
    tried: list[str],
    balance: Balance,
    chance: tuple[float, float, int],
) -> None:
    """An ineligible backend is never chosen, and None is answered only when all are ineligible."""
    capacity = Capacity(sessions=3, connections=4)
    slow_start, draw, turn = chance
    asked = pool(members, balance=balance, capacity=capacity, slow_start=slow_start)
    moment = state(busy(**sessions), draw=draw, tried=tuple(tried), turn=turn)
    chosen = select(Client(turn.to_bytes(4)), asked, moment)
    eligible = [
        member for member in members if not ineligible(member, Session.NEW, capacity, moment)
    ]
    assert (chosen in eligible) if eligible else chosen is None


def test_past_the_kept_ranking_the_order_goes_on() -> None:
    """With all that are kept refused, the rest are ranked as if the refused were not there."""
    members = pool(backends(*[1] * 20))
    first = members.ranking.first(CLIENT.prefix)
    rest = [member for member in members.backends if member.name not in first]
    chosen = select(CLIENT, members, state(tried=first))
    assert chosen == select(CLIENT, pool(rest), state())


def test_past_the_kept_part_of_a_table_the_order_goes_on() -> None:
    """With Maglev the next is the one whose entry follows."""
    members = pool(backends(*[1] * 20), hashing=Hashing.MAGLEV)
    first = members.ranking.first(CLIENT.prefix)
    rest = [member.name for member in members.backends if member.name not in first]
    chosen = select(CLIENT, members, state(tried=first))
    assert chosen is not None
    assert chosen.name == members.ranking.favourite(CLIENT.prefix, rest)


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


def _shares(members: Pool, draws: int) -> dict[BackendIndex, int]:
    """How often each backend is chosen over evenly spread draws and turns, with nothing open."""
    chosen = (select(CLIENT, members, state(draw=n / draws, turn=n)) for n in range(draws))
    return Counter(backend.index for backend in chosen if backend is not None)


def test_round_robin_gives_turns_by_weight() -> None:
    """In eight turns in a row each backend has exactly as many as its weight."""
    members = pool(backends(1, 2, 5), balance=Balance.ROUND_ROBIN)
    for begin in (0, 3, 1_000_001):
        turns = [select(CLIENT, members, state(turn=begin + turn)) for turn in range(8)]
        assert Counter(backend.index for backend in turns if backend) == {0: 1, 1: 2, 2: 5}


def test_turns_of_a_full_backend_are_shared_by_the_others() -> None:
    """Its neighbour does not get them all."""
    members = pool(backends(1, 1, 1, 1), balance=Balance.ROUND_ROBIN, capacity=Capacity(sessions=1))
    load = busy(b1=1)
    turns = [select(CLIENT, members, state(load, turn=turn)) for turn in range(1200)]
    counts = Counter(backend.name for backend in turns if backend)
    assert counts.keys() == {"b0", "b2", "b3"}
    assert max(counts.values()) <= 500


def test_of_two_that_are_drawn_the_less_loaded_serves() -> None:
    """The busiest backend is never chosen where two differ, the emptiest most of all."""
    members = pool(backends(1, 1, 1), balance=Balance.RANDOM_TWO)
    load = busy(b0=9, b1=5)
    chosen = [select(CLIENT, members, state(load, draw=n / 600)) for n in range(600)]
    counts = Counter(backend.name for backend in chosen if backend)
    assert counts == pytest.approx({"b2": 400, "b1": 200}, abs=3)


def test_random_two_fills_by_weight() -> None:
    """In the long run each backend has its share of the sessions."""
    members, load = pool(backends(1, 2, 5), balance=Balance.RANDOM_TWO), OpenConnections()
    for turn in range(800):
        chosen = select(CLIENT, members, state(load, draw=turn * 0.618034 % 1))
        assert chosen is not None
        load.opened(chosen.index)
    assert load.statistics() == pytest.approx({0: 100, 1: 200, 2: 500}, abs=15)


def test_of_two_that_are_drawn_the_one_that_claims_less_serves() -> None:
    """The busiest by its own word is never chosen; who claims to be idle gets twice its share."""
    claims = [backend(f"b{i}", i, load=load) for i, load in enumerate((0.9, 0.5, 0.0))]
    members = pool(claims, balance=Balance.LOAD)
    chosen = [select(CLIENT, members, state(busy(b2=9), draw=n / 600)) for n in range(600)]
    counts = Counter(backend.name for backend in chosen if backend)
    assert counts == pytest.approx({"b2": 400, "b1": 200}, abs=3)


@pytest.mark.parametrize("claims", [(None, 0.1), (0.9, None), (None, None), (0.5, 0.5)])
def test_where_claims_do_not_tell_sessions_do(claims: tuple[float | None, float | None]) -> None:
    """Of a backend whose telemetry is missing nothing is assumed."""
    two = [backend(f"b{i}", i, load=load) for i, load in enumerate(claims)]
    members = pool(two, balance=Balance.LOAD)
    chosen = {select(CLIENT, members, state(busy(b0=2, b1=1), draw=n / 10)) for n in range(10)}
    assert chosen == {two[1]}


@pytest.mark.parametrize("balance", [Balance.RANDOM_TWO, Balance.ROUND_ROBIN, Balance.LOAD])
def test_a_lone_backend_serves_everybody(balance: Balance) -> None:
    """There is nobody to draw or to take turns with."""
    assert _shares(pool(backends(3), balance=balance), 100) == {0: 100}


def _returning(balance: Balance, since: float) -> Pool:
    """Two backends of weight 2, of which the second came back so many seconds ago, of 100."""
    members = [backend("b0", weight=2), backend("b1", 1, weight=2, returned_at=NOW - since)]
    return pool(members, balance=balance, slow_start=100.0)


@pytest.mark.parametrize("balance", Balance)
@pytest.mark.parametrize(
    ("since", "share"), [(0.0, 0.1 / 1.1), (50.0, 0.55 / 1.55), (100.0, 1 / 2), (900.0, 1 / 2)]
)
def test_a_returned_backend_takes_on_its_share_little_by_little(
    balance: Balance, since: float, share: float
) -> None:
    """From a tenth of its weight to all of it, whatever the balance; affinity bounds it so."""
    members, load = _returning(balance, since), OpenConnections()
    for turn in range(2000):
        client = Client(turn.to_bytes(3) + b"?")
        moment = state(load, draw=turn * 0.618034 % 1, turn=turn)
        chosen = select(client, members, moment)
        assert chosen is not None
        load.opened(chosen.index)
    filled = load.statistics()[BackendIndex(1)] / 2000
    if balance is Balance.AFFINITY:
        assert filled <= _most(2000 * share) / 2000 + 0.001
    else:
        assert filled == pytest.approx(share, abs=0.02)


def test_turns_are_taken_again_when_a_slow_start_is_over() -> None:
    """Who came back once does not leave turns to chance for ever."""
    members = _returning(Balance.ROUND_ROBIN, since=100.0)
    turns = [select(CLIENT, members, state(turn=turn)) for turn in range(4)]
    assert Counter(backend.name for backend in turns if backend) == {"b0": 2, "b1": 2}
    full = replace(members, capacity=Capacity(sessions=1))
    begun = 29.23  # 100.0 seconds later is, by rounding, a little less than that away
    full = replace(full, backends=(backend("b0"), backend("b1", 1, returned_at=begun)))
    later = state(busy(b0=1), turn=1, now=begun + 100.0)
    assert select(CLIENT, full, later) == full.backends[1]


def test_a_slow_start_never_refuses() -> None:
    """A returned backend that is alone serves all."""
    for balance in Balance:
        members = pool([backend("b0", returned_at=NOW)], balance=balance, slow_start=100.0)
        assert select(CLIENT, members, state(busy(b0=50))) == members.backends[0]
