"""The page of limits tells the values that the code has."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy import limits
from l4proxy.config import parse_config
from tests.house.repository import ROOT, expect_none, sources, tree

PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
# | `package.module.CONSTANT` | 1,024 | bytes | why |
CONSTANT = re.compile(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
CONSTANTS = CONSTANT.findall(PAGE)
# | `key.of.the.configuration` | default | why |
KEY = re.compile(r"^\| `([a-z_.]+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
KEYS = KEY.findall(PAGE)

LIMIT = re.compile(r"(MAX|MOST)_[A-Z_]+|[A-Z][A-Z_]*_(BYTES|SECONDS)")

PLAIN = """
listeners: ["127.0.0.1:8443"]
routes: {app.example.com: app}
pools: {app: {backends: ["127.0.0.1:443"]}}
"""


@pytest.mark.parametrize(("module", "name", "text"), CONSTANTS)
def test_values_are_those_of_the_code(module: str, name: str, text: str) -> None:
    """Each constant on the page exists and has the value that stands there."""
    value: object = getattr(importlib.import_module(module), name)
    numbers = value if isinstance(value, tuple) else (value,)
    assert text == ", ".join(f"{number:,}" for number in numbers)


@pytest.mark.parametrize(("key", "default"), KEYS)
def test_defaults_are_those_of_the_code(key: str, default: str) -> None:
    """A configuration that writes a default out is the one that leaves it out."""
    text = default
    for name in reversed(key.removeprefix("pools.app.").split(".")):
        text = f"{{{name}: {text}}}"
    if key.startswith("pools.app."):
        written_out = PLAIN.replace("app: {", f"app: {text[:-1]}, ")
    else:
        written_out = f"{PLAIN}{text[1:-1]}\n"
    assert parse_config(written_out, "written out") == parse_config(PLAIN, "left out")


def test_every_limit_is_on_the_page() -> None:
    """A limit that is added to the code is added to the page."""
    named = {f"{module}.{name}" for module, name, _ in CONSTANTS}
    found = {limit for path in sources() for limit in _limits(path)}
    expect_none(sorted(f"docs/limits.md: has no {limit}" for limit in found - named))


def _limits(path: Path) -> Iterator[str]:
    """The public constants of a file whose names say that they bound something."""
    module = ".".join(path.with_suffix("").parts)
    for statement in tree(path).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if module == limits.__name__ or LIMIT.fullmatch(name):
                    yield f"{module}.{name}"
            case _:
                pass
