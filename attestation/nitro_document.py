"""The payload of a Nitro Enclaves document: nine fields, each in its shape and limit.

The source is AWS's own text (aws-nitro-enclaves-nsm-api, docs/attestation_process.md, §2.2 and
§3.2.2.2). Genuine documents differ from it in three places, and are followed: an optional field
that is not used is null, a public key may be empty, and the map may be of indefinite length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from attestation.cbor import load_cbor
from attestation.errors import MalformedEvidence

MAX_PAYLOAD_BYTES: Final = 16 * 1024
"""Bytes of the payload, as AWS bounds it; genuine ones have about 4,500."""

PCR_SIZE: Final = 48
"""Bytes of a platform configuration register: SHA-384, the one digest there is."""

PCR_INDICES: Final = range(32)
"""The registers that an enclave can have; genuine documents show 0 to 15."""

IMAGE_PCRS: Final = (0, 1, 2)
"""The registers of the image, its kernel and its application; all zeros in debug mode."""

MAX_CERTIFICATE_BYTES: Final = 1024
"""Bytes of each certificate in a document, as AWS bounds it; genuine ones have 533 to 794."""

MAX_PUBLIC_KEY_BYTES: Final = 1024
"""Bytes of the public key field, as AWS bounds it; PEM text of 800 was seen."""

MAX_DATA_BYTES: Final = 512
"""Bytes of user data and of a nonce: the most that the enclave's device takes."""

_DIGEST = "SHA384"
_NITROTPM_PCRS = "nitrotpm_pcrs"


@dataclass(frozen=True, slots=True)
class NitroDocument:
    """What a document says; nothing of it is trusted until its signature is verified.

    Attributes:
        module_id: The enclave's name: `i-<instance>-enc<enclave>`.
        signed_at: When it was signed, seconds since the epoch, UTC.
        pcrs: The registers by number, 48 bytes each; 0, 1 and 2 are always there.
        certificates: The chain as DER: the root first, the signer last.
        public_key: What the code asked to have signed as its key; None where it is null.
        user_data: What the code asked to have signed; None where it is null.
        nonce: The same, as an answer to a challenge; None where it is null.

    """

    module_id: str
    signed_at: float
    pcrs: Mapping[int, bytes]
    certificates: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None

    @property
    def debug(self) -> bool:
        """Whether the operator can read the enclave's console and memory.

        In debug mode the registers of the image are zeros, and others (the instance's, the role's)
        are not; one of the three is enough, as no code has zeros for its digest.
        """
        return not all(any(self.pcrs[index]) for index in IMAGE_PCRS)

    @property
    def instance(self) -> str:
        """The instance that the enclave runs on; the whole name if it is in another form."""
        return self.module_id.partition("-enc")[0]


def parse_document(payload: bytes) -> NitroDocument:
    """Return what the payload says; keys that are not known are skipped, as AWS may add some.

    Raises:
        MalformedEvidence: A field is missing, null, of another type or over its limit, or it is a
            NitroTPM document, which speaks of a whole instance.

    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedEvidence(f"payload: {len(payload)} bytes, expected at most 16384")
    fields = load_cbor(payload, "payload", indefinite_map=True)
    if not isinstance(fields, dict):
        raise MalformedEvidence(f"payload: found {_kind(fields)}, expected a map")
    if _NITROTPM_PCRS in fields:
        raise MalformedEvidence("payload: a NitroTPM document, expected that of an enclave")
    if fields.get("digest") != _DIGEST:
        raise MalformedEvidence(f"digest: found {_said(fields.get('digest'))}, expected SHA384")
    return NitroDocument(
        module_id=_module_id(fields.get("module_id")),
        signed_at=_timestamp(fields.get("timestamp")) / 1000,
        pcrs=_pcrs(fields.get("pcrs")),
        certificates=_certificates(fields.get("cabundle"), fields.get("certificate")),
        public_key=_optional(fields, "public_key", MAX_PUBLIC_KEY_BYTES),
        user_data=_optional(fields, "user_data", MAX_DATA_BYTES),
        nonce=_optional(fields, "nonce", MAX_DATA_BYTES),
    )


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _said(value: object) -> str:
    """Return the start of a value, without what would move a terminal's cursor."""
    return ascii(str(value)[:16])[1:-1]


def _module_id(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise MalformedEvidence(f"module_id: found {_kind(value)}, expected text")


def _timestamp(value: object) -> int:
    if type(value) is int and value > 0:
        return value
    raise MalformedEvidence(f"timestamp: found {_kind(value)}, expected milliseconds over 0")


def _pcrs(value: object) -> Mapping[int, bytes]:
    if not isinstance(value, dict):
        raise MalformedEvidence(f"pcrs: found {_kind(value)}, expected a map")
    for index, pcr in value.items():
        # A float and a bool compare equal to an int, so the type itself is asked.
        if type(index) is not int or index not in PCR_INDICES:
            raise MalformedEvidence(f"pcrs: found the index {_said(index)}, expected 0 to 31")
        if not isinstance(pcr, bytes):
            raise MalformedEvidence(f"pcrs: PCR{index} is {_kind(pcr)}, expected bytes")
        if len(pcr) != PCR_SIZE:
            raise MalformedEvidence(f"pcrs: PCR{index} has {len(pcr)} bytes, expected 48")
    missing = [index for index in IMAGE_PCRS if index not in value]
    if missing:
        raise MalformedEvidence(f"pcrs: PCR{missing[0]} is missing")
    return MappingProxyType(value)


def _certificates(bundle: object, leaf: object) -> tuple[bytes, ...]:
    if not isinstance(bundle, list) or not bundle:
        raise MalformedEvidence(f"cabundle: found {_kind(bundle)}, expected certificates")
    issuers = (_required(issuer, "cabundle") for issuer in bundle)
    return (*issuers, _required(leaf, "certificate"))


def _required(value: object, name: str) -> bytes:
    if not isinstance(value, bytes):
        raise MalformedEvidence(f"{name}: found {_kind(value)}, expected a certificate's bytes")
    if not 0 < len(value) <= MAX_CERTIFICATE_BYTES:
        raise MalformedEvidence(f"{name}: {len(value)} bytes, expected 1 to 1024")
    return value


def _optional(fields: Mapping[object, object], name: str, most: int) -> bytes | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise MalformedEvidence(f"{name}: found {_kind(value)}, expected bytes or null")
    if len(value) > most:
        raise MalformedEvidence(f"{name}: {len(value)} bytes, expected at most {most}")
    return value
