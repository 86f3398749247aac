"""The TEE of this machine, as far as it has one: what it gives, and whether it is genuine here."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.text import Text

from attestation import (
    AgentClaims,
    Check,
    Expectation,
    KeyOrigin,
    Outcome,
    failed,
    first_failure,
    in_report_data,
    in_user_data,
)
from l4proxy.agent.attesters import Attester, ConfigfsTsm, TeeError, nsm
from l4proxy.agent.attesters.configfs_tsm import REPORTS
from l4proxy.cli.verdicts import examine
from l4proxy.plugins import installed_kinds

SEV_GUEST: Final = Path("/dev/sev-guest")
"""The older interface of SEV-SNP, which we do not use; it tells a kernel without the newer one."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where each interface of a TEE would be; overridable, for tests."""

    nsm: Path = nsm.DEVICE
    reports: Path = REPORTS
    sev_guest: Path = SEV_GUEST


@dataclass(frozen=True, slots=True)
class Finding:
    """What one interface gave.

    Attributes:
        interface: Its path.
        kind: Of the evidence; empty where there was none.
        document: The evidence; empty where there was none.
        milliseconds: How long it took; 0 where there was none.
        checks: Whether it is genuine here, and answers what was asked.

    """

    interface: str
    kind: str
    document: bytes
    milliseconds: float
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether there was evidence, and no check of it failed."""
        return bool(self.document) and first_failure(self.checks) is None


def look(places: Places) -> tuple[Finding, ...]:
    """Return what each interface that is here gave; none where there is no TEE.

    Nothing is written but requests for evidence: no register is extended, nothing is locked.
    """
    findings = list[Finding]()
    if places.nsm.exists():
        findings.append(_take(places.nsm, lambda: nsm.open_device(places.nsm)))
    if places.reports.is_dir():
        findings.append(_take(places.reports, lambda: ConfigfsTsm(places.reports)))
    elif places.sev_guest.exists():
        found = f"{places.sev_guest} alone"
        check = failed("interface", found, f"{places.reports}, of Linux 6.7 or newer")
        findings.append(Finding(str(places.sev_guest), "", b"", 0.0, (check,)))
    return tuple(findings)


def _take(interface: Path, attester: Callable[[], Attester]) -> Finding:
    """Ask for evidence of a key that was just made, and look at what comes."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    nonce = secrets.token_bytes(32)
    claims = AgentClaims(instance=os.uname().nodename[:63], key_origin=KeyOrigin.INSIDE)
    try:
        tee = attester()
        asks = in_user_data if tee.signs_user_data else in_report_data
        request = asks(spki, claims, nonce)
        begun = time.perf_counter()
        evidence = tee.quote(request)
        milliseconds = (time.perf_counter() - begun) * 1000
    except TeeError as error:
        check = failed("evidence", str(error), "evidence")
        return Finding(str(interface), "", b"", 0.0, (check,))
    expected = Expectation(
        nonce=nonce if tee.signs_user_data else None, bound_data=request.bound_data
    )
    result = examine(evidence, installed_kinds()[evidence.kind], expected, time.time())
    return Finding(str(interface), evidence.kind, evidence.document, milliseconds, result.checks)


def save(finding: Finding, path: Path) -> bool:
    """Write the evidence of a finding to a new file; say whether that was possible."""
    try:
        with path.open("xb") as file:
            file.write(finding.document)
    except OSError as error:
        print(f"l4proxy: {path} cannot be made: {error.strerror}", file=sys.stderr)
        return False
    return True


def tell(findings: tuple[Finding, ...], *, as_json: bool) -> None:
    """Print what was found, or that there is nothing."""
    if as_json:
        print(json.dumps({"tees": [_document(finding) for finding in findings]}, indent=2))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not findings:
        console.print(
            "this machine has no TEE that we know: no /dev/nsm, no configfs-tsm, no /dev/sev-guest"
        )
        console.print("nothing was tested; run it inside an enclave")
    for finding in findings:
        good = Text("verified here", "bold green")
        head = good if finding.good else Text("not verified here", "bold red")
        took = f", {len(finding.document)} bytes in {finding.milliseconds:.1f} ms"
        said = f": {finding.kind}{took}" if finding.document else ""
        console.print(Text(f"{finding.interface}{said}: ").append(head))
        for check in finding.checks:
            console.print(Text(f"  {_MARKS[check.outcome]:<8} {check}"))


def _document(finding: Finding) -> dict[str, object]:
    return {
        "interface": finding.interface,
        "kind": finding.kind,
        "good": finding.good,
        "bytes": len(finding.document),
        "milliseconds": round(finding.milliseconds, 1),
        "checks": [asdict(check) for check in finding.checks],
    }


_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.NOT_MADE: "not made"}
