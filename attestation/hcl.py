"""Azure's envelope around a SEV-SNP report: the paravisor's "HCL report".

An Azure guest does not choose its own report_data: the paravisor puts the digest of a JSON text
there, which holds the public key of the guest's virtual TPM. So the report binds that text and
nothing else; a TLS key is bound only by what that TPM signs.

Layout: 32-byte header that begins with `HCLA`, the report, five little-endian 32-bit words (size,
version, report type, hash type, length of the text), the text.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from attestation.errors import MalformedEvidence
from attestation.snp_report import REPORT_BYTES

_MAGIC = b"HCLA"
_HEADER_BYTES = 32
_WORDS = struct.Struct("<5I")
_SEV_SNP = 2
_SHA256 = 1


@dataclass(frozen=True, slots=True)
class HclReport:
    """What an envelope holds.

    Attributes:
        report: The SEV-SNP report, 1,184 bytes.
        runtime_data: The text whose digest must stand in the report.

    """

    report: bytes
    runtime_data: bytes

    def is_bound_by(self, report_data: bytes) -> bool:
        """Whether report_data (64 bytes) is the digest of this text, and zeros after it."""
        digest = hashlib.sha256(self.runtime_data).digest()
        return hmac.compare_digest(report_data, digest + bytes(32))


def open_envelope(document: bytes) -> HclReport | None:
    """Return what an envelope holds, or None when the document does not begin as one.

    Raises:
        MalformedEvidence: It begins as one and does not go on as one.
    """
    if not document.startswith(_MAGIC):
        return None
    words_at = _HEADER_BYTES + REPORT_BYTES
    text_at = words_at + _WORDS.size
    if len(document) < text_at:
        raise MalformedEvidence(f"HCL envelope of {len(document)} bytes, expected {text_at} and up")
    _, _, report_type, hash_type, length = _WORDS.unpack_from(document, words_at)
    if (report_type, hash_type) != (_SEV_SNP, _SHA256):
        raise MalformedEvidence(
            f"HCL envelope of report type {report_type}, hash {hash_type}; expected 2 and 1"
        )
    text, rest = document[text_at : text_at + length], document[text_at + length :]
    if len(text) != length or any(rest):
        raise MalformedEvidence(
            f"HCL text of {len(document) - text_at} bytes, expected {length} and zeros"
        )
    return HclReport(report=document[_HEADER_BYTES:words_at], runtime_data=text)
