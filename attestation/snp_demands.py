"""What a policy can demand of a SEV-SNP report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attestation.checks import Check, failed, passed
from attestation.claims import Claims
from attestation.demands import DemandReader, Path, equals
from attestation.errors import PolicyError

KIND: Final = "sev-snp"
"""What policies call this kind."""

_PRODUCTS = ("Milan", "Genoa", "Turin")
_TCB_PARTS = ("bootloader", "tee", "snp", "microcode", "fmc")
_DIGEST_BYTES = 48
_LARGEST_VERSION = 0xFF
_LOWEST_VMPL = 3
_MIGRATE_MA = 1 << 18


@dataclass(frozen=True, slots=True)
class SnpDemands:
    """One set of demands on a SEV-SNP report; what is None or empty is not demanded.

    Attributes:
        pins: Digests that must stand in the report: `measurement`, `id_key_digest`,
            `author_key_digest`, `host_data`, …; raw bytes by field.
        max_vmpl: Least privileged level that may have asked for the report: 0 unless said.
        minimum_tcb: Least security version of each part that is named.
        products: Generations that may be; any if empty.
        refused_products: Generations that may not be.
        chip_ids: Processors that may be, 64 bytes each; any if empty.
        csp_ids: Clouds whose VLEK may have signed; any key if empty.
        allow_migration: Whether a migration agent may move the guest.

    """

    pins: Mapping[str, bytes]
    max_vmpl: int
    minimum_tcb: Mapping[str, int]
    products: frozenset[str]
    refused_products: frozenset[str]
    chip_ids: frozenset[bytes]
    csp_ids: frozenset[str]
    allow_migration: bool

    @property
    def kind(self) -> str:
        """`sev-snp`."""
        return KIND

    @property
    def allows_debug_values(self) -> bool:
        """Whether it asks for a measurement of zeros, which no genuine guest has."""
        measurement = self.pins.get("measurement")
        return measurement is not None and not any(measurement)

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        """Return a check for each demand, none left out."""
        known = {**claims.measurements, **claims.fields}
        return (
            *(equals(name, known.get(name), value) for name, value in self.pins.items()),
            *(_at_least(part, claims, least) for part, least in self.minimum_tcb.items()),
            self._vmpl(claims),
            self._migration(claims),
            *self._lists(claims),
        )

    def _vmpl(self, claims: Claims) -> Check:
        found = int.from_bytes(claims.fields.get("vmpl", b"\xff"), "little")
        if found <= self.max_vmpl:
            return passed("vmpl", str(found))
        return failed("vmpl", str(found), f"at most {self.max_vmpl}")

    def _migration(self, claims: Claims) -> Check:
        policy = int.from_bytes(claims.fields.get("policy", b"\xff" * 8), "little")
        if self.allow_migration or not policy & _MIGRATE_MA:
            return passed("migration")
        return failed("migration", "a guest that may be migrated", "allow_migration: true")

    def _lists(self, claims: Claims) -> tuple[Check, ...]:
        chip = claims.chip_id
        csp = claims.fields.get("csp_id", b"").decode("ascii", "backslashreplace")
        checks: list[Check] = []
        if self.products:
            checks.append(_member("product", claims.product, self.products))
        if self.refused_products:
            found = claims.product
            checks.append(
                failed("refused_product", found, "another generation")
                if found in self.refused_products
                else passed("refused_product", found)
            )
        if self.chip_ids:
            listed = {chip_id.hex() for chip_id in self.chip_ids}
            checks.append(_member("chip_allowed", chip.hex() if chip else "none", listed))
        if self.csp_ids:
            checks.append(_member("csp_allowed", csp or "none", self.csp_ids))
        return tuple(checks)


def read_demands(found: object, path: Path) -> SnpDemands:
    """Return the demands that stand under `sev-snp` in a policy's `accept` list.

    Raises:
        PolicyError: A key is not known, a value has not its shape, or no measurement is pinned.
    """
    reader = DemandReader(found, path)
    pins = {
        name: value
        for name, size in {
            "measurement": _DIGEST_BYTES,
            "id_key_digest": _DIGEST_BYTES,
            "author_key_digest": _DIGEST_BYTES,
            "family_id": 16,
            "image_id": 16,
            "host_data": 32,
        }.items()
        if (value := reader.hexadecimal(name, size)) is not None
    }
    for name in ("id_key_digest", "author_key_digest"):
        if name in pins and not any(pins[name]):
            # Zeros are what a guest without an identity block has: every such guest.
            raise PolicyError((*path, name), "zeros", "a key's digest: zeros pin nothing")
    demands = SnpDemands(
        pins=pins,
        max_vmpl=reader.number("max_vmpl", _LOWEST_VMPL, 0),
        minimum_tcb=reader.numbers("minimum_tcb", _TCB_PARTS, _LARGEST_VERSION),
        products=reader.words("products", _PRODUCTS),
        refused_products=reader.words("refused_products", _PRODUCTS),
        chip_ids=reader.hexadecimals("chip_ids", 64),
        csp_ids=reader.words("csp_ids"),
        allow_migration=reader.flag("allow_migration"),
    )
    # host_data comes from the host, family and image from whoever signed an identity block: none
    # of them says what was loaded.
    reader.end(pins=bool(pins.keys() & {"measurement", "id_key_digest", "author_key_digest"}))
    return demands


def _at_least(part: str, claims: Claims, least: int) -> Check:
    name, found = f"minimum_tcb.{part}", claims.tcb.get(part)
    if found is not None and found >= least:
        return passed(name, str(found))
    return failed(name, "no such part" if found is None else str(found), f"{least} or more")


def _member(name: str, found: str, listed: set[str] | frozenset[str]) -> Check:
    if found in listed:
        return passed(name, found)
    return failed(name, found or "none", f"one of {len(listed)} that the policy lists")
