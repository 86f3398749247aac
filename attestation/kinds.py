"""The kinds of TEE that are known here: the built-in ones, and those that plug-ins hand in."""

import re
from collections.abc import Iterable
from types import MappingProxyType

from attestation.errors import AttestationError
from attestation.evidence import EvidenceKind
from attestation.nitro import Nitro
from attestation.policy import Kinds
from attestation.sev_snp import SevSnp
from attestation.simulated import Simulated
from attestation.tdx import Tdx

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


def built_in_kinds() -> tuple[EvidenceKind, ...]:
    """Return the kinds of this package: `nitro`, `sev-snp`, `tdx`, `simulated`."""
    return (Nitro(), SevSnp(), Tdx(), Simulated())


def register(kinds: Iterable[EvidenceKind]) -> Kinds:
    """Return kinds by their names, for policies to name and for `judge` to choose from.

    Raises:
        AttestationError: Two have one name, or a name is not lower-case letters, digits and `-`.

    """
    registered: dict[str, EvidenceKind] = {}
    for kind in kinds:
        if not _NAME.fullmatch(kind.name):
            raise AttestationError(f"a kind is named {kind.name[:40]!r}, expected a-z, 0-9 and -")
        if kind.name in registered:
            raise AttestationError(f"two kinds are named {kind.name}, expected one")
        registered[kind.name] = kind
    return MappingProxyType(registered)
