"""The attestation report of SEV-SNP: 1,184 bytes, little-endian, as the processor signs them.

Layout: AMD's SEV Secure Nested Paging Firmware ABI (document 56860), table ATTESTATION_REPORT;
versions 2, 3 and 4 (as 3) and 5. Reading says nothing of whether it is genuine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from attestation.errors import MalformedEvidence

REPORT_BYTES = 1184
"""Bytes of a report, neither more nor fewer, whatever its version (ABI: ATTESTATION_REPORT)."""

VERSIONS = (2, 3, 4, 5)
"""Versions whose layout is known; what a later one means, nobody can say yet."""

ECDSA_P384_SHA384 = 1
"""The only signature algorithm that the ABI defines for reports."""

_FIRST_WITH_CPUID = 3
_SIGNED_BYTES = 0x2A0
_NUMBER_BYTES = 48  # of the 72 that R and S have each; a P-384 scalar needs no more

_MILAN_PARTS = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_TCB_PARTS: Mapping[str, Mapping[str, int]] = {
    "Milan": _MILAN_PARTS,
    "Genoa": _MILAN_PARTS,
    "Turin": {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7},
}


class SigningKey(IntEnum):
    """Which key the report says that it was signed with (flags, bits 2 to 4)."""

    VCEK = 0
    VLEK = 1


@dataclass(frozen=True, slots=True)
class SnpReport:
    """One report as it stands; every field hostile until the signature holds.

    Attributes:
        version: 2 to 5.
        policy: The guest policy: what the guest's owner allows the host.
        vmpl: The privilege level that asked: 0 is the highest.
        signature_algorithm: 1 is ECDSA P-384 with SHA-384.
        signing_key: The number in the flags; a `SigningKey` in a genuine report.
        current_tcb: 8 bytes; what they mean depends on the product (`tcb_parts`).
        reported_tcb: As current_tcb; what the endorsement key stands for.
        committed_tcb: As current_tcb; below it the host cannot go back.
        report_data: 64 bytes that the guest asked to have signed.
        measurement: 48 bytes: what was loaded at launch.
        host_data: 32 bytes that the host gave at launch; the guest cannot change them.
        id_key_digest: 48 bytes: who signed the guest's identity block; zeros if nobody.
        author_key_digest: 48 bytes: who vouched for that key; zeros if nobody.
        chip_id: 64 bytes; zeros where the host masks them.
        cpuid: Family and model, version 3 on; None before.
        signed: The bytes under the signature.
        r: First number of the signature.
        s: Second number of the signature.
        unused: The bytes of the signature's field that hold nothing, so must be zeros.

    """

    version: int
    policy: int
    vmpl: int
    signature_algorithm: int
    signing_key: int
    current_tcb: bytes
    reported_tcb: bytes
    committed_tcb: bytes
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    chip_id: bytes
    cpuid: tuple[int, int] | None
    signed: bytes
    r: int
    s: int
    unused: bytes

    @property
    def debug(self) -> bool:
        """Whether the host may read the guest's memory (policy, bit 19)."""
        return bool(self.policy >> 19 & 1)

    @property
    def migratable(self) -> bool:
        """Whether a migration agent may move the guest's memory (policy, bit 18)."""
        return bool(self.policy >> 18 & 1)


def parse_report(document: bytes) -> SnpReport:
    """Read a report.

    Raises:
        MalformedEvidence: It has not the size of a report, or a version that is not known.
    """
    if len(document) != REPORT_BYTES:
        raise MalformedEvidence(f"{len(document)} bytes, expected {REPORT_BYTES}")
    version = _number(document, 0, 4)
    if version not in VERSIONS:
        raise MalformedEvidence(f"report version {version}, expected 2 to 5")
    r, s = _SIGNED_BYTES, _SIGNED_BYTES + 72
    return SnpReport(
        version=version,
        policy=_number(document, 0x08, 8),
        vmpl=_number(document, 0x30, 4),
        signature_algorithm=_number(document, 0x34, 4),
        signing_key=_number(document, 0x48, 4) >> 2 & 7,
        current_tcb=document[0x38:0x40],
        reported_tcb=document[0x180:0x188],
        committed_tcb=document[0x1E0:0x1E8],
        report_data=document[0x50:0x90],
        measurement=document[0x90:0xC0],
        host_data=document[0xC0:0xE0],
        id_key_digest=document[0xE0:0x110],
        author_key_digest=document[0x110:0x140],
        chip_id=document[0x1A0:0x1E0],
        cpuid=(document[0x188], document[0x189]) if version >= _FIRST_WITH_CPUID else None,
        signed=document[:_SIGNED_BYTES],
        r=_number(document, r, _NUMBER_BYTES),
        s=_number(document, s, _NUMBER_BYTES),
        unused=document[r + _NUMBER_BYTES : s] + document[s + _NUMBER_BYTES :],
    )


def tcb_parts(word: bytes, product: str) -> Mapping[str, int]:
    """Return the security version of each part that a product's TCB word (8 bytes) names.

    Raises:
        MalformedEvidence: The product's layout is not known.
    """
    parts = _TCB_PARTS.get(product)
    if parts is None:
        raise MalformedEvidence(f"product {product!r}, expected one of {', '.join(_TCB_PARTS)}")
    return {name: word[at] for name, at in parts.items()}


def product_of_cpuid(family: int, model: int) -> str:
    """Return the product of a CPUID family and model, as AMD names it; "" when it is not known."""
    match family, model // 16:
        case 0x19, 0:
            return "Milan"
        case 0x19, 1 | 0xA:  # Bergamo and Siena (0xA0 on) have Genoa's keys
            return "Genoa"
        case 0x1A, 0 | 1:
            return "Turin"
        case _:
            return ""


def _number(document: bytes, at: int, size: int) -> int:
    return int.from_bytes(document[at : at + size], "little")
