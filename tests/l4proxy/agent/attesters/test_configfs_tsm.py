"""Promises of `l4proxy.agent.attesters.configfs_tsm`, over a folder that behaves as the kernel's.

There is no confidential machine here: making a folder fills it with a report. That a real kernel
does so too is for those to see who have one.
"""

from pathlib import Path

import pytest

from attestation import AgentClaims, in_report_data
from attestation.manifest import digest, extension, register_value
from l4proxy.agent.attesters import ConfigfsTsm, TeeError
from l4proxy.agent.attesters.configfs_tsm import MAX_BLOB_BYTES
from tests.attestation.snp_builder import Recipe

REQUEST = in_report_data(b"0Ykey", AgentClaims(), b"n" * 32)
MANIFEST = b'{"manifest":1}'


class Kernel:
    """A folder of reports whose new folders are filled."""

    def __init__(self, root: Path, **files: bytes) -> None:
        self.reports = root / "report"
        self.reports.mkdir()
        self.files = files
        self.asked: list[bytes] = []

    def mkdir(self, folder: Path) -> None:
        """Make a folder as configfs does: with its files."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    def rmdir(self, folder: Path) -> None:
        """Remove a folder as configfs does: with its files."""
        self.asked.append((folder / "inblob").read_bytes())
        for file in folder.iterdir():
            file.unlink()


def kernel(root: Path, monkeypatch: pytest.MonkeyPatch, **files: bytes) -> Kernel:
    """A kernel with this provider and these blobs."""
    found = Kernel(root, **files)
    mkdir, rmdir = Path.mkdir, Path.rmdir

    def made(folder: Path) -> None:
        mkdir(folder)
        found.mkdir(folder)

    def removed(folder: Path) -> None:
        found.rmdir(folder)
        rmdir(folder)

    monkeypatch.setattr(Path, "mkdir", made)
    monkeypatch.setattr(Path, "rmdir", removed)
    return found


def test_a_report_of_sev_snp_comes_with_its_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 bytes go in; report and table come out, and no folder is left."""
    files = {"provider": b"sev_guest\n", "outblob": b"report", "auxblob": b"table"}
    found = kernel(tmp_path, monkeypatch, **files)
    evidence = ConfigfsTsm(found.reports).quote(REQUEST)
    assert (evidence.kind, evidence.document) == ("sev-snp", b"report")
    assert dict(evidence.endorsements) == {"auxblob": b"table"}
    assert evidence.claims_buffer == REQUEST.claims_buffer
    assert found.asked == [REQUEST.bound_data]
    assert not list(found.reports.iterdir())


def test_a_quote_of_tdx_comes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificates are inside it."""
    found = kernel(tmp_path, monkeypatch, provider=b"tdx_guest", outblob=b"quote")
    evidence = ConfigfsTsm(found.reports).quote(REQUEST)
    assert (evidence.kind, dict(evidence.endorsements)) == ("tdx", {})


def test_sev_snp_must_be_launched_with_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`host_data` is given at launch: another value is told, with the one to launch with."""
    report = bytearray(Recipe().report())
    report[0xC0:0xE0] = digest(MANIFEST)
    found = kernel(tmp_path, monkeypatch, provider=b"sev_guest", outblob=bytes(report))
    tee = ConfigfsTsm(found.reports)
    tee.seal(MANIFEST)
    with pytest.raises(TeeError, match="launch without it, or set a manifest"):
        tee.seal(None)
    with pytest.raises(TeeError, match=r"host_data: found .* launch with the manifest's digest"):
        tee.seal(b"other")


def test_sev_snp_without_a_manifest_is_launched_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`host_data` of zeros stands for no manifest, so that the operator names none."""
    report = bytearray(Recipe().report())
    report[0xC0:0xE0] = bytes(32)
    found = kernel(tmp_path, monkeypatch, provider=b"sev_guest", outblob=bytes(report))
    ConfigfsTsm(found.reports).seal(None)


def test_what_is_no_report_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be read seals nothing."""
    found = kernel(tmp_path, monkeypatch, provider=b"sev_guest", outblob=b"short")
    with pytest.raises(TeeError, match="configfs-tsm"):
        ConfigfsTsm(found.reports).seal(MANIFEST)


class Register:
    """RTMR3 behind its file: what is written extends it."""

    def __init__(self, value: bytes = bytes(48)) -> None:
        self.value = value
        self.written: list[bytes] = []

    def read_bytes(self) -> bytes:
        """Return its value."""
        return self.value

    def write_bytes(self, data: bytes) -> None:
        """Extend it."""
        self.written.append(data)
        self.value = register_value(data[:32], 48)


@pytest.mark.parametrize("manifest", [MANIFEST, None])
def test_tdx_extends_its_register_once(
    manifest: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a manifest it is extended too, so that it can stand for none later."""
    found = kernel(tmp_path, monkeypatch, provider=b"tdx_guest", outblob=b"quote")
    register = Register()
    tee = ConfigfsTsm(found.reports)
    monkeypatch.setattr(tee, "_rtmr3", register)
    tee.seal(manifest)
    tee.seal(manifest)
    assert register.written == [extension(digest(manifest or b""))]


def test_a_register_that_holds_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody was there before, or the kernel cannot extend it."""
    found = kernel(tmp_path, monkeypatch, provider=b"tdx_guest", outblob=b"quote")
    tee = ConfigfsTsm(found.reports, tmp_path / "none")
    with pytest.raises(TeeError, match=r"Linux before 6.16 cannot"):
        tee.seal(MANIFEST)
    monkeypatch.setattr(tee, "_rtmr3", Register(b"x" * 48))
    with pytest.raises(TeeError, match="RTMR3: it holds something else"):
        tee.seal(MANIFEST)


def test_other_providers_and_huge_blobs_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only SEV-SNP and TDX are known, and no blob is read without bound."""
    found = kernel(tmp_path, monkeypatch, provider=b"arm_cca", outblob=b"token")
    with pytest.raises(TeeError, match="found the provider 'arm_cca'"):
        ConfigfsTsm(found.reports).quote(REQUEST)
    found.files["outblob"] = bytes(MAX_BLOB_BYTES + 1)
    with pytest.raises(TeeError, match="outblob: over"):
        ConfigfsTsm(found.reports).quote(REQUEST)


def test_no_interface_is_told(tmp_path: Path) -> None:
    """Outside a confidential machine there is a clear word, and nothing else is tried."""
    with pytest.raises(TeeError, match="this is no confidential virtual machine"):
        ConfigfsTsm(tmp_path / "report")
