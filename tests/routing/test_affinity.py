"""Tests of the tokens and the backends that they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import (
    Backend,
    Balance,
    Capacity,
    Client,
    ExternalPsks,
    HostPattern,
    Pool,
    Route,
    State,
    Why,
)
from routing.affinity import (
    MAX_TICKETS,
    by_external_psk,
    by_instance,
    by_observed,
    by_session_id,
    by_ticket,
    held,
    only_unknown,
    tickets_of,
)
from tests.routing.cases import (
    APP,
    CLIENT,
    JSSE,
    S2N,
    Keys,
    backend,
    backends,
    busy,
    hello,
    name,
    owned,
    pool,
    routable,
    state,
)

A, B, C = (bytes([letter]) * 16 for letter in b"ABC")
SEALED = bytes(100)
LABEL = b"Client_identity"


def _name(found: Backend | None) -> str | None:
    return None if found is None else found.name


def _opens(tickets: tuple[bytes, ...], members: Pool, moment: State | None = None) -> str | None:
    """Whom a ticket of these leads to."""
    owned = by_ticket(tickets, CLIENT, members, moment or state())
    return None if owned is None else owned[0].name


def _pool(*members: Backend, capacity: Capacity | None = None) -> Pool:
    """A pool in which b0 owns A, b1 owns B, and the name C has outlived its owner."""
    names = [owned("b0", A), owned("b1", B), owned("gone", C)]
    return pool(members or backends(1, 1, 1), capacity=capacity, names=names)


def test_tickets_are_read_in_the_order_of_the_hello() -> None:
    """The client's first choice comes first; without PSK identities the TLS 1.2 ticket counts."""
    assert tickets_of(hello(psk=(A, B), ticket=C), _pool()) == (A, B)
    assert tickets_of(hello(ticket=C), _pool()) == (C,)
    assert tickets_of(hello(ticket=b""), _pool()) == ()
    assert tickets_of(hello(), _pool()) == ()


def test_the_label_of_an_external_psk_is_no_ticket() -> None:
    """It is not read as one, whatever it begins with."""
    members = pool(backends(1), psks=ExternalPsks({A: name("b0")}))
    assert tickets_of(hello(psk=(A, A + SEALED)), members) == (A + SEALED,)


def test_a_flood_of_tickets_is_read_to_a_bound() -> None:
    """A hello that offers thousands costs no more than one that offers a few."""
    assert tickets_of(hello(psk=(A,) * 1000), _pool()) == (A,) * MAX_TICKETS


@pytest.mark.parametrize(
    ("tickets", "owner"),
    [
        ((A + SEALED,), "b0"),
        ((B + SEALED, A + SEALED), "b1"),
        ((SEALED, A + SEALED), "b0"),
        ((C + SEALED, A + SEALED), "b0"),
        ((C + SEALED,), None),
        ((SEALED,), None),
        ((), None),
    ],
)
def test_the_first_ticket_with_an_owner_wins(tickets: tuple[bytes, ...], owner: str | None) -> None:
    """Unknown names and those of removed backends are passed over."""
    assert _opens(tickets, _pool()) == owner
    found = by_ticket(tickets, CLIENT, _pool(), state())
    assert found is None or found[1] is Why.LEARNED


@pytest.mark.parametrize(
    "owner",
    [
        backend("b0", healthy=False),
        backend("b0", trusted=False),
        backend("b0", draining=True, drain_deadline=0.0),
    ],
)
def test_an_owner_that_may_not_serve_leaves_the_word_to_the_next(owner: Backend) -> None:
    """A ticket is no way past health, trust and the end of a drain."""
    members = _pool(owner, backend("b1", 1))
    assert _opens((A,), members) is None
    assert _opens((A, B), members) == "b1"


def test_an_owner_keeps_its_sessions_while_it_drains() -> None:
    """Draining, on standby, or without room for a new session: the old one goes on."""
    members = _pool(
        backend("b0", draining=True), backend("b1", 1, active=False), capacity=Capacity(sessions=1)
    )
    assert _opens((A,), members, state(busy(b0=1))) == "b0"
    assert _opens((B,), members, state(busy(b1=1))) == "b1"


def test_a_token_is_never_a_way_past_a_cap() -> None:
    """At its bound of connections not even the owner gets another."""
    members = pool(
        [backend("b0", server_id=5), backend("b1", 1)],
        capacity=Capacity(connections=2),
        names=[owned("b0", A)],
        routable=Keys(),
        psks=ExternalPsks({LABEL: name("b0")}),
    )
    moment = state(busy(b0=2), seen={b"id": "b0", SEALED: "b0"})
    assert _opens((A, routable(5)), members, moment) is None
    assert by_external_psk(hello(psk=(LABEL,)), members, moment) is None
    assert by_observed((SEALED,), members, moment) is None
    assert by_session_id(hello(session_id=b"id"), members, moment) is None
    assert by_session_id(hello(session_id=routable(5)), members, moment) is None
    assert held(name("b0"), members, moment) is None


def test_a_ticket_never_crosses_pools() -> None:
    """The owner's name in another pool is another backend: names are looked up per pool."""
    assert _opens((A,), pool(backends(1, 1))) is None


def test_every_layout_of_the_pool_is_read() -> None:
    """Names behind a version byte and names of four bytes lead to their owners too."""
    members = pool(backends(1, 1), names=[owned("b0", A, S2N), owned("b1", b"\0\0\1\2", JSSE)])
    assert _opens((b"\x01" + A + SEALED,), members) == "b0"
    assert _opens((b"\0\0\1\2" + SEALED,), members) == "b1"


def _routed(*, learned: bool = False) -> Pool:
    """A pool in which b0 and b1 have the server ids 5 and 6, and b2 perhaps a learned name."""
    members = [backend("b0", server_id=5), backend("b1", 1, server_id=6), backend("b2", 2)]
    names = [owned("b2", A), owned("b2", routable(9))] if learned else ()
    return pool(members, names=names, routable=Keys())


@pytest.mark.parametrize(
    ("tickets", "owner"),
    [
        ((routable(5),), "b0"),
        ((routable(6) + SEALED,), "b1"),
        ((b"\x01" + routable(6) + SEALED,), "b1"),
        ((b"\x02" + routable(6) + SEALED,), None),
        ((b"\x01" + routable(6)[:15],), None),
        ((routable(5)[:15],), None),
        ((SEALED, routable(6)), "b1"),
        ((routable(9), routable(6)), "b1"),
        ((routable(9),), None),
    ],
)
def test_a_routable_name_says_its_backend(tickets: tuple[bytes, ...], owner: str | None) -> None:
    """At offset 0, and behind the version byte of s2n; an id that nobody has leads nowhere."""
    assert _opens(tickets, _routed()) == owner
    found = by_ticket(tickets, CLIENT, _routed(), state())
    assert found is None or found[1] is Why.ROUTABLE


def test_of_each_ticket_the_routable_name_is_asked_first() -> None:
    """Then its learned one, also of a backend without a server id; then the next ticket."""
    members = _routed(learned=True)
    assert _opens((A, routable(5)), members) == "b2"
    assert _opens((routable(5), A), members) == "b0"
    assert _opens((routable(9),), members) == "b2"
    assert _opens((routable(5), A), members, state(tried=("b0",))) == "b2"


@pytest.mark.parametrize(
    ("session_id", "owner", "why"),
    [
        (routable(5) + bytes(16), "b0", Why.ROUTABLE),
        (routable(6), "b1", Why.ROUTABLE),
        (b"id", "b2", Why.SESSION_ID),
        (routable(9) + bytes(16), None, None),
        (bytes(32), None, None),
        (b"", None, None),
    ],
)
def test_a_session_id_may_hold_a_routable_name(
    session_id: bytes, owner: str | None, why: Why | None
) -> None:
    """In its first 16 bytes; else it is looked up among those that were seen."""
    found = by_session_id(hello(session_id=session_id), _routed(), state(seen={b"id": "b2"}))
    chosen, reason = found or (None, None)
    assert (_name(chosen), reason) == (owner, why)


def test_where_no_name_is_routable_and_nothing_is_seen_a_session_id_says_nothing() -> None:
    """Either alone is enough to ask; without both nobody is asked."""
    asked = hello(session_id=routable(5))
    assert by_session_id(asked, _pool(), state()) is None
    assert by_session_id(asked, _pool(), state(seen={})) is None
    assert by_session_id(asked, _routed(), state()) == (_routed().backends[0], Why.ROUTABLE)


SHARED = [owned(f"b{i}", A) for i in range(12)]


@pytest.mark.parametrize("balance", Balance)
@given(address=st.binary(min_size=4, max_size=4))
def test_a_shared_key_means_any_of_its_owners(balance: Balance, address: bytes) -> None:
    """Of the owners the one that the client's network ranks first, whatever the balance."""
    members = pool(backends(*[1] * 14), names=SHARED, balance=balance)
    client = Client(address)
    chosen = by_ticket((A,), client, members, state(busy(b0=3)))
    assert chosen is not None
    owners = [name(f"b{i}") for i in range(12)]
    assert chosen[0].name == members.ranking.favourite(client.prefix, owners)


def test_of_several_owners_the_reserved_one_is_chosen() -> None:
    """A client that was just sent to one of the owners goes there again, if it may."""
    members = pool(backends(*[1] * 14), names=SHARED)
    for i in range(12):
        assert _opens((A,), members, state(reservation=f"b{i}")) == f"b{i}"
    moment = state(reservation="b3", tried=("b3",))
    assert _opens((A,), members, moment) not in {"b3", None}


def test_past_the_kept_ranking_any_owner_serves() -> None:
    """With all owners that are kept refused another owner is found, and none when all are."""
    members = pool(backends(*[1] * 14), names=SHARED)
    first = members.ranking.first(CLIENT.prefix)
    chosen = _opens((A,), members, state(tried=first))
    assert chosen is not None
    assert chosen not in first
    everybody = tuple(f"b{i}" for i in range(12))
    assert _opens((A,), members, state(tried=everybody)) is None


@pytest.mark.parametrize(
    ("tickets", "unknown"),
    [
        ((), False),
        ((SEALED,), True),
        ((SEALED, SEALED), True),
        ((b"Client_identity",), False),
        ((b"Client_identity", SEALED), True),
        ((SEALED, A), False),
        ((C,), False),
    ],
)
def test_only_a_name_that_could_be_new_is_unknown(
    tickets: tuple[bytes, ...], unknown: bool
) -> None:
    """Neither a key's short label, nor a removed backend's name, nor one beside a known name."""
    assert only_unknown(tickets, _pool(), state()) is unknown


def test_a_pool_without_names_knows_no_unknown_ones() -> None:
    """Where no stack writes names, no ticket is worth asking about."""
    assert not only_unknown((SEALED,), pool(backends(1)), state())


def test_whoever_has_said_whose_ticket_it_is_makes_it_known() -> None:
    """A routable name whose backend has left, and a ticket that was seen, need no question."""
    members = _routed(learned=True)
    assert not only_unknown((SEALED, routable(200)), members, state())
    assert not only_unknown((SEALED,), members, state(seen={SEALED: "gone"}))
    assert only_unknown((SEALED,), members, state(seen={}))


def test_what_was_seen_issued_leads_back() -> None:
    """A session id, or a ticket without a name, goes to the backend that was seen to issue it."""
    moment = state(seen={b"id": "b1", SEALED: "b2", b"old": "gone"})
    members = _pool()
    found = by_session_id(hello(session_id=b"id"), members, moment)
    assert found == (members.backends[1], Why.SESSION_ID)
    assert _name(by_observed((b"old", SEALED), members, moment)) == "b2"
    assert by_session_id(hello(session_id=b"old"), members, moment) is None
    assert by_session_id(hello(session_id=b"other"), members, moment) is None
    assert by_session_id(hello(), members, moment) is None
    assert by_observed((SEALED,), members, state()) is None


def test_beside_a_ticket_the_session_id_names_nothing() -> None:
    """RFC 5077 §3.4: the client made it up."""
    asked = hello(session_id=b"id", ticket=SEALED)
    assert by_session_id(asked, _pool(), state(seen={b"id": "b1"})) is None


def _route(pattern: str | None, *, instance_name: bool = True) -> Route:
    made = None if pattern is None else HostPattern.parse(pattern)
    return Route(made, APP, instance_name=instance_name)


@pytest.mark.parametrize(
    ("route", "server_name", "instance"),
    [
        (_route("*.app.example.com"), "b1.app.example.com", "b1"),
        (_route("*.app.example.com"), "B1.app.example.com", "b1"),
        (_route("*.app.example.com"), "rack.b2.app.example.com", "rack.b2"),
        (_route("*.app.example.com"), "b2.app.example.com", None),
        (_route("*.app.example.com", instance_name=False), "b1.app.example.com", None),
        (_route("b1.app.example.com"), "b1.app.example.com", None),
        (_route(None), "b1.app.example.com", None),
        (_route("*.app.example.com"), None, None),
    ],
)
def test_an_instance_name_names_a_backend(
    route: Route, server_name: str | None, instance: str | None
) -> None:
    """What the wildcard stands for is a backend's name, where the route allows it."""
    members = pool([backend("b1"), backend("rack.b2", 1)])
    assert _name(by_instance(hello(server_name), route, members, state())) == instance


def test_a_name_that_is_not_in_the_pool_holds_nothing() -> None:
    """A token for a backend that has left leads nowhere."""
    assert held(name("gone"), _pool(), state()) is None
    assert _name(held(name("b0"), _pool(), state())) == "b0"
