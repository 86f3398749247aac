"""Tests lie where the code lies, and everything public says what it promises."""

import ast
from pathlib import Path

import pytest

from tests.house.repository import ROOT, Function, expect_none, functions, sources, suite, tree

# Source files whose promise is tested elsewhere, each with the reason.
WITHOUT_A_MIRROR = {
    Path("l4proxy/limits.py"): "holds only numbers; tests/house/test_limits.py reads them",
    Path("l4proxy/version.py"): "holds one text; tests/house/test_packaging.py compares it",
    Path("l4proxy/__main__.py"): "hands over to l4proxy.cli.main; the tests of the CLI run it",
}


def test_every_source_file_has_its_test_file() -> None:
    """The test of `sni/wire.py` is `tests/sni/test_wire.py`, and so for every file with code."""
    missing = [
        f"{path}:1: has no {_mirror(path)}"
        for path in sources()
        if path not in WITHOUT_A_MIRROR and _has_code(tree(path)) and not _exists(_mirror(path))
    ]
    expect_none(missing)


def test_the_exceptions_are_needed() -> None:
    """A file that stands on the list of exceptions exists and has no mirror."""
    stale = [path for path in WITHOUT_A_MIRROR if not _exists(path) or _exists(_mirror(path))]
    assert not stale


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""Only words."""\nfrom a import b\n\n__all__ = ["b"]\n', False),
        ("class A:\n    pass\n", True),
        ("LIMIT = 3\n", True),
    ],
)
def test_imports_and_exports_are_no_code(text: str, expected: bool) -> None:
    """A file that only names what others hold needs no test of its own."""
    assert _has_code(ast.parse(text)) is expected


def test_everything_public_has_a_docstring() -> None:
    """Each public module, class and function that ships says what it promises."""
    silent = [
        f"{path}:{getattr(node, 'lineno', 1)}: no docstring"
        for path in sources()
        for node in _public(tree(path))
        if ast.get_docstring(node) is None
    ]
    expect_none(silent)


def test_every_test_states_its_promise() -> None:
    """Each test has a docstring: what is broken when it fails."""
    silent = [
        f"{path}:{function.lineno}: {function.name} has no docstring"
        for path in suite()
        for function in functions(tree(path))
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]
    expect_none(silent)


def _mirror(path: Path) -> Path:
    stem = path.parent.name if path.stem == "__init__" else path.stem.strip("_")
    return Path("tests", path.parent, f"test_{stem}.py")


def _exists(path: Path) -> bool:
    return (ROOT / path).is_file()


def _has_code(module: ast.Module) -> bool:
    return not all(_only_names(statement) for statement in module.body)


def _only_names(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, an import or the list of exports."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case (
            ast.Assign(targets=[ast.Name(id="__all__")])
            | ast.AnnAssign(target=ast.Name(id="__all__"))
        ):
            return True
        case _:
            return False


def _public(
    parent: ast.Module | ast.ClassDef,
) -> list[ast.Module | ast.ClassDef | Function]:
    """A module or class and the public classes and functions in it."""
    found: list[ast.Module | ast.ClassDef | Function] = [parent]
    for node in parent.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += _public(node)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            found.append(node)
    return found
