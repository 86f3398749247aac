"""The promises of sni.tickets."""

import pytest

from sni.client_hello import ClientHello, parse_client_hello
from sni.tickets import offered_session_id, offered_tickets
from tests.sni.hellos import Extension, Hello, pre_shared_key, ticket


def _parsed(*extensions: Extension, session_id: bytes = b"") -> ClientHello:
    return parse_client_hello(Hello(extensions, session_id).message())


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
