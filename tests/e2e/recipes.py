"""The recipes of the guide to routable tickets, as a reader copies them out."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tests.e2e.sockets import TIMEOUT
from tests.house.repository import ROOT

GUIDE = (ROOT / "docs" / "guides" / "routable-tickets.md").read_text(encoding="utf-8")

# The first line of a recipe is a comment with its title.
_RECIPE = re.compile(r"^```\w+\n(?:#|//) ([^\n]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

RECIPES: dict[str, str] = dict(_RECIPE.findall(GUIDE))
"""Title: text."""


def shell(title: str, folder: Path) -> None:
    """Runs the commands of a recipe in a folder; one that fails fails the test."""
    # Reachable by its name however the tests were started.
    command = f'l4proxy() {{ {shlex.quote(sys.executable)} -m l4proxy "$@"; }}\n'
    ran = subprocess.run(
        ["sh", "-euc", command + RECIPES[title]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def module(title: str, folder: Path) -> ModuleType:
    """The module that a recipe in Python is."""
    path = folder / title
    path.write_text(RECIPES[title], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
