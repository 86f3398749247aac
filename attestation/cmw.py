"""Conceptual Message Wrappers: evidence and what belongs to it, in one value (RFC 9999).

A record names its media type; a collection names its parts. Written is one collection: `evidence`,
and where there are any `endorsements`, `claims`, `agent-claims`, `manifest`. Read is that, a bare
record, and tag 60000 of interoperable RA-TLS: an Intel quote with its claims buffer. The JSON form
is refused: nothing that carries evidence to us writes it.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from attestation.cbor import load_cbor
from attestation.cbor_maps import text_keys, write_map
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence

MAX_CMW: Final = 256 * 1024
"""Bytes of a wrapper: a quote of 16 KiB, collateral of 64 KiB, claims, a manifest of 64 KiB."""

MAX_ENDORSEMENTS: Final = 16
"""Certificates and collateral beside evidence: TDX has 8."""

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "nitro": "application/aws-nitro-document",
        "sev-snp": "application/x-amd-sev-snp-report",
        "tdx": "application/x-intel-tdx-quote",
    }
)
"""Media type of each kind's document. IANA has registered none; Nitro's is what Veraison uses."""

_OTHER_KINDS = "application/x-l4proxy-evidence-"
_OTHER_KIND = re.compile(re.escape(_OTHER_KINDS) + r"([a-z][a-z0-9-]{0,31})", re.ASCII)
_KINDS = {media_type: kind for kind, media_type in MEDIA_TYPES.items()}
_BYTES = "application/octet-stream"
_LABELS = frozenset({"evidence", "endorsements", "claims", "agent-claims", "manifest"})
# Of a record's indicator (RFC 9999 §3.1): what it may hold, as bits.
_ENDORSEMENT, _EVIDENCE = 2, 4
_INDICATORS = range(1, 256)
# The first byte of the JSON form: `[` or `{`.
_JSON = frozenset(b"[{")
# CBOR tag 60000 (interoperable RA-TLS): `[quote, claims buffer]` of an Intel quote, SGX or TDX.
_INTEL_QUOTE = b"\xd9\xea\x60"


class Record(NamedTuple):
    """One message: its media type and its bytes; the indicator is read and not relied on."""

    media_type: str
    value: bytes


def media_type(kind: str) -> str:
    """Return the media type of a kind's document; a plug-in's is made of its name."""
    return MEDIA_TYPES.get(kind, _OTHER_KINDS + kind)


def encode_cmw(evidence: Evidence) -> bytes:
    """Return evidence and all that came with it as one collection, in deterministic CBOR."""
    parts: dict[str, object] = {
        "evidence": [media_type(evidence.kind), evidence.document, _EVIDENCE]
    }
    if evidence.endorsements:
        parts["endorsements"] = {
            name: [_BYTES, value, _ENDORSEMENT] for name, value in evidence.endorsements.items()
        }
    beside = {
        "claims": evidence.claims_buffer,
        "agent-claims": evidence.agent_claims,
        "manifest": evidence.manifest,
    }
    parts.update(
        {label: [_BYTES, value, _EVIDENCE] for label, value in beside.items() if value is not None}
    )
    return write_map(parts)


def parse_cmw(data: bytes) -> Evidence:
    """Return the evidence in a wrapper; none of it is verified.

    Raises:
        MalformedEvidence: It is over 256 KiB, none of the three forms, or of a type not known.

    """
    if data[:1] and data[0] in _JSON:
        raise MalformedEvidence("CMW: found the JSON form, expected CBOR")
    if len(data) > MAX_CMW:
        raise MalformedEvidence(f"CMW: {len(data)} bytes, expected at most {MAX_CMW}")
    if data.startswith(_INTEL_QUOTE):
        return _intel_quote(load_cbor(data.removeprefix(_INTEL_QUOTE), "CMW"))
    value = load_cbor(data, "CMW")
    if isinstance(value, dict):
        return _collection(text_keys(value, "CMW"))
    return _message(value)


def _collection(parts: Mapping[str, object]) -> Evidence:
    unknown = sorted(parts.keys() - _LABELS)
    if unknown or "evidence" not in parts:
        found = unknown[0][:40] if unknown else "no evidence"
        raise MalformedEvidence(f"CMW: found {found!r}, expected a collection with evidence")
    evidence = _message(parts["evidence"])
    endorsements = text_keys(parts.get("endorsements", {}), "CMW: endorsements")
    if len(endorsements) > MAX_ENDORSEMENTS:
        raise MalformedEvidence(f"CMW: {len(endorsements)} endorsements, at most 16")
    return Evidence(
        kind=evidence.kind,
        document=evidence.document,
        endorsements=MappingProxyType(
            {name: _record(part, name).value for name, part in endorsements.items()}
        ),
        claims_buffer=_optional(parts, "claims"),
        agent_claims=_optional(parts, "agent-claims"),
        manifest=_optional(parts, "manifest"),
    )


def _message(value: object) -> Evidence:
    record = _record(value, "evidence")
    other = _OTHER_KIND.fullmatch(record.media_type)
    kind = other[1] if other else _KINDS.get(record.media_type)
    if kind is None:
        found = ascii(record.media_type[:60])
        raise MalformedEvidence(f"CMW: found the type {found}, expected one of evidence")
    return Evidence(kind, record.value, MappingProxyType({}))


def _intel_quote(value: object) -> Evidence:
    match value:
        case [bytes(quote), bytes(buffer)]:
            return Evidence("tdx", quote, MappingProxyType({}), buffer)
        case _:
            raise MalformedEvidence("CMW: tag 60000 holds no quote with its claims buffer")


def _optional(parts: Mapping[str, object], label: str) -> bytes | None:
    return _record(parts[label], label).value if label in parts else None


def _record(value: object, what: str) -> Record:
    match value:
        case [str(name), bytes(content)]:
            return Record(name, content)
        case [str(name), bytes(content), indicator] if type(indicator) is int:
            if indicator in _INDICATORS:
                return Record(name, content)
    raise MalformedEvidence(f"CMW: {what[:40]!r} is no record of a type, bytes and an indicator")
