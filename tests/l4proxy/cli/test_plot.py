"""A simulation as a picture."""

import sys
from pathlib import Path

import pytest

from l4proxy.cli.plot import NoPlot, draw
from l4proxy.cli.simulation import Comparison, Question, compare
from l4proxy.scaling.simulator.trace import Load


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Half an hour of load."""
    return compare(Question("ramp", Load(80, 1800, 1800), None, 10, 60, 30, 1), alone=False)


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_picture_is_drawn(
    comparison: Comparison, tmp_path: Path, suffix: str, magic: bytes
) -> None:
    """PNG or SVG, by the name of the file."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no pictures")
    path = tmp_path / f"plot.{suffix}"
    draw(comparison, path)
    assert path.read_bytes().startswith(magic)


def test_another_format_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    """A picture that nobody asked for is not drawn."""
    with pytest.raises(NoPlot, match=r"ends in \.png or \.svg"):
        draw(comparison, tmp_path / "plot.gif")


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, comparison: Comparison, tmp_path: Path
) -> None:
    """The extra is named, and nothing is written."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoPlot, match="l4proxy\\[plots\\]"):
        draw(comparison, tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())
