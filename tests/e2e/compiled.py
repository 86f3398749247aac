"""The compiled build that `make compiled` has made, for tests that start daemons of it."""

import sys
from pathlib import Path

import pytest

from tests.e2e.balancer import ROOT

BUILD = ROOT / "build" / "compiled"


def missing() -> str:
    """Why daemons of it cannot be started; empty: they can."""
    if not BUILD.exists():
        return "the compiled build has not been made (make compiled)"
    # Its sources are in it, too.
    folders = [ROOT / name for name in ("l4proxy", "routing", "sni")]
    ours = [path for folder in folders for path in folder.rglob("*.[chp]*")]
    if all(_is_there(path) for path in ours if path.suffix in {".c", ".h", ".py"}):
        return ""
    return "the compiled build is of other sources (make compiled)"


def _is_there(path: Path) -> bool:
    other = BUILD / path.relative_to(ROOT)
    return other.exists() and path.read_bytes() == other.read_bytes()


def start_from_it(patch: pytest.MonkeyPatch) -> None:
    """Let each daemon that a test starts be of the compiled build."""
    patch.setenv("PYTHONPATH", str(BUILD))
    # -P: not the sources of the folder that it is started in.
    command = (sys.executable, "-P", "-m", "l4proxy", "run")
    patch.setattr("tests.e2e.balancer.COMMAND", command)
