"""`l4proxy agent`: it serves, or says why not and starts nothing."""

from pathlib import Path

import yaml

from tests.l4proxy.agent.parts import document
from tests.l4proxy.cli.calls import call


def written(folder: Path, keys: dict[str, object]) -> Path:
    """A file with settings."""
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    return path


def test_a_mistake_is_told_and_nothing_starts(tmp_path: Path) -> None:
    """Wrong settings are status 2, with file and place on standard error."""
    path = written(tmp_path, document(protocol="udp"))
    run = call("agent", path)
    assert run.returncode == 2
    assert str(path) in run.stderr
    assert "protocol: found 'udp'" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_a_tee_it_fails(tmp_path: Path) -> None:
    """A machine without a TEE is status 1, with a clear word, and no fall-back to a simulation."""
    keys = document(tee="nitro")
    del keys["image"]
    run = call("agent", written(tmp_path, keys))
    assert run.returncode == 1
    assert "/dev/nsm: this is no Nitro enclave" in run.stderr
    assert "Traceback" not in run.stderr


def test_it_explains_itself() -> None:
    """The help says that it goes first, and that it does not fall back."""
    run = call("agent", "--help")
    assert run.returncode == 0
    assert "before any code" in " ".join(run.stdout.split())
