"""No file holds what belongs to one machine or to an unfinished thought."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.repository import ROOT, expect_none

HERE = Path(__file__).relative_to(ROOT)  # holds every pattern as an example, so it is not read
SUFFIXES = {".json", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
NAMES = {"Makefile", "run", "test-tools"}
MADE = re.compile(r"\.(git|venv|hypothesis)|\..*_cache|__pycache__|build|dist|htmlcov")

ANYWHERE = {
    "a machine's path": re.compile(r"(?<![\w.])/(work|root|home)/\w"),
    "a note to oneself": re.compile(r"\b(TODO|FIXME|XXX)\b"),
}
# A silenced check names the check, and the reason stands beside it.
IN_CODE = {
    "a stub": re.compile(r"\bNotImplementedError\b"),
    "noqa without code and reason": re.compile(r"# noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)*\W+[a-z]\w+)"),
    "type: ignore without code and reason": re.compile(r"# type: ignore(?!\[[\w, -]+\]\W+\w+)"),
    "pragma without reason": re.compile(r"# pragma: no (cover|branch)(?!\W+\w+)"),
}


def test_no_file_holds_what_does_not_belong() -> None:
    """Texts carry no machine paths, no notes to oneself, no stubs, no unexplained silence."""
    faults = [
        fault
        for path in _texts()
        for fault in _faults(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    expect_none(faults)


@pytest.mark.parametrize(
    ("line", "faulty"),
    [
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S603", True),
        ("x = 1  # noqa: S603, S607", True),
        ("x = 1  # noqa: S603 - our own command line", False),
        ("x = 1  # noqa: S603, S607 - our own command line", False),
        ("x = y()  # type: ignore[misc]", True),
        ("x = y()  # type: ignore[misc]  # the library's type is wrong", False),
        ("if x:  # pragma: no cover", True),
        ("if x:  # pragma: no cover - only on another kernel", False),
        ("raise NotImplementedError", True),
        ("return NotImplemented", False),
        ("# FIXME later", True),
        ("open('/home/me/notes')", True),
        ("ssl/home/page", False),
    ],
)
def test_the_patterns_find_what_they_say(line: str, faulty: bool) -> None:
    """A silenced check needs its code and its reason; a stub and a note are found."""
    assert bool(list(_faults(Path("example.py"), line))) is faulty


def _faults(path: Path, text: str) -> Iterator[str]:
    patterns = ANYWHERE | (IN_CODE if path.suffix == ".py" else {})
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in patterns.items():
            if found := pattern.search(line):
                yield f"{path}:{number}: {what}: {found[0]}"


def _texts() -> Iterator[Path]:
    """Every text file that is kept, but for this one, relative to the root."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not MADE.fullmatch(name)]
        paths = (Path(folder, name).relative_to(ROOT) for name in files)
        yield from (path for path in paths if path != HERE and _is_text(path))


def _is_text(path: Path) -> bool:
    return path.suffix in SUFFIXES or path.name in NAMES
