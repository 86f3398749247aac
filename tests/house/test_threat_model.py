"""The threat model names a test for each danger, and the test is there; policies in guides load."""

import re
from functools import cache
from pathlib import Path

import pytest

from attestation import built_in_kinds, register
from l4proxy.policy_file import parse_policy
from tests.house.repository import ROOT, functions, tree

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
HEADING = "| adversary | wants | what stops it | test |"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# A policy is fenced as `yaml policy`, for `yaml` alone is a whole configuration.
POLICY = re.compile(r"^```yaml policy\n(.*?)^```", re.MULTILINE | re.DOTALL)
POLICIES = [
    (str(path.relative_to(ROOT)), text)
    for path in sorted(ROOT.glob("docs/**/*.md"))
    for text in POLICY.findall(path.read_text(encoding="utf-8"))
]


def _rows() -> list[tuple[str, ...]]:
    """The rows of every table of dangers, cell by cell."""
    tables = [
        part.split("\n\n")[0] for part in PAGE.split(f"{HEADING}\n| --- | --- | --- | --- |\n")
    ]
    lines = [line for table in tables[1:] for line in table.splitlines()]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


ROWS = _rows()


@cache
def _tests(path: Path) -> frozenset[str]:
    return frozenset(function.name for function in functions(tree(path)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_danger_has_a_test_that_exists(row: tuple[str, ...]) -> None:
    """Adversary, asset and defence are said, and the test is one that pytest would run."""
    assert len(row) == 4
    assert all(row)
    found = NAMED.fullmatch(row[3])
    assert found, row[3]
    assert (ROOT / found[1]).is_file(), found[1]
    assert found[2] in _tests(Path(found[1]))


def test_no_table_is_passed_over() -> None:
    """Every test that the page names stands in a row that was looked at."""
    assert len(ROWS) == len(NAMED.findall(PAGE)) > 30


def test_the_first_danger_is_the_operator() -> None:
    """Who holds everything outside the enclave reads nothing: that is what all this is for."""
    assert ROWS[0][0] == "an operator who holds everything outside the enclave"


@pytest.mark.parametrize(("name", "text"), POLICIES)
def test_policies_load(name: str, text: str) -> None:
    """What a reader copies out of a guide is a policy that works."""
    assert parse_policy(text, ROOT / name, register(built_in_kinds())).accept


def test_the_guide_shows_a_policy() -> None:
    """It is explained by an example, and the example is one that loads."""
    assert "docs/attestation.md" in dict(POLICIES)
