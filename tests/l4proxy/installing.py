"""Distributions that a test lays out, as an installer does."""

import sys
from pathlib import Path
from typing import Protocol

import pytest

from l4proxy.plugins import Group

GOOD = """
class Tee:
    name, signs_time, limit = "toy", False, 100
    def verify(self, evidence, now): ...
    def demands(self, found, path): ...
"""

SOURCE = """
from l4proxy.config.section import Section
class Settings(Section):
    listen: str = "127.0.0.1:1"
class Tee:
    name, settings = "toy", Settings
    def make(self, settings, pool): ...
"""
"""A source of telemetry."""


class Install(Protocol):
    """Lays out a distribution as an installer does; the newest stands in front."""

    def __call__(
        self,
        code: str = GOOD,
        *,
        name: str = "toy",
        distribution: str = "toy-tee",
        group: Group = Group.EVIDENCE,
    ) -> None:
        """Leaves it importable, and its metadata found."""
        ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lays out distributions below a folder of the test."""

    def lay_out(
        code: str = GOOD,
        *,
        name: str = "toy",
        distribution: str = "toy-tee",
        group: Group = Group.EVIDENCE,
    ) -> None:
        folder = tmp_path / distribution
        module = distribution.replace("-", "_")
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:Tee\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)

    return lay_out
