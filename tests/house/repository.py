"""The repository as the house tests see it: where it lies, what its files hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("l4proxy", "sni", "routing", "attestation")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    """Every Python file that ships, in order, relative to the root."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


def suite() -> list[Path]:
    """Every test file, in order, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))


def tree(path: Path) -> ast.Module:
    """The syntax tree of a file that is named relative to the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def functions(module: ast.Module) -> list[Function]:
    """Every function of a module, methods and inner ones included."""
    return [node for node in ast.walk(module) if isinstance(node, Function)]


def expect_none(faults: list[str]) -> None:
    """Fails with one fault a line, each of which an editor can jump to."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
