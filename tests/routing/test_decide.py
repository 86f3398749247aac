"""Tests of the whole decision, most of all of its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import (
    HOLD_SECONDS,
    Backend,
    BackendName,
    Capacity,
    Client,
    Effect,
    Forward,
    Hold,
    HoldReason,
    Ineligible,
    Pool,
    PoolName,
    Pools,
    RefusalReason,
    Refuse,
    RouteTable,
    State,
    Why,
    decide,
)
from tests.routing.cases import (
    APP,
    CLIENT,
    NOW,
    backend,
    backends,
    busy,
    hello,
    owned,
    pool,
    pools,
    state,
)

TICKETS = {owner: owner.encode() * 8 + bytes(90) for owner in ("b0", "b1", "b2", "b3", "b4")}
UNKNOWN = b"?" * 100


def _pool(*members: Backend, capacity: Capacity | None = None) -> Pool:
    """A pool of five whose tickets are named for their owners."""
    names = [owned(owner, ticket[:16]) for owner, ticket in TICKETS.items()]
    return pool(members or backends(1, 1, 1, 1, 1), capacity=capacity, names=names)


def _five(*unhealthy: str) -> Pools:
    """The usual routes to five backends, of which some do not answer."""
    members = [backend(f"b{i}", i, healthy=f"b{i}" not in unhealthy) for i in range(5)]
    return pools(_pool(*members))


# One hello and one moment in which each kind of token names another backend.
EVERYTHING = hello("b2.app.example.com", ticket=TICKETS["b0"])
MOMENT = state(reservation="b3", seen={TICKETS["b0"]: "b1"})


@pytest.mark.parametrize(
    ("unhealthy", "why", "chosen"),
    [
        ((), Why.TICKET, "b0"),
        (("b0",), Why.SESSION_ID, "b1"),
        (("b0", "b1"), Why.INSTANCE, "b2"),
        (("b0", "b1", "b2"), Why.RESERVATION, "b3"),
        (("b0", "b1", "b2", "b3"), Why.SELECTED, "b4"),
    ],
)
def test_the_first_that_yields_an_eligible_backend_wins(
    unhealthy: tuple[str, ...], why: Why, chosen: str
) -> None:
    """Ticket, what was seen issued, instance name, reservation, selection: in this order."""
    answer = decide(EVERYTHING, CLIENT, _five(*unhealthy), MOMENT)
    assert isinstance(answer, Forward)
    assert (answer.why, answer.backend.name, answer.pool) == (why, chosen, APP)


@pytest.mark.parametrize("why", Why)
def test_the_order_holds_for_dials_that_failed_too(why: Why) -> None:
    """Each failed dial leads to the next in the order, and the last one to a refusal."""
    tried = tuple(f"b{i}" for i in range(list(Why).index(why)))
    answer = decide(
        EVERYTHING, CLIENT, _five(), MOMENT._replace(tried=tuple(map(BackendName, tried)))
    )
    assert isinstance(answer, Forward)
    assert answer.why is why


def test_only_a_selection_is_reserved() -> None:
    """Every forward takes a slot; a new session is reserved, so that its siblings follow it."""
    selected = decide(hello(), CLIENT, _five(), state())
    assert isinstance(selected, Forward)
    assert selected.effects == (Effect.TAKE_SLOT, Effect.RESERVE)
    returning = decide(hello(psk=(TICKETS["b1"],)), CLIENT, _five(), state())
    assert isinstance(returning, Forward)
    assert returning.effects == (Effect.TAKE_SLOT,)


def test_parallel_first_connections_stay_together() -> None:
    """The reservation of the first holds for the second, even when it took the last place."""
    members = pools(_pool(capacity=Capacity(sessions=1)))
    first = decide(hello(), CLIENT, members, state())
    assert isinstance(first, Forward)
    moment = state(busy(**{first.backend.name: 1}), reservation=first.backend.name)
    second = decide(hello(), CLIENT, members, moment)
    assert isinstance(second, Forward)
    assert (second.backend, second.why) == (first.backend, Why.RESERVATION)


def test_a_reservation_is_never_a_way_past_a_cap() -> None:
    """At the bound of connections the client goes elsewhere, reservation or not."""
    members = pools(_pool(capacity=Capacity(connections=2)))
    answer = decide(hello(), CLIENT, members, state(busy(b3=2), reservation="b3"))
    assert isinstance(answer, Forward)
    assert answer.why is Why.SELECTED
    assert answer.backend.name != "b3"


def test_an_unknown_ticket_name_is_held() -> None:
    """A key may have been rotated a moment ago: wait for the pool to be asked, but not for long."""
    answer = decide(hello(psk=(UNKNOWN,)), CLIENT, _five(), state(may_hold=True, reservation="b3"))
    assert answer == Hold(APP, HoldReason.UNKNOWN_TICKET_NAME, NOW + HOLD_SECONDS)


@pytest.mark.parametrize(
    ("psk", "server_name", "why"),
    [
        ((UNKNOWN, TICKETS["b1"]), "app.example.com", Why.TICKET),
        ((UNKNOWN,), "b1.app.example.com", Why.INSTANCE),
        ((b"short",), "app.example.com", Why.SELECTED),
        ((), "app.example.com", Why.SELECTED),
    ],
)
def test_what_names_a_backend_for_certain_is_not_held(
    psk: tuple[bytes, ...], server_name: str, why: Why
) -> None:
    """A known name beside it, an instance name, or nothing that could be a name: no waiting."""
    answer = decide(hello(server_name, psk=psk), CLIENT, _five(), state(may_hold=True))
    assert isinstance(answer, Forward)
    assert answer.why is why


def test_a_known_owner_that_cannot_serve_is_not_waited_for() -> None:
    """The name is known, so asking again would tell nothing new."""
    asked = hello(psk=(UNKNOWN, TICKETS["b1"]))
    answer = decide(asked, CLIENT, _five("b1"), state(may_hold=True))
    assert isinstance(answer, Forward)
    assert answer.why is Why.SELECTED


@pytest.mark.parametrize(
    ("members", "may_hold"),
    [(_five(), False), (pools(pool(backends(1, 1))), True)],
    ids=["held once already", "a pool without names"],
)
def test_without_leave_or_names_it_is_decided_at_once(members: Pools, may_hold: bool) -> None:
    """A hello is held where that is allowed and could help, else the next in the order decides."""
    answer = decide(hello(psk=(UNKNOWN,)), CLIENT, members, state(may_hold=may_hold))
    assert isinstance(answer, Forward)
    assert answer.why is Why.SELECTED


def test_a_ticket_of_another_pool_stays_outside() -> None:
    """The server name chooses the pool; a ticket never does."""
    other = PoolName("other")
    stranger = Pool(other, (backend("x", 9),))
    table = RouteTable((), default=other)
    members = Pools(table, {APP: _pool(), other: stranger})
    answer = decide(hello("else.example.com", psk=(TICKETS["b0"],)), CLIENT, members, state())
    assert isinstance(answer, Forward)
    assert (answer.pool, answer.backend.name, answer.why) == ("other", "x", Why.SELECTED)


@pytest.mark.parametrize(
    ("server_name", "reason"),
    [
        (None, RefusalReason.NO_SERVER_NAME),
        ("other.example.com", RefusalReason.UNKNOWN_SERVER_NAME),
    ],
)
def test_without_a_route_no_pool_is_to_blame(
    server_name: str | None, reason: RefusalReason
) -> None:
    """The refusal carries the table's reason and names no pool."""
    assert decide(hello(server_name), CLIENT, _five(), state()) == Refuse(reason)


def test_a_refusal_says_why_of_every_backend() -> None:
    """With nobody eligible the refusal has the reason of each, in the pool's order."""
    members = pool(
        [
            backend("tried", 0),
            backend("unhealthy", 1, healthy=False),
            backend("untrusted", 2, trusted=False),
            backend("standby", 3, active=False),
            backend("draining", 4, draining=True),
            backend("full", 5),
        ],
        capacity=Capacity(sessions=1),
    )
    answer = decide(hello(), CLIENT, pools(members), state(busy(b5=1), tried=("tried",)))
    assert isinstance(answer, Refuse)
    assert (answer.reason, answer.pool) == (RefusalReason.NO_ELIGIBLE_BACKEND, APP)
    assert answer.detail == tuple(
        (member.name, Ineligible(member.name)) for member in members.backends
    )


@given(
    st.binary(min_size=1, max_size=80),
    st.binary(min_size=4, max_size=4).map(Client),
    st.booleans(),
    st.sampled_from([None, "b0", "b3", "gone"]),
)
def test_a_decision_is_pure(
    ticket: bytes, client: Client, may_hold: bool, reservation: str | None
) -> None:
    """Asked twice, of a pool that has decided before and of a fresh one, the answer is the same."""
    asked = hello(psk=(ticket,))
    moment: State = state(busy(b0=2, b1=1), reservation=reservation, may_hold=may_hold)
    warm = _five("b4")
    answers = {decide(asked, client, members, moment) for members in (warm, warm, _five("b4"))}
    assert len(answers) == 1
