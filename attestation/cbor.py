"""CBOR as evidence may use it: one item, in the one shortest form that it has (RFC 8949 §4.2.1).

A decoder that forgives lets two readers see two documents in the same signed bytes. So what was
decoded is written again and must be those bytes: that alone refuses a long form of a length, a
float for a whole number, keys that are the same to one reader and not to another, and what follows
the end. The keys of a map need not be sorted.
"""

from typing import Final, Never

import cbor2

from attestation.errors import MalformedEvidence

MAX_DEPTH: Final = 8
"""Containers inside each other: a COSE message has 2, Nitro's document 2, a bundle of both 4."""

_INDEFINITE_MAP = b"\xbf"
_BREAK = b"\xff"


def _refuse(*_: object) -> Never:
    raise MalformedEvidence("CBOR: found a tag, expected none")


# The tags that the library would turn into dates, patterns or big numbers, before anybody asks.
_NO_TAGS = dict.fromkeys((*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse)


def load_cbor(encoded: bytes, what: str, *, indefinite_map: bool = False) -> object:
    """Return the item that `encoded` is: int, bytes, str, list, dict, bool, None or float.

    Args:
        encoded: The item, all of it; its size was checked by the caller.
        what: Its name, for error messages.
        indefinite_map: Whether the item itself may also be a map of indefinite length. What stands
            in it may not.

    Raises:
        MalformedEvidence: It is cut short, bytes follow it, it has a tag, a key twice or more than
            8 levels, or it is not in the shortest form.

    """
    indefinite = indefinite_map and encoded.startswith(_INDEFINITE_MAP)
    try:
        item: object = cbor2.loads(
            encoded,
            tag_hook=_refuse,
            semantic_decoders=_NO_TAGS,
            max_depth=MAX_DEPTH,
            allow_indefinite=indefinite,
            allow_duplicate_keys=False,
        )
        again = _indefinite_map(item) if indefinite else cbor2.dumps(item)
    except (cbor2.CBORError, ValueError, RecursionError) as error:
        raise MalformedEvidence(f"{what}: {error}") from error
    if encoded != again:
        if encoded.startswith(again):
            raise MalformedEvidence(f"{what}: {len(encoded) - len(again)} bytes follow its end")
        raise MalformedEvidence(f"{what}: its CBOR is not in the shortest form")
    return item


def _indefinite_map(item: object) -> bytes:
    """Return a map in the form of indefinite length, all in it definite."""
    pairs = item.items() if isinstance(item, dict) else ()
    return (
        _INDEFINITE_MAP
        + b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in pairs)
        + _BREAK
    )
