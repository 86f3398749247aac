"""Agent claims: what the program in the enclave says of itself, covered by the evidence.

Evidence has little room, so its claims buffer holds the digest of this object, and the object
travels beside it. It is worth what the measured code is worth: a program that was loaded later can
ask for evidence too, and say anything.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attestation.cbor_maps import load_map, text_keys, write_map
from attestation.errors import MalformedEvidence

MAX_AGENT_CLAIMS: Final = 16 * 1024
"""Bytes of the object: an instance's name, four digests and the service's own claims need 1 KiB."""

MAX_TEXT: Final = 256
"""Characters of a name or a claim: a DNS name has at most 253."""

DIGEST: Final = 32
"""Bytes of each digest here: SHA-256."""

Claim = str | int | bool
"""A claim's value: text, a whole number, or true or false."""

_DIGESTS = ("ticket_names", "manifest", "telemetry")
_TEXTS = ("instance", "key_origin", "ticket_keys")


class KeyOrigin(StrEnum):
    """Where the TLS key comes from, and so who else may hold it."""

    INSIDE = "inside"
    RELEASED = "released"
    IMPORTED = "imported"
    UNSTATED = "unstated"


class TicketKeys(StrEnum):
    """Who holds the keys of session tickets: this enclave, or others with its measurements too."""

    INSIDE = "inside"
    SHARED = "shared"


def _no_claims() -> Mapping[str, Claim]:
    return MappingProxyType({})


# What an agent may say; that it says nothing is not among it.
_SAID_ORIGINS = frozenset(KeyOrigin) - {KeyOrigin.UNSTATED}


@dataclass(frozen=True, slots=True)
class AgentClaims:
    """What the agent states.

    Attributes:
        instance: The enclave's name among its like.
        key_origin: Where its TLS key comes from.
        ticket_keys: Who holds its ticket keys; None where it does not say.
        ticket_names: Commitment to the ticket key names in use: 32 bytes.
        manifest: SHA-256 of the secondary manifest, as the agent says it: 32 bytes.
        telemetry: SHA-256 of the telemetry's description: 32 bytes.
        claims: The service's own, by name.

    """

    instance: str = ""
    key_origin: KeyOrigin = KeyOrigin.UNSTATED
    ticket_keys: TicketKeys | None = None
    ticket_names: bytes | None = None
    manifest: bytes | None = None
    telemetry: bytes | None = None
    claims: Mapping[str, Claim] = field(default_factory=_no_claims)

    def encode(self) -> bytes:
        """Return the object's one encoding: deterministic CBOR; what is not said is left out."""
        said: dict[str, object] = {
            "instance": self.instance,
            "ticket_keys": None if self.ticket_keys is None else self.ticket_keys.value,
            "ticket_names": self.ticket_names,
            "manifest": self.manifest,
            "telemetry": self.telemetry,
            "claims": dict(self.claims),
        }
        if self.key_origin is not KeyOrigin.UNSTATED:
            said["key_origin"] = self.key_origin.value
        return write_map(
            {name: value for name, value in said.items() if value not in ("", None, {})}
        )


def parse_agent_claims(data: bytes) -> AgentClaims:
    """Return what the object states; every field is checked, one that is unknown is refused.

    Raises:
        MalformedEvidence: It is over 16 KiB, not in its one encoding, or a field is wrong.

    """
    what = "agent claims"
    found = load_map(data, MAX_AGENT_CLAIMS, what)
    unknown = sorted(found.keys() - {*_TEXTS, *_DIGESTS, "claims"})
    if unknown:
        raise MalformedEvidence(f"{what}: found the unknown field {unknown[0][:40]!r}")
    digests = {name: _digest(found.get(name), name) for name in _DIGESTS}
    claims = text_keys(found.get("claims", {}), f"{what}: claims")
    stated = AgentClaims(
        instance=_text(found.get("instance", ""), "instance"),
        key_origin=_key_origin(found.get("key_origin")),
        ticket_keys=_ticket_keys(found.get("ticket_keys")),
        ticket_names=digests["ticket_names"],
        manifest=digests["manifest"],
        telemetry=digests["telemetry"],
        claims=MappingProxyType({name: _claim(value, name) for name, value in claims.items()}),
    )
    if stated.encode() != data:
        raise MalformedEvidence(f"{what}: not in their one encoding: keys by length, then by byte")
    return stated


def commit_ticket_names(names: Iterable[bytes]) -> bytes:
    """Return the commitment to a set of 16-byte ticket key names: SHA-256 of them in order."""
    return hashlib.sha256(b"".join(sorted(set(names)))).digest()


def _digest(value: object, name: str) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) != DIGEST:
        raise MalformedEvidence(f"agent claims: {name} is no digest of {DIGEST} bytes")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not (value + "x").isprintable():
        raise MalformedEvidence(f"agent claims: {name[:40]!r} is no text of {MAX_TEXT} characters")
    return value


def _claim(value: object, name: str) -> Claim:
    _text(name, "a claim's name")
    return value if isinstance(value, int) else _text(value, name)


def _key_origin(value: object) -> KeyOrigin:
    if value is None:
        return KeyOrigin.UNSTATED
    if isinstance(value, str) and value in _SAID_ORIGINS:
        return KeyOrigin(value)
    raise MalformedEvidence("agent claims: key_origin is none of inside, released, imported")


def _ticket_keys(value: object) -> TicketKeys | None:
    if value is None:
        return None
    if isinstance(value, str) and value in frozenset(TicketKeys):
        return TicketKeys(value)
    raise MalformedEvidence("agent claims: ticket_keys is neither inside nor shared")
