"""The quote of Intel TDX: who signed what, as the bytes stand.

Layout: Intel's TDX DCAP Quoting Library API, "Quote format", versions 4 and 5, little-endian; the
body is the TD Quote Body of TDX 1.0 (584 bytes) or 1.5 (648). Reading says nothing of whether it is
genuine.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from attestation.errors import MalformedEvidence

QUOTE_BYTES = 16 * 1024
"""Most bytes of a quote: genuine ones have about 5,000, in a buffer of 8,000 on Google Cloud."""

INTEL_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
"""Who made the quoting enclave: Intel; no other is known."""

_HEADER = struct.Struct("<HHI4s16s20s")
_TEE_TDX = 0x81
_ECDSA_P256 = 2
_BODY_HEADER = struct.Struct("<HI")
_TD_1_0 = 584
_TD_1_5 = 648
_BODY_SIZES = {2: _TD_1_0, 3: _TD_1_5}
_QE_REPORT_BYTES = 384
_QE_REPORT_CERTIFICATION = 6
_PEM_CHAIN = 5

# Offsets and sizes in the TD Quote Body.
_FIELDS: Mapping[str, tuple[int, int]] = {
    "tee_tcb_svn": (0x00, 16),
    "mr_seam": (0x10, 48),
    "mr_signer_seam": (0x40, 48),
    "seam_attributes": (0x70, 8),
    "td_attributes": (0x78, 8),
    "xfam": (0x80, 8),
    "mr_td": (0x88, 48),
    "mr_config_id": (0xB8, 48),
    "mr_owner": (0xE8, 48),
    "mr_owner_config": (0x118, 48),
    "rtmr0": (0x148, 48),
    "rtmr1": (0x178, 48),
    "rtmr2": (0x1A8, 48),
    "rtmr3": (0x1D8, 48),
    "report_data": (0x208, 64),
}
_FIELDS_1_5: Mapping[str, tuple[int, int]] = {
    "tee_tcb_svn_2": (0x248, 16),
    "mr_service_td": (0x258, 48),
}


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """The report of the quoting enclave, 384 bytes: an SGX report body.

    Attributes:
        encoded: All of it.

    """

    encoded: bytes

    @property
    def debug(self) -> bool:
        """Whether the host may read the enclave's memory (attributes, bit 1)."""
        return bool(self.encoded[0x30] & 0x02)

    @property
    def mr_signer(self) -> bytes:
        """Who signed the enclave: SHA-256 of the signer's key."""
        return self.encoded[0x80:0xA0]

    @property
    def product_id(self) -> int:
        """Which of the signer's enclaves it is (ISVPRODID)."""
        return int.from_bytes(self.encoded[0x100:0x102], "little")

    @property
    def report_data(self) -> bytes:
        """What the enclave asked to have signed: 64 bytes."""
        return self.encoded[0x140:0x180]


@dataclass(frozen=True, slots=True)
class TdxQuote:
    """One quote as it stands; every field hostile until the signatures hold.

    Attributes:
        version: 4 or 5.
        fields: The TD's report by Intel's names: `mr_td`, `rtmr0`, `report_data`, …; raw bytes.
        signed: Header and body: the bytes under the quote's signature.
        signature: 64 bytes, r and s big-endian, by the attestation key.
        attestation_key: 64 bytes, x and y of a point on P-256.
        qe_report: What the quoting enclave says of the attestation key.
        qe_signature: 64 bytes, r and s, over that report, by the platform's PCK.
        qe_authentication: Bytes that the report binds beside the attestation key.
        certificates: The PCK's chain as PEM: leaf, intermediate, root.
        encoded: The quote without what follows its end.

    """

    version: int
    fields: Mapping[str, bytes]
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe_report: EnclaveReport
    qe_signature: bytes
    qe_authentication: bytes
    certificates: bytes
    encoded: bytes


def parse_quote(document: bytes) -> TdxQuote:
    """Read a quote; zeros may follow it, as in the fixed buffers of some platforms.

    Raises:
        MalformedEvidence: It is too long, cut short, of another version, TEE, key type or vendor,
            or its inner lengths do not add up.
    """
    if len(document) > QUOTE_BYTES:
        raise MalformedEvidence(f"quote of {len(document)} bytes, expected at most {QUOTE_BYTES}")
    reader = _Reader(document, "quote")
    version = _read_header(reader)
    fields = _read_body(reader, version)
    signed = document[: reader.at]
    parts = _Reader(reader.sized(4, "signature data"), "signature data")
    encoded, rest = document[: reader.at], document[reader.at :]
    if any(rest):
        raise MalformedEvidence(f"{len(rest)} bytes follow the quote's end, expected none or zeros")
    signature, key = parts.take(64, "signature"), parts.take(64, "attestation key")
    parts.expect(_QE_REPORT_CERTIFICATION, "certification data type")
    inner = _Reader(parts.sized(4, "certification data"), "certification data")
    parts.end()
    qe_report = EnclaveReport(inner.take(_QE_REPORT_BYTES, "QE report"))
    qe_signature = inner.take(64, "QE report signature")
    qe_authentication = inner.sized(2, "QE authentication data")
    inner.expect(_PEM_CHAIN, "QE certification data type")
    certificates = inner.sized(4, "PCK chain")
    inner.end()
    return TdxQuote(
        version=version,
        fields=fields,
        signed=signed,
        signature=signature,
        attestation_key=key,
        qe_report=qe_report,
        qe_signature=qe_signature,
        qe_authentication=qe_authentication,
        certificates=certificates,
        encoded=encoded,
    )


class _Reader:
    """Takes bytes from front to back, never over the end."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.at = 0

    def take(self, size: int, what: str) -> bytes:
        """Return the next `size` bytes."""
        if size > len(self._data) - self.at:
            left = len(self._data) - self.at
            raise MalformedEvidence(f"{what}: {left} bytes left in the {self._what}, not {size}")
        self.at += size
        return self._data[self.at - size : self.at]

    def sized(self, size: int, what: str) -> bytes:
        """Return the bytes that a length of `size` bytes stands before."""
        return self.take(int.from_bytes(self.take(size, f"{what}'s length"), "little"), what)

    def expect(self, number: int, what: str) -> None:
        """Read two bytes that must be `number`."""
        found = int.from_bytes(self.take(2, what), "little")
        if found != number:
            raise MalformedEvidence(f"{what} {found}, expected {number}")

    def end(self) -> None:
        """Promise that every byte was taken."""
        left = len(self._data) - self.at
        if left:
            raise MalformedEvidence(f"{left} bytes left over in the {self._what}, expected none")


def _read_header(reader: _Reader) -> int:
    """Return the version, all that follows it in the header being as it must."""
    header = _HEADER.unpack(reader.take(_HEADER.size, "quote header"))
    version, key_type, tee, _, vendor, _ = header
    if version not in {4, 5}:
        raise MalformedEvidence(f"quote version {version}, expected 4 or 5")
    if tee != _TEE_TDX:
        raise MalformedEvidence(f"TEE type {tee:#x}, expected {_TEE_TDX:#x}")
    if key_type != _ECDSA_P256:
        raise MalformedEvidence(f"attestation key type {key_type}, expected {_ECDSA_P256}")
    if vendor != INTEL_VENDOR_ID:
        raise MalformedEvidence(f"QE vendor {vendor.hex()}, expected {INTEL_VENDOR_ID.hex()}")
    return int(version)


def _read_body(reader: _Reader, version: int) -> Mapping[str, bytes]:
    size = _TD_1_0
    if version == 5:  # noqa: PLR2004 - from version 5 on a body names its own type and size
        kind, size = _BODY_HEADER.unpack(reader.take(_BODY_HEADER.size, "body type"))
        if _BODY_SIZES.get(kind) != size:
            raise MalformedEvidence(
                f"body type {kind} of {size} bytes, expected 2 (584) or 3 (648)"
            )
    body = reader.take(size, "TD report")
    names = _FIELDS if size == _TD_1_0 else {**_FIELDS, **_FIELDS_1_5}
    return {name: body[at : at + length] for name, (at, length) in names.items()}
