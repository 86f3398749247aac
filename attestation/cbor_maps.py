"""Maps with text keys, in CBOR: the frame of the documents that travel beside evidence."""

import cbor2

from attestation.cbor import load_cbor
from attestation.errors import MalformedEvidence


def load_map(encoded: bytes, limit: int, what: str) -> dict[str, object]:
    """Return the map that `encoded` is, its keys in the order in which they stand.

    Args:
        encoded: Hostile bytes.
        limit: Most bytes; checked before anything is read.
        what: Its name, for error messages.

    Raises:
        MalformedEvidence: It is too long, not in CBOR's shortest form, or no map with text keys.

    """
    if len(encoded) > limit:
        raise MalformedEvidence(f"{what}: {len(encoded)} bytes, expected at most {limit}")
    return text_keys(load_cbor(encoded, what), what)


def text_keys(value: object, what: str) -> dict[str, object]:
    """Return `value` if it is a map whose keys are text.

    Raises:
        MalformedEvidence: It is not.

    """
    if not isinstance(value, dict):
        raise MalformedEvidence(f"{what}: found {type(value).__name__}, expected a map")
    found: dict[str, object] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise MalformedEvidence(f"{what}: found a key of {type(key).__name__}, expected text")
        found[key] = item
    return found


def write_map(value: dict[str, object]) -> bytes:
    """Return a map in the one order of keys that RFC 8949 §4.2.3 gives: the shortest first."""
    return cbor2.dumps(value, canonical=True)
