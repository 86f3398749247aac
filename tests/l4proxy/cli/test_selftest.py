"""`l4proxy selftest`: its status tells a good TEE, a bad one, and none."""

from pathlib import Path

import pytest

from attestation import failed, passed
from l4proxy.cli import main
from l4proxy.cli.hardware import Finding

GOOD = Finding("/dev/nsm", "nitro", b"document", 1.0, (passed("form"),))
BAD = Finding("/dev/nsm", "nitro", b"document", 1.0, (failed("form", "a", "b"),))


@pytest.mark.parametrize(
    ("findings", "status"), [((GOOD,), 0), ((GOOD, BAD), 1), ((BAD,), 1), ((), 3)]
)
def test_the_status_tells(
    findings: tuple[Finding, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No TEE has a status of its own: nothing was tested, so nothing is fine."""
    monkeypatch.setattr("l4proxy.cli.hardware.look", lambda _: findings)
    assert main(["selftest", "--hardware"]) == status
    assert main(["selftest", "--hardware", "--json"]) == status


def test_evidence_is_kept_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that exists is unusable input; where there is no evidence there is no file."""
    path = tmp_path / "evidence.bin"
    monkeypatch.setattr("l4proxy.cli.hardware.look", lambda _: (GOOD,))
    assert main(["selftest", "--hardware", "--save", str(path)]) == 0
    assert main(["selftest", "--hardware", "--save", str(path)]) == 2
    path.unlink()
    monkeypatch.setattr("l4proxy.cli.hardware.look", lambda _: ())
    assert main(["selftest", "--hardware", "--save", str(path)]) == 3
    assert not path.exists()


def test_there_is_one_test(capsys: pytest.CaptureFixture[str]) -> None:
    """Which one has to be said."""
    with pytest.raises(SystemExit, match="2"):
        main(["selftest"])
    assert "--hardware" in capsys.readouterr().err
