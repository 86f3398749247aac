"""The TEE of a machine: looked for, asked, verified; of one that is not there nothing is made."""

import json
from pathlib import Path

import pytest

from attestation import Evidence, Request
from l4proxy.agent.attesters import Simulated, TeeError, nsm
from l4proxy.cli import hardware
from l4proxy.cli.hardware import Finding, Places, look, save, tell

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A machine without a TEE."""
    return Places(tmp_path / "nsm", tmp_path / "report", tmp_path / "sev-guest")


class _Tee(Simulated):
    """A simulated TEE in a real one's place."""

    def __init__(self, *, signs_user_data: bool) -> None:
        super().__init__(b"image")
        self._signs_user_data = signs_user_data
        self.seal(None)

    @property
    def signs_user_data(self) -> bool:
        return self._signs_user_data


class _Replaying(_Tee):
    """One that answers every question alike."""

    def quote(self, request: Request) -> Evidence:
        return super().quote(Request(b"yesterday's", b"nonce", None, b""))


def test_a_machine_without_a_tee_has_no_findings(places: Places, capsys: Captured) -> None:
    """That is said plainly, and is no finding that passes."""
    assert look(places) == ()
    tell((), as_json=False)
    assert "this machine has no TEE that we know" in capsys.readouterr().out
    tell((), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"tees": []}


def test_each_tee_is_asked_and_verified(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A key and a nonce that were just made have to stand in what it signs."""
    places.nsm.touch()
    places.reports.mkdir()
    tees = {True: _Tee(signs_user_data=True), False: _Tee(signs_user_data=False)}
    monkeypatch.setattr(nsm, "open_device", lambda _: tees[True])
    monkeypatch.setattr(hardware, "ConfigfsTsm", lambda _: tees[False])
    findings = look(places)
    assert [finding.good for finding in findings] == [True, True]
    names = [{check.name for check in finding.checks} for finding in findings]
    assert "nonce" in names[0]
    assert all("bound_data" in one for one in names)
    tell(findings, as_json=False)
    told = capsys.readouterr().out
    assert told.count("verified here") == 2
    assert "not made measurements: not made, no policy was given" in told
    tell(findings, as_json=True)
    assert [tee["kind"] for tee in json.loads(capsys.readouterr().out)["tees"]] == ["simulated"] * 2


def test_an_old_answer_is_not_verified(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Genuine evidence of another question fails."""
    places.nsm.touch()
    monkeypatch.setattr(nsm, "open_device", lambda _: _Replaying(signs_user_data=True))
    (finding,) = look(places)
    assert not finding.good
    failed = {check.name for check in finding.checks if check.expected and check.found}
    assert failed == {"nonce", "bound_data"}


def test_a_tee_that_gives_nothing_is_told(places: Places, capsys: Captured) -> None:
    """A device that is none, and an older kernel: each with the reason, none as good."""
    places.nsm.touch()
    places.sev_guest.touch()
    findings = look(places)
    assert [finding.good for finding in findings] == [False, False]
    tell(findings, as_json=False)
    told = capsys.readouterr().out
    assert "NSM: Inappropriate ioctl for device" in told
    assert "of Linux 6.7 or newer" in told


def test_a_tee_that_cannot_be_opened_is_told(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is the attester's own."""

    def broken(_: Path) -> _Tee:
        raise TeeError("no permission")

    places.reports.mkdir()
    monkeypatch.setattr(hardware, "ConfigfsTsm", broken)
    (finding,) = look(places)
    assert str(finding.checks[0]) == "evidence: found no permission, expected evidence"


def test_evidence_is_kept_in_a_new_file(tmp_path: Path, capsys: Captured) -> None:
    """One that exists is not written over."""
    finding = Finding("/dev/nsm", "nitro", b"document", 1.0, ())
    path = tmp_path / "evidence.bin"
    assert save(finding, path)
    assert path.read_bytes() == b"document"
    assert not save(finding, path)
    assert "cannot be made: File exists" in capsys.readouterr().err
