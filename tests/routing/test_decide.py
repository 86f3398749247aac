"""Tests of the whole decision, most of all of its order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import (
    HOLD_SECONDS,
    Backend,
    Capacity,
    Client,
    Effect,
    ExternalPsks,
    Forward,
    Hold,
    HoldReason,
    Mark,
    OpenConnections,
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
from routing.ranking import MAX_KEYS
from tests.routing.cases import (
    APP,
    CLIENT,
    NOW,
    Keys,
    Reserved,
    backend,
    backends,
    busy,
    hello,
    name,
    owned,
    pool,
    pools,
    routable,
    state,
)

TICKETS = {f"b{i}": b"b%d" % i * 8 + bytes(90) for i in range(5)}
SEEN = b"!" * 100
LABEL = b"Client_identity"
UNKNOWN = b"?" * 100


def _pool(*members: Backend, capacity: Capacity | None = None) -> Pool:
    """A pool of seven whose tickets are named for their owners."""
    names = [owned(owner, ticket[:16]) for owner, ticket in TICKETS.items()]
    return pool(
        members or backends(1, 1, 1, 1, 1),
        capacity=capacity,
        names=names,
        routable=Keys(),
        psks=ExternalPsks({LABEL: name("b2")}),
    )


def _seven(*unhealthy: str) -> Pools:
    """The usual routes to seven backends, of which some do not answer."""
    members = [backend(f"b{i}", i, server_id=i, healthy=f"b{i}" not in unhealthy) for i in range(7)]
    return pools(_pool(*members))


# One hello and one moment in which each kind of token names another backend.
EVERYTHING = hello("b4.app.example.com", psk=(LABEL, SEEN, routable(0), TICKETS["b1"]))
MOMENT = state(reservation="b5", seen={SEEN: "b3"})
ORDER = (
    Why.ROUTABLE,
    Why.LEARNED,
    Why.EXTERNAL_PSK,
    Why.OBSERVED,
    Why.INSTANCE,
    Why.RESERVATION,
    Why.SELECTED,
)


@pytest.mark.parametrize("why", ORDER)
def test_the_first_that_yields_an_eligible_backend_wins(why: Why) -> None:
    """Tickets, external PSK, what was seen, instance name, reservation, selection, in order."""
    place = ORDER.index(why)
    answer = decide(EVERYTHING, CLIENT, _seven(*(f"b{i}" for i in range(place))), MOMENT)
    assert isinstance(answer, Forward)
    assert (answer.why, answer.backend.name, answer.pool) == (why, f"b{place}", APP)


@pytest.mark.parametrize("why", ORDER)
def test_the_order_holds_for_dials_that_failed_too(why: Why) -> None:
    """Each failed dial leads to the next in the order, and the last one to a refusal."""
    tried = tuple(f"b{i}" for i in range(ORDER.index(why)))
    moment = state(reservation="b5", seen={SEEN: "b3"}, tried=tried)
    answer = decide(EVERYTHING, CLIENT, _seven(), moment)
    assert isinstance(answer, Forward)
    assert answer.why is why


@pytest.mark.parametrize(
    ("session_id", "why", "chosen"),
    [
        (routable(2) + bytes(16), Why.ROUTABLE, "b2"),
        (b"id", Why.SESSION_ID, "b3"),
        (bytes(32), Why.INSTANCE, "b4"),
    ],
)
def test_a_session_id_comes_before_the_instance_name(
    session_id: bytes, why: Why, chosen: str
) -> None:
    """What a client wants to resume leads; random filler says nothing."""
    asked = hello("b4.app.example.com", session_id=session_id)
    answer = decide(asked, CLIENT, _seven(), state(seen={b"id": "b3"}))
    assert isinstance(answer, Forward)
    assert (answer.why, answer.backend.name) == (why, chosen)


def test_only_where_a_session_begins_is_reserved() -> None:
    """Every forward takes a slot; a new session is reserved, so that its siblings follow it."""
    selected = decide(hello(), CLIENT, _seven(), state())
    assert isinstance(selected, Forward)
    assert selected.effects == (Effect.TAKE_SLOT, Effect.RESERVE)
    external = decide(hello(psk=(LABEL,)), CLIENT, _seven(), state())
    assert isinstance(external, Forward)
    assert (external.why, external.effects) == (Why.EXTERNAL_PSK, selected.effects)
    returning = decide(hello(psk=(TICKETS["b1"],)), CLIENT, _seven(), state())
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


def test_a_reservation_is_looked_up_only_where_it_is_reached() -> None:
    """Of this pool, once, by a client of whom nothing else is known; a token asks for none."""
    moment = state(reservation="b3")
    asked = moment.reservation
    assert isinstance(asked, Reserved)
    decide(hello(psk=(TICKETS["b1"],)), CLIENT, _seven(), moment)
    assert asked.asked == 0
    answer = decide(hello(), CLIENT, _seven(), moment)
    assert isinstance(answer, Forward)
    assert (answer.backend.name, answer.why, asked.asked) == ("b3", Why.RESERVATION, 1)


def test_a_reservation_is_never_a_way_past_a_cap() -> None:
    """At the bound of connections the client goes elsewhere, reservation or not."""
    members = pools(_pool(capacity=Capacity(connections=2)))
    answer = decide(hello(), CLIENT, members, state(busy(b3=2), reservation="b3"))
    assert isinstance(answer, Forward)
    assert answer.why is Why.SELECTED
    assert answer.backend.name != "b3"


def test_an_unknown_ticket_name_is_held() -> None:
    """A key may have been rotated a moment ago: wait for the pool to be asked, but not for long."""
    answer = decide(hello(psk=(UNKNOWN,)), CLIENT, _seven(), state(may_hold=True, reservation="b3"))
    assert answer == Hold(APP, HoldReason.UNKNOWN_TICKET_NAME, NOW + HOLD_SECONDS)


@pytest.mark.parametrize(
    ("psk", "server_name", "why"),
    [
        ((UNKNOWN, TICKETS["b1"]), "app.example.com", Why.LEARNED),
        ((UNKNOWN, routable(3)), "app.example.com", Why.ROUTABLE),
        ((UNKNOWN, LABEL), "app.example.com", Why.EXTERNAL_PSK),
        ((UNKNOWN,), "b1.app.example.com", Why.INSTANCE),
        ((b"short",), "app.example.com", Why.SELECTED),
        ((), "app.example.com", Why.SELECTED),
    ],
)
def test_what_names_a_backend_for_certain_is_not_held(
    psk: tuple[bytes, ...], server_name: str, why: Why
) -> None:
    """A known name beside it, an instance name, or nothing that could be a name: no waiting."""
    answer = decide(hello(server_name, psk=psk), CLIENT, _seven(), state(may_hold=True))
    assert isinstance(answer, Forward)
    assert answer.why is why


def test_a_known_owner_that_cannot_serve_is_not_waited_for() -> None:
    """The name is known, so asking again would tell nothing new."""
    for known in (TICKETS["b1"], routable(1), routable(99)):
        asked = hello(psk=(UNKNOWN, known))
        answer = decide(asked, CLIENT, _seven("b1"), state(may_hold=True))
        assert isinstance(answer, Forward)
        assert answer.why is Why.SELECTED


def test_the_label_of_an_external_psk_is_never_waited_for() -> None:
    """Its backend is known, even where the label has room for a name and its backend is away."""
    label = LABEL + bytes(50)
    members = replace(_pool(), external_psks=ExternalPsks({label: name("b1")}))
    moment = state(may_hold=True, tried=("b1",))
    answer = decide(hello(psk=(label,)), CLIENT, pools(members), moment)
    assert isinstance(answer, Forward)
    assert answer.why is Why.SELECTED


@pytest.mark.parametrize(
    ("members", "may_hold"),
    [(_seven(), False), (pools(pool(backends(1, 1))), True)],
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
    stranger = Pool(other, (backend("x", 9),), routable=Keys())
    table = RouteTable((), default=other)
    members = Pools(table, {APP: _pool(), other: stranger})
    moment = state(seen={SEEN: "b0"})
    for token in (TICKETS["b0"], routable(0), SEEN, LABEL):
        answer = decide(hello("else.example.com", psk=(token,)), CLIENT, members, moment)
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
    assert decide(hello(server_name), CLIENT, _seven(), state()) == Refuse(reason)


def test_a_client_wakes_who_rests() -> None:
    """The session that finds too little free is the first on the one that wakes."""
    members = [backend("b0"), backend("b1", 1, active=False)]
    mark = Mark(1, (name("b1"),))
    app = pool(members, capacity=Capacity(sessions=2), mark=mark)
    assert served_by(app, busy(b0=1)) == "b0"
    assert served_by(app, busy(b0=2)) == "b1"


def served_by(app: Pool, load: OpenConnections) -> str:
    """The backend that a client without a session gets."""
    answer = decide(hello(), CLIENT, pools(app), state(load))
    assert isinstance(answer, Forward)
    return answer.backend.name


def test_a_pool_that_parks_lets_its_clients_wait() -> None:
    """Without an eligible backend the hello waits, if it may, and is refused if not."""
    app = pools(pool([backend("b0", healthy=False)], park=10.0))
    waits = Hold(APP, HoldReason.NO_ELIGIBLE_BACKEND, NOW + 10.0)
    assert decide(hello(), CLIENT, app, state(may_park=True)) == waits
    refused = Refuse(RefusalReason.NO_ELIGIBLE_BACKEND, APP)
    assert decide(hello(), CLIENT, app, state()) == refused
    patient = pools(pool([backend("b0", healthy=False)]))
    assert decide(hello(), CLIENT, patient, state(may_park=True)) == refused


def test_a_pool_without_an_eligible_backend_refuses() -> None:
    """Whatever bars each of them, the refusal says so, and whose backends they are."""
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
    assert answer == Refuse(RefusalReason.NO_ELIGIBLE_BACKEND, APP)


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
    warm = _seven("b4")
    answers = {decide(asked, client, members, moment) for members in (warm, warm, _seven("b4"))}
    assert len(answers) == 1


def test_answers_are_values() -> None:
    """Two answers are one if all that they say is the same."""
    answer = decide(hello(), CLIENT, _seven(), state())
    assert isinstance(answer, Forward)
    twin = Forward(answer.pool, answer.backend, answer.why, answer.effects)
    assert (twin, hash(twin)) == (answer, hash(answer))
    assert Forward(answer.pool, answer.backend, Why.OBSERVED, answer.effects) != answer
    assert answer != (answer.pool, answer.backend, answer.why, answer.effects)


@given(st.binary(min_size=1, max_size=80).filter(lambda ticket: ticket[:15] != b"R" * 15))
def test_a_name_that_nobody_knows_goes_the_ordinary_way(ticket: bytes) -> None:
    """With routing keys and learned names, a random ticket leads where none would."""
    plain = decide(hello(), CLIENT, _seven(), state())
    assert decide(hello(psk=(ticket,)), CLIENT, _seven(), state()) == plain


def test_a_flood_of_unknown_names_leaves_nothing_behind() -> None:
    """Neither tickets, nor session ids, nor labels make anything grow past its bound."""
    members = replace(_pool(), external_psks=ExternalPsks({LABEL: name("b2")}, hashed=True))
    everything = pools(members)
    for number in range(MAX_KEYS + 100):
        odd = number.to_bytes(32)
        decide(hello(psk=(odd,)), CLIENT, everything, state(may_hold=True))
        decide(hello(ticket=odd), CLIENT, everything, state())
        decide(hello(session_id=odd), CLIENT, everything, state(seen={}))
        decide(hello(psk=(odd,), age=0), CLIENT, everything, state())
    assert members.ranking.remembered <= MAX_KEYS


def test_tokens_do_not_pile_load_on_one_backend() -> None:
    """With its connections full the owner gets no more, however many tickets name it."""
    members, load = _pool(capacity=Capacity(connections=3)), busy()
    tokens = (TICKETS["b1"], SEEN, LABEL)
    for number in range(15):
        asked = hello(psk=(tokens[number % 3],))
        answer = decide(asked, CLIENT, pools(members), state(load, seen={SEEN: "b1"}))
        assert isinstance(answer, Forward)
        load.opened(answer.backend.index)
    assert set(load.statistics().values()) == {3}
