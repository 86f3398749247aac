"""What a hello offers to resume: the server's own tokens, sent back by the client in the clear."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from sni.errors import MalformedHello

if TYPE_CHECKING:
    from sni.client_hello import ClientHello

_AGE: Final = 4  # bytes of obfuscated_ticket_age
_SHORTEST_BINDER: Final = 32  # PskBinderEntry<32..255>: an HMAC of the smallest hash
_SHORTEST_PSKS: Final = 2 + 2 + 1 + _AGE + 2 + 1 + _SHORTEST_BINDER  # one identity of one byte


class PskIdentity(NamedTuple):
    """One entry of the pre_shared_key extension (RFC 9846 §4.3.11).

    Attributes:
        identity: The ticket as the server issued it, or the label of an external key; 1 to 65,535
            bytes.
        obfuscated_age: Milliseconds plus the server's ticket_age_add, modulo 2**32; 0 for most
            external keys.

    """

    identity: bytes
    obfuscated_age: int


def offered_tickets(hello: "ClientHello") -> Iterator[bytes]:
    """Yield the tickets that may name a backend, the client's first choice first.

    Each TLS 1.3 PSK identity in the order of the list; without any, the TLS 1.2 ticket. The empty
    ticket, which only asks for one, is none. Made-up identities are ordinary (RFC 9849 §6.2).
    """
    if hello.psk_identities:
        for offered in hello.psk_identities:
            yield offered.identity
    elif hello.ticket:
        yield hello.ticket


def offered_session_id(hello: "ClientHello") -> bytes | None:
    """Return the session id where it may name a session of TLS 1.2 or older, else None.

    Beside a ticket it names nothing: the client made it up to recognise the answer (RFC 5077 §3.4,
    RFC 9846 §4.2.2). A TLS 1.3 client without a ticket fills it with random bytes as well, so that
    a name nobody knows is ordinary.
    """
    if hello.psk_identities or hello.ticket or not hello.session_id:
        return None
    return hello.session_id


def read_pre_shared_key(body: bytes) -> tuple[PskIdentity, ...]:
    """Read the body of a pre_shared_key extension: OfferedPsks (RFC 9846 §4.3.11).

    Raises:
        MalformedHello: A length does not fit, an identity is empty, a binder too short, or there
            are not as many binders as identities.

    """
    end = len(body)
    if end < _SHORTEST_PSKS:
        raise MalformedHello(f"pre_shared_key of {end} bytes, at least {_SHORTEST_PSKS} expected")
    at, middle = 2, 2 + (body[0] << 8 | body[1])
    if middle + 2 > end or middle + 2 + (body[middle] << 8 | body[middle + 1]) != end:
        raise MalformedHello(f"pre_shared_key of {end} bytes: its two lists do not fill it")
    identities = []
    while at < middle:
        start = at + 2  # within the body: the length of the binders stands behind the identities
        at = start + (body[at] << 8 | body[at + 1])
        if at == start or at + _AGE > middle:
            raise MalformedHello(f"pre_shared_key: an identity of {at - start} bytes does not fit")
        age = int.from_bytes(body[at : at + _AGE], "big")
        identities.append(PskIdentity(body[start:at], age))
        at += _AGE
    binders = _count_binders(body, middle + 2)
    if binders != len(identities):
        raise MalformedHello(f"pre_shared_key: {len(identities)} identities, {binders} binders")
    return tuple(identities)


def _count_binders(body: bytes, at: int) -> int:
    count = 0
    while at < len(body):
        size = body[at]
        at += 1 + size
        if size < _SHORTEST_BINDER or at > len(body):
            raise MalformedHello(f"pre_shared_key: a binder of {size} bytes does not fit")
        count += 1
    return count
