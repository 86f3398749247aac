"""What a policy can demand of a TDX quote."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attestation.checks import Check, failed, not_made, passed
from attestation.claims import Claims
from attestation.demands import DemandReader, Path, equals

KIND: Final = "tdx"
"""What policies call this kind."""

UP_TO_DATE: Final = "UpToDate"
"""Intel's word for a platform with nothing to mend."""

_STATUSES = (
    UP_TO_DATE,
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
)
_DIGEST_BYTES = 48
_PINS = (
    *("mr_td", "mr_config_id", "mr_owner", "mr_owner_config"),
    *("mr_seam", "mr_signer_seam", "mr_service_td"),
)
_REGISTERS = range(4)

# Bits of td_attributes (Intel TDX Module ABI, ATTRIBUTES). The first byte is TUD, "TD under debug".
_TUD = 0xFF
_SEPT_VE_DISABLE = 1 << 28
_MIGRATABLE = 1 << 29
# LASS, SEPT_VE_DISABLE, MIGRATABLE, PKS, KL; TPA and PERFMON.
_KNOWN = _TUD | 0b11111 << 27 | 0b11 << 62
# What genuine TDX modules have, which Intel signs, and guests without a service TD.
_ZERO_UNLESS_PINNED = ("mr_signer_seam", "seam_attributes", "mr_service_td")


@dataclass(frozen=True, slots=True)
class TdxDemands:
    """One set of demands on a TDX quote; what is empty is not demanded.

    Attributes:
        pins: Digests that must stand in the quote: `mr_td`, `rtmr0`, `mr_config_id`, …; raw bytes.
        tcb_status: Intel's words that will do; `UpToDate` alone if empty.
        allow_unknown_tcb: Whether a platform will do of which nothing is known. Whoever makes
            evidence can leave the collateral out that speaks against it.
        fmspcs: Platforms that may be, 6 bytes each; any if empty.
        chip_ids: Processors that may be (PPID), 16 bytes each; any if empty.
        allow_sept_ve_enabled: Whether the host may raise #VE in the guest at will.
        allow_migration: Whether the guest may be moved by a service TD.

    """

    pins: Mapping[str, bytes]
    tcb_status: frozenset[str]
    allow_unknown_tcb: bool
    fmspcs: frozenset[bytes]
    chip_ids: frozenset[bytes]
    allow_sept_ve_enabled: bool
    allow_migration: bool

    @property
    def kind(self) -> str:
        """`tdx`."""
        return KIND

    @property
    def allows_debug_values(self) -> bool:
        """Whether it asks for an `mr_td` of zeros, which no genuine guest has."""
        mr_td = self.pins.get("mr_td")
        return mr_td is not None and not any(mr_td)

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        """Return a check for each demand, none left out."""
        known = {**claims.measurements, **claims.fields}
        return (
            *(equals(name, known.get(name), value) for name, value in self.pins.items()),
            self._status(claims),
            *(
                _zero(name, known[name])
                for name in _ZERO_UNLESS_PINNED
                if name in known and name not in self.pins
            ),
            *self._attributes(claims),
            *self._lists(claims),
        )

    def _status(self, claims: Claims) -> Check:
        name, found = "tcb_status", claims.tcb_status
        if found is None:
            if self.allow_unknown_tcb:
                return passed(name, "unknown; the policy allows it")
            why = "nothing is known of the platform, see the check tcb; or allow_unknown_tcb: true"
            return not_made(name, why)
        wanted = self.tcb_status or {UP_TO_DATE}
        if found in wanted:
            return passed(name, found)
        return failed(name, found, " or ".join(sorted(wanted)))

    def _attributes(self, claims: Claims) -> tuple[Check, ...]:
        attributes = int.from_bytes(claims.fields.get("td_attributes", b"\xff" * 8), "little")
        return (
            passed("td_attributes")
            if not attributes & ~_KNOWN
            else failed("td_attributes", f"{attributes:#x}", "no bit that is reserved"),
            passed("sept_ve_disable")
            if attributes & _SEPT_VE_DISABLE or self.allow_sept_ve_enabled
            else failed("sept_ve_disable", "SEPT_VE_DISABLE is not enabled", "enabled, or allowed"),
            passed("migration")
            if self.allow_migration or not attributes & _MIGRATABLE
            else failed("migration", "a guest that may be migrated", "allow_migration: true"),
        )

    def _lists(self, claims: Claims) -> tuple[Check, ...]:
        checks: list[Check] = []
        if self.fmspcs:
            listed = {fmspc.hex() for fmspc in self.fmspcs}
            checks.append(_member("fmspc_allowed", claims.product, listed))
        if self.chip_ids:
            listed = {chip_id.hex() for chip_id in self.chip_ids}
            checks.append(_member("chip_allowed", (claims.chip_id or b"").hex(), listed))
        return tuple(checks)


def read_demands(found: object, path: Path) -> TdxDemands:
    """Return the demands that stand under `tdx` in a policy's `accept` list.

    Raises:
        PolicyError: A key is not known, a value has not its shape, or no measurement is pinned.
    """
    reader = DemandReader(found, path)
    pins = {
        name: value
        for name in _PINS
        if (value := reader.hexadecimal(name, _DIGEST_BYTES)) is not None
    }
    for index, value in reader.indexed("rtmr", _REGISTERS, _DIGEST_BYTES).items():
        pins[f"rtmr{index}"] = value
    demands = TdxDemands(
        pins=pins,
        tcb_status=reader.words("tcb_status", _STATUSES),
        allow_unknown_tcb=reader.flag("allow_unknown_tcb"),
        fmspcs=reader.hexadecimals("fmspcs", 6),
        chip_ids=reader.hexadecimals("chip_ids", 16),
        allow_sept_ve_enabled=reader.flag("allow_sept_ve_enabled"),
        allow_migration=reader.flag("allow_migration"),
    )
    # What mr_td measures writes the other registers: without it they say nothing.
    reader.end(pins="mr_td" in pins)
    return demands


def _zero(name: str, found: bytes) -> Check:
    if any(found):
        return failed(name, found.hex(), "zeros, or a value that the policy pins")
    return passed(name)


def _member(name: str, found: str, listed: set[str]) -> Check:
    if found in listed:
        return passed(name, found)
    return failed(name, found or "none", f"one of {len(listed)} that the policy lists")
