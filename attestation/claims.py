"""Claims: what genuine evidence says, in the same words for every kind of TEE."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_NUMBERS: Mapping[str, int] = MappingProxyType({})
_NO_FIELDS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a TEE states of the code in it; worth only as much as the checks beside it.

    Attributes:
        kind: The TEE: `nitro`, `sev-snp`, `tdx`, `simulated`, or a plug-in's name.
        measurements: What was loaded, by the platform's own name: `pcr0`, `measurement`, `mr_td`,
            `rtmr0`; raw bytes.
        bound_data: What the code asked to have signed: `user_data` of Nitro as it is, the 64 bytes
            of `report_data` of the others.
        valid_until: When the evidence ends, seconds since the epoch, UTC: the end of the first
            certificate to end.
        debug: Whether the operator can read the TEE's memory.
        simulated: Whether there is no TEE at all.
        signed_at: When it was signed, where the document carries a signed time; seconds UTC.
        nonce: The document's own nonce field, where its kind has one.
        public_key: The document's own public key field, where its kind has one.
        manifest_register: What the register that code loaded later cannot write holds: PCR16,
            RTMR3, `host_data`; None where the kind has none or it is unset (zeros).
        chip_id: Which processor, or instance; None where it is masked.
        product: Which generation of processor.
        tcb: The security version of each part of the platform.
        tcb_status: The vendor's word on that version, where there is one.
        fields: Other signed fields that demands of its kind decide by, by the platform's own name:
            `vmpl`, `td_attributes`; raw bytes as they stand in the evidence.
        details: More for a reader's eye; nothing decides by it.

    """

    kind: str
    measurements: Mapping[str, bytes]
    bound_data: bytes
    valid_until: float
    debug: bool = False
    simulated: bool = False
    signed_at: float | None = None
    nonce: bytes | None = None
    public_key: bytes | None = None
    manifest_register: bytes | None = None
    chip_id: bytes | None = None
    product: str = ""
    tcb: Mapping[str, int] = field(default_factory=lambda: _NO_NUMBERS)
    tcb_status: str | None = None
    fields: Mapping[str, bytes] = field(default_factory=lambda: _NO_FIELDS)
    details: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
