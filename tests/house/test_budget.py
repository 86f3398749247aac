"""The size budget: what does not fit has not found its rooms yet.

A function may leave the budget only with a reason in its signature: `# budget: <reason>`.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.house.repository import ROOT, Function, expect_none, functions, sources, tree

MAX_FILE_LINES = 400
MAX_MEDIAN_FILE_LINES = 150
MAX_FUNCTION_LINES = 40  # the docstring is not counted: explaining is never too dear
MAX_NESTING = 3
MAX_PARAMETERS = 5  # self and cls are not counted

_EXCUSE = re.compile(r"# budget: \S+")
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_BLOCKS = (ast.If, *_LOOPS, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def test_files_are_short() -> None:
    """No file is longer than the budget, and half of them are far shorter."""
    lengths = {
        path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in sources()
    }
    over = [
        f"{path}:{MAX_FILE_LINES + 1}: file of {lines} lines, at most {MAX_FILE_LINES}"
        for path, lines in lengths.items()
        if lines > MAX_FILE_LINES
    ]
    expect_none(over)
    assert median(lengths.values()) <= MAX_MEDIAN_FILE_LINES


def test_functions_are_short() -> None:
    """No function has more lines than the budget, its docstring aside."""
    _check("lines", MAX_FUNCTION_LINES, _lines)


def test_functions_are_shallow() -> None:
    """No function nests blocks deeper than the budget."""
    _check("levels of nesting", MAX_NESTING, _nesting)


def test_functions_take_few_parameters() -> None:
    """No function takes more parameters than the budget, self and cls aside."""
    _check("parameters", MAX_PARAMETERS, _parameters)


def test_the_measures_count_what_they_say() -> None:
    """Docstrings, elif chains and self are free; lines, blocks and parameters are counted."""
    (function,) = functions(
        ast.parse(
            "def f(self, a, *b, c=1, **d):\n"
            '    """One.\n\n    Two.\n    """\n'
            "    if a:\n        pass\n"
            "    elif b:\n        pass\n"
            "    else:\n        for _ in b:\n            pass\n",
        ),
    )
    assert (_lines(function), _nesting(function), _parameters(function)) == (8, 2, 4)


def _check(what: str, most: int, measure: Callable[[Function], int]) -> None:
    over = [
        f"{path}:{function.lineno}: {function.name} has {found} {what}, at most {most}"
        for path in sources()
        for function in functions(tree(path))
        if (found := measure(function)) > most and not _excused(path, function)
    ]
    expect_none(over)


def _excused(path: Path, function: Function) -> bool:
    """Whether the signature, which may span lines, carries a reason to leave the budget."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    signature = lines[function.lineno - 1 : max(function.lineno, function.body[0].lineno - 1)]
    return any(_EXCUSE.search(line) for line in signature)


def _lines(function: Function) -> int:
    return _span(function) - (_span(function.body[0]) if ast.get_docstring(function) else 0)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(function: Function) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args]
    free = 1 if named and named[0].arg in {"self", "cls"} else 0
    rest = sum(extra is not None for extra in (given.vararg, given.kwarg))
    return len(named) - free + len(given.kwonlyargs) + rest


def _nesting(node: ast.AST) -> int:
    """How deep blocks lie in each other below a node; a function within starts anew."""
    within = (child for child in ast.iter_child_nodes(node) if not isinstance(child, _SCOPES))
    return max((_depth(child, node) for child in within), default=0)


def _depth(child: ast.AST, parent: ast.AST) -> int:
    opens = isinstance(child, _BLOCKS) and not _is_elif(child, parent)
    return _nesting(child) + (1 if opens else 0)


def _is_elif(child: ast.AST, parent: ast.AST) -> bool:
    """Whether an if is the elif of its parent, which reads as the same level."""
    return isinstance(child, ast.If) and isinstance(parent, ast.If) and parent.orelse == [child]
