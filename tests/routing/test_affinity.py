"""Tests of the tokens and the backends that they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import Backend, Balance, Capacity, Client, HostPattern, Pool, Route
from routing.affinity import (
    MAX_TICKETS,
    by_instance,
    by_seen,
    by_ticket,
    held,
    only_unknown,
    tickets_of,
)
from routing.rendezvous import slot_of
from tests.routing.cases import (
    APP,
    CLIENT,
    JSSE,
    S2N,
    backend,
    backends,
    busy,
    hello,
    name,
    owned,
    pool,
    state,
)

A, B, C = (bytes([letter]) * 16 for letter in b"ABC")
SEALED = bytes(100)


def _name(found: Backend | None) -> str | None:
    return None if found is None else found.name


def _pool(*members: Backend, capacity: Capacity | None = None) -> Pool:
    """A pool in which b0 owns A, b1 owns B, and the name C has outlived its owner."""
    names = [owned("b0", A), owned("b1", B), owned("gone", C)]
    return pool(members or backends(1, 1, 1), capacity=capacity, names=names)


def test_tickets_are_read_in_the_order_of_the_hello() -> None:
    """The client's first choice comes first; without PSK identities the TLS 1.2 ticket counts."""
    assert tickets_of(hello(psk=(A, B), ticket=C)) == (A, B)
    assert tickets_of(hello(ticket=C)) == (C,)
    assert tickets_of(hello(ticket=b"")) == ()
    assert tickets_of(hello()) == ()


def test_a_flood_of_tickets_is_read_to_a_bound() -> None:
    """A hello that offers thousands costs no more than one that offers a few."""
    assert tickets_of(hello(psk=(A,) * 1000)) == (A,) * MAX_TICKETS


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
    assert _name(by_ticket(tickets, CLIENT, _pool(), state())) == owner


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
    assert by_ticket((A,), CLIENT, members, state()) is None
    assert _name(by_ticket((A, B), CLIENT, members, state())) == "b1"


def test_an_owner_keeps_its_sessions_while_it_drains() -> None:
    """Draining, on standby, or without room for a new session: the old one goes on."""
    members = _pool(
        backend("b0", draining=True), backend("b1", 1, active=False), capacity=Capacity(sessions=1)
    )
    assert _name(by_ticket((A,), CLIENT, members, state(busy(b0=1)))) == "b0"
    assert _name(by_ticket((B,), CLIENT, members, state(busy(b1=1)))) == "b1"


def test_a_token_is_never_a_way_past_a_cap() -> None:
    """At its bound of connections not even the owner gets another."""
    members = _pool(capacity=Capacity(connections=2))
    moment = state(busy(b0=2), seen={b"id": "b0"})
    assert by_ticket((A,), CLIENT, members, moment) is None
    assert by_seen(hello(session_id=b"id"), (), members, moment) is None
    assert held(name("b0"), members, moment) is None


def test_a_ticket_never_crosses_pools() -> None:
    """The owner's name in another pool is another backend: names are looked up per pool."""
    assert by_ticket((A,), CLIENT, pool(backends(1, 1)), state()) is None


def test_every_layout_of_the_pool_is_read() -> None:
    """Names behind a version byte and names of four bytes lead to their owners too."""
    members = pool(backends(1, 1), names=[owned("b0", A, S2N), owned("b1", b"\0\0\1\2", JSSE)])
    assert _name(by_ticket((b"\x01" + A + SEALED,), CLIENT, members, state())) == "b0"
    assert _name(by_ticket((b"\0\0\1\2" + SEALED,), CLIENT, members, state())) == "b1"


SHARED = [owned(f"b{i}", A) for i in range(12)]


@pytest.mark.parametrize("balance", Balance)
@given(address=st.binary(min_size=4, max_size=4))
def test_a_shared_key_means_any_of_its_owners(balance: Balance, address: bytes) -> None:
    """Of the owners the one that the client's network ranks first, whatever the balance."""
    members = pool(backends(*[1] * 14), names=SHARED, balance=balance)
    client = Client(address)
    chosen = by_ticket((A,), client, members, state(busy(b0=3)))
    slot = slot_of(client.prefix)
    owners = [name(f"b{i}") for i in range(12)]
    assert _name(chosen) == members.ranking.favourite(slot, owners)


def test_of_several_owners_the_reserved_one_is_chosen() -> None:
    """A client that was just sent to one of the owners goes there again, if it may."""
    members = pool(backends(*[1] * 14), names=SHARED)
    for i in range(12):
        chosen = by_ticket((A,), CLIENT, members, state(reservation=f"b{i}"))
        assert _name(chosen) == f"b{i}"
    moment = state(reservation="b3", tried=("b3",))
    assert _name(by_ticket((A,), CLIENT, members, moment)) not in {"b3", None}


def test_past_the_kept_ranking_any_owner_serves() -> None:
    """With all owners that are kept refused another owner is found, and none when all are."""
    members = pool(backends(*[1] * 14), names=SHARED)
    first = members.ranking.first(slot_of(CLIENT.prefix))
    chosen = by_ticket((A,), CLIENT, members, state(tried=first))
    assert chosen is not None
    assert chosen.name not in first
    everybody = tuple(f"b{i}" for i in range(12))
    assert by_ticket((A,), CLIENT, members, state(tried=everybody)) is None


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
    assert only_unknown(tickets, _pool()) is unknown


def test_a_pool_without_names_knows_no_unknown_ones() -> None:
    """Where no stack writes names, no ticket is worth asking about."""
    assert not only_unknown((SEALED,), pool(backends(1)))


def test_what_was_seen_issued_leads_back() -> None:
    """A session id, or a ticket without a name, goes to the backend that was seen to issue it."""
    moment = state(seen={b"id": "b1", SEALED: "b2", b"old": "gone"})
    members = _pool()
    assert _name(by_seen(hello(session_id=b"id"), (), members, moment)) == "b1"
    assert _name(by_seen(hello(ticket=SEALED), (SEALED,), members, moment)) == "b2"
    assert by_seen(hello(session_id=b"old"), (), members, moment) is None
    assert by_seen(hello(session_id=b"other"), (), members, moment) is None
    assert by_seen(hello(), (), members, moment) is None


def test_beside_a_ticket_the_session_id_names_nothing() -> None:
    """RFC 5077 §3.4: the client made it up."""
    asked = hello(session_id=b"id", ticket=SEALED)
    assert by_seen(asked, (SEALED,), _pool(), state(seen={b"id": "b1"})) is None


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
