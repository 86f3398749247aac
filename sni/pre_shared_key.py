"""The pre_shared_key extension (RFC 9846 §4.3.11): what it offers, framing checked to its end."""

from typing import Final, NamedTuple

from sni.errors import MalformedHello

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
