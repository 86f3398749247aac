"""The promises of sni.tickets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.client_hello import ClientHello, parse_client_hello
from sni.errors import MalformedHello
from sni.tickets import PskIdentity, offered_session_id, offered_tickets, read_pre_shared_key
from tests.sni.hellos import Extension, Hello, pre_shared_key, ticket, vector

BINDER = bytes(32)
ONE = vector(2, b"x") + bytes(4)


def _parsed(*extensions: Extension, session_id: bytes = b"") -> ClientHello:
    return parse_client_hello(Hello(extensions, session_id).message())


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=300), st.integers(0, 0xFFFF_FFFF)),
        min_size=1,
        max_size=5,
    )
)
def test_identities_are_read_in_order(offered: list[tuple[bytes, int]]) -> None:
    """Each identity comes out with its age, in the client's order."""
    body = pre_shared_key(*offered)[1]
    assert read_pre_shared_key(body) == tuple([PskIdentity(*each) for each in offered])


@pytest.mark.parametrize("size", [32, 48, 255])
def test_binders_of_every_hash_are_accepted(size: int) -> None:
    """A binder has 32 to 255 bytes."""
    body = pre_shared_key((b"x", 0), binders=[bytes(size)])[1]
    assert read_pre_shared_key(body) == (PskIdentity(b"x", 0),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(41),
        pre_shared_key(binders=[BINDER])[1],
        pre_shared_key((b"x", 0), binders=[])[1],
        pre_shared_key((b"x", 0), binders=[BINDER, BINDER])[1],
        pre_shared_key((b"x", 0), (b"y", 0), binders=[BINDER])[1],
        pre_shared_key((b"", 0), (b"y", 0))[1],
        pre_shared_key((b"x", 0), binders=[bytes(31)])[1] + b"\0",
        pre_shared_key((b"x", 0), binders=[bytes(31), BINDER])[1],
        vector(2, ONE[:-1]) + vector(2, vector(1, BINDER)) + b"\0",
        vector(2, ONE + ONE[:-1]) + vector(2, vector(1, BINDER)),
        vector(2, ONE + b"\0") + vector(2, vector(1, BINDER)),
        vector(2, ONE + b"\xff\xff") + vector(2, vector(1, BINDER)),
        vector(2, ONE) + vector(2, vector(1, BINDER)[:-1] + b"") + b"\0",
        vector(2, ONE) + vector(2, b"\x21" + BINDER),
        vector(2, ONE) + vector(2, vector(1, BINDER)) + b"\0",
        b"\xff\xff" + ONE + vector(2, vector(1, BINDER)),
        b"\x00\x29" + ONE + vector(2, vector(1, BINDER)),
    ],
)
def test_a_broken_list_is_refused(body: bytes) -> None:
    """A length that does not fit, an empty identity or a missing binder is malformed."""
    with pytest.raises(MalformedHello):
        read_pre_shared_key(body)


@given(st.binary(max_size=120))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Arbitrary bytes raise nothing but MalformedHello."""
    try:
        identities = read_pre_shared_key(body)
    except MalformedHello:
        return
    assert all(identity for identity, _ in identities)


@given(st.binary(max_size=8), st.integers(0, 40), st.integers(0, 255))
def test_a_changed_byte_never_reads_past_a_list(tail: bytes, at: int, value: int) -> None:
    """With any byte changed, what is read still lies within the list of identities."""
    body = bytearray(pre_shared_key((b"ticket" + tail, 7), (b"y", 8))[1])
    body[at] = value
    try:
        identities = read_pre_shared_key(bytes(body))
    except MalformedHello:
        return
    assert sum(len(name) + 6 for name, _ in identities) == int.from_bytes(body[:2], "big")


def test_psk_identities_are_offered_in_order() -> None:
    """The client's first choice comes first, whatever else the hello holds."""
    hello = _parsed(ticket(b"old"), pre_shared_key((b"first", 1), (b"second", 2)))
    assert [*offered_tickets(hello)] == [b"first", b"second"]


def test_the_tls_12_ticket_is_offered() -> None:
    """Without PSK identities it is the ticket of TLS 1.2."""
    assert [*offered_tickets(_parsed(ticket(b"ticket")))] == [b"ticket"]


def test_asking_for_a_ticket_offers_none() -> None:
    """An empty ticket, or none, names nothing."""
    assert not [*offered_tickets(_parsed(ticket()))]
    assert not [*offered_tickets(_parsed())]


@pytest.mark.parametrize(
    ("hello", "offered"),
    [
        (_parsed(session_id=b"id"), b"id"),
        (_parsed(ticket(), session_id=b"id"), b"id"),
        (_parsed(), None),
        (_parsed(ticket(b"ticket"), session_id=b"id"), None),
        (_parsed(pre_shared_key((b"x", 0)), session_id=b"id"), None),
    ],
)
def test_beside_a_ticket_the_session_id_names_nothing(
    hello: ClientHello, offered: bytes | None
) -> None:
    """A session id counts only where the client offers no ticket."""
    assert offered_session_id(hello) == offered
