"""What a hello offers to resume: the server's own tokens, sent back by the client in the clear."""

from collections.abc import Iterator

from sni.client_hello import ClientHello


def offered_tickets(hello: ClientHello) -> Iterator[bytes]:
    """Yield the tickets that may name a backend, the client's first choice first.

    Each TLS 1.3 PSK identity in the order of the list; without any, the TLS 1.2 ticket. The empty
    ticket, which only asks for one, is none. Made-up identities are ordinary (RFC 9849 §6.2).
    """
    if hello.psk_identities:
        for offered in hello.psk_identities:
            yield offered.identity
    elif hello.ticket:
        yield hello.ticket


def offered_session_id(hello: ClientHello) -> bytes | None:
    """Return the session id where it may name a session of TLS 1.2 or older, else None.

    Beside a ticket it names nothing: the client made it up to recognise the answer (RFC 5077 §3.4,
    RFC 9846 §4.2.2). A TLS 1.3 client without a ticket fills it with random bytes as well, so that
    a name nobody knows is ordinary.
    """
    if hello.psk_identities or hello.ticket or not hello.session_id:
        return None
    return hello.session_id
