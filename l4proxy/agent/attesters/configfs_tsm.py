"""Evidence of AMD SEV-SNP and Intel TDX, from Linux's configfs-tsm.

A folder made below `/sys/kernel/config/tsm/report` takes 64 bytes as `inblob` and gives the report
as `outblob`, with the host's certificates, if it has any, as `auxblob`
(Documentation/ABI/testing/configfs-tsm-report).
"""

import secrets
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attestation import Evidence, MalformedEvidence, Request
from attestation.manifest import digest, extension, register_value
from attestation.snp_certificates import CERTIFICATE_TABLE
from attestation.snp_report import parse_report
from attestation.statement import REPORT_DATA
from l4proxy.agent.attesters.attester import TeeError

REPORTS: Final = Path("/sys/kernel/config/tsm/report")
RTMR3: Final = Path("/sys/devices/virtual/misc/tdx_guest/measurements/rtmr3:sha384")

MAX_BLOB_BYTES: Final = 64 * 1024
"""Bytes of a report or a table of certificates: the kernel gives 32 KiB at most of each."""

_KINDS = {"sev_guest": "sev-snp", "tdx_guest": "tdx"}
_REGISTER = 48


class ConfigfsTsm:
    """A confidential virtual machine."""

    def __init__(self, reports: Path = REPORTS, rtmr3: Path = RTMR3) -> None:
        """Use the interface below `reports`.

        Raises:
            TeeError: There is none: this is no confidential virtual machine.

        """
        if not reports.is_dir():
            raise TeeError(
                f"{reports}: this is no confidential virtual machine, or Linux is older than 6.7; "
                "there is no other TEE to fall back to"
            )
        self._reports = reports
        self._rtmr3 = rtmr3

    @property
    def signs_user_data(self) -> bool:
        """False: 64 bytes are signed."""
        return False

    def seal(self, manifest: bytes | None) -> None:
        """Extend RTMR3 of a TDX machine; see to it that SEV-SNP was launched with the digest.

        RTMR3 cannot be locked, but an extension is never undone: whoever extends it again has
        another value than the one of any manifest.

        Raises:
            TeeError: RTMR3 holds something else, or `host_data` is not the manifest's digest;
                without a manifest, not zeros.

        """
        evidence = self._report(bytes(REPORT_DATA))
        if evidence.kind == "tdx":
            self._extend(digest(manifest or b""))
        else:
            _compare(evidence.document, manifest)

    def quote(self, request: Request) -> Evidence:
        """Return a report.

        Raises:
            TeeError: The kernel gives none.

        """
        found = self._report(request.bound_data)
        return Evidence(
            found.kind,
            found.document,
            found.endorsements,
            request.claims_buffer,
            request.agent_claims,
        )

    def _report(self, report_data: bytes) -> Evidence:
        folder = self._reports / f"l4proxy-{secrets.token_hex(8)}"
        try:
            folder.mkdir()
            try:
                return _read(folder, report_data)
            finally:
                folder.rmdir()
        except OSError as error:
            raise TeeError(f"configfs-tsm: {error}") from error

    def _extend(self, manifest_digest: bytes) -> None:
        sealed = register_value(manifest_digest, _REGISTER)
        try:
            found = self._rtmr3.read_bytes()
            if found == bytes(_REGISTER):
                self._rtmr3.write_bytes(extension(manifest_digest))
                found = self._rtmr3.read_bytes()
        except OSError as error:
            raise TeeError(f"RTMR3: {error}; Linux before 6.16 cannot extend it") from error
        if found != sealed:
            raise TeeError("RTMR3: it holds something else than this manifest")


def _read(folder: Path, report_data: bytes) -> Evidence:
    (folder / "inblob").write_bytes(report_data)
    document = _blob(folder / "outblob")
    provider = (folder / "provider").read_text("ascii").strip()
    if provider not in _KINDS:
        raise TeeError(f"found the provider {provider[:40]!r}, expected {' or '.join(_KINDS)}")
    table = _blob(folder / CERTIFICATE_TABLE) if (folder / CERTIFICATE_TABLE).exists() else b""
    endorsements = {CERTIFICATE_TABLE: table} if table else {}
    return Evidence(_KINDS[provider], document, MappingProxyType(endorsements))


def _blob(path: Path) -> bytes:
    with path.open("rb") as file:
        found = file.read(MAX_BLOB_BYTES + 1)
    if len(found) > MAX_BLOB_BYTES:
        raise TeeError(f"{path.name}: over {MAX_BLOB_BYTES} bytes")
    return found


def _compare(document: bytes, manifest: bytes | None) -> None:
    """Without a manifest there are zeros: the operator could name one that nobody here has read."""
    try:
        found = parse_report(document).host_data
    except MalformedEvidence as error:
        raise TeeError(f"configfs-tsm: {error}") from error
    expected, launch = bytes(len(found)), "launch without it, or set a manifest"
    if manifest is not None:
        expected, launch = digest(manifest), "launch with the manifest's digest"
    if found != expected:
        raise TeeError(f"host_data: found {found.hex()}, expected {expected.hex()}: {launch}")
