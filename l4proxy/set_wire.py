"""The pre-verified set on the wire: what an enclave has found out about those beside it.

An entry is a member's own evidence, as it came to the enclave that asked for it: whoever reads a
set judges it again, by a policy of his own. What stands in the evidence is not repeated beside it,
so that there is nothing to disagree.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from attestation import EXPORTER, Evidence, MalformedEvidence, encode_cmw, parse_cmw
from attestation.cbor_maps import load_map, text_keys, write_map
from l4proxy.evidence_wire import WELL_KNOWN

WELL_KNOWN_SET: Final = WELL_KNOWN + "/set"
"""Where the set is over HTTP; there it is a hint, as nobody has proved himself."""

SET_ALPN: Final = "l4proxy-attest-set/1"
"""The protocol by which a client asks for a framed answer, and the set in a frame behind it."""

SET_MEDIA_TYPE: Final = "application/vnd.l4proxy.attestation-set+cbor"
"""Of a set over HTTP."""

MAX_MEMBERS: Final = 64
"""Members of a set: more than a pool has that one client meets within an epoch."""

MAX_SET: Final = 1024 * 1024
"""Bytes of a set: an entry takes 7 KiB from Nitro, and 70 from TDX with its collateral."""

MAX_EPOCH_SECONDS: Final = 3600.0
"""Seconds for which a member is one: so long a stolen TLS key could be used."""

KEY: Final = 32
"""Bytes of a member's name: SHA-256 of its TLS key."""

# Seconds since the epoch that a date of this millennium has.
_TIMES = range(2**36)


@dataclass(frozen=True, slots=True)
class Entry:
    """A member, and what its verifier has of it.

    Attributes:
        key: SHA-256 of its TLS key.
        exporter: What its evidence signs: the exporter value of the verifier's own connection to
            it, or the root of the tree that leads there.
        verified_at: When it proved itself, seconds since the epoch, UTC.
        until: When it ceases to be a member, seconds since the epoch, UTC.
        evidence: Its proof; hostile until it is judged.

    """

    key: bytes
    exporter: bytes
    verified_at: int
    until: int
    evidence: Evidence


def encode_set(entries: Iterable[Entry]) -> bytes:
    """Return the one encoding of a set; entries that it has no room for are left out."""
    members: list[dict[str, object]] = []
    left = MAX_SET - len(write_map({"members": [None] * MAX_MEMBERS}))
    for entry in entries:
        member: dict[str, object] = {
            "key": entry.key,
            "exporter": entry.exporter,
            "verified_at": entry.verified_at,
            "until": entry.until,
            "cmw": encode_cmw(entry.evidence),
        }
        left -= len(write_map(member))
        if left < 0 or len(members) == MAX_MEMBERS:
            break
        members.append(member)
    return write_map({"members": members})


def parse_set(data: bytes) -> tuple[Entry, ...]:
    """Return what a set holds; none of it is verified.

    Raises:
        MalformedEvidence: It is over its limit, or not in its form.

    """
    found = load_map(data, MAX_SET, "set")
    members = found.pop("members", None)
    if not isinstance(members, list) or len(members) > MAX_MEMBERS or found:
        raise MalformedEvidence(f"set: expected a map of members, a list of at most {MAX_MEMBERS}")
    return tuple(map(_entry, members))


def _entry(value: object) -> Entry:
    match text_keys(value, "set: a member"):
        case {
            "key": bytes(key),
            "exporter": bytes(exporter),
            "verified_at": int(verified_at),
            "until": int(until),
            "cmw": bytes(cmw),
            **others,
        } if (
            not others
            and (len(key), len(exporter)) == (KEY, EXPORTER)
            and _is_time(verified_at)
            and _is_time(until)
        ):
            return Entry(key, exporter, verified_at, until, parse_cmw(cmw))
        case _:
            raise MalformedEvidence("set: a member is no key, exporter, times and evidence")


def _is_time(found: int) -> bool:
    return type(found) is int and found in _TIMES
