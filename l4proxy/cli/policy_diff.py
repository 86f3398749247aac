"""Where two policies differ: in what they say, not in how it is written."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from l4proxy.config.document import read_document
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy


class Change(NamedTuple):
    """One place where two policies differ; an empty side says nothing there."""

    path: str
    left: str
    right: str


def compare(left: Path, right: Path) -> tuple[Change, ...]:
    """Return where two policies differ, in order of the places.

    Sets of `accept` have no order: one stands as a whole on the side that has it.

    Raises:
        ConfigError, AttestationError: One is no policy.

    """
    one, other = _said(left), _said(right)
    return tuple(
        Change(path, one.get(path, ""), other.get(path, ""))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    )


def tell(changes: tuple[Change, ...], *, as_json: bool) -> None:
    """Print changes: what only the first policy says, what only the second says."""
    if as_json:
        print(json.dumps({"changes": [change._asdict() for change in changes]}, indent=2))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for path, left, right in changes:
        if left:
            console.print(Text(f"- {path}: {left}", "red"))
        if right:
            console.print(Text(f"+ {path}: {right}", "green"))


def _said(path: Path) -> dict[str, str]:
    """Return what a policy says, by its places; it is read as one first, so that it is one."""
    load_policy(path, installed_kinds())
    return dict(_places(read_document(path.read_text(encoding="utf-8"), str(path)).value, ()))


def _places(found: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each value with its place; a set of `accept` is its own place."""
    if path == ("accept",) and isinstance(found, tuple):
        for one in found:
            said = json.dumps(one, sort_keys=True)
            name = hashlib.sha256(said.encode()).hexdigest()[:8]
            yield f"accept.{name}", said
    elif isinstance(found, dict):
        for key, value in found.items():
            yield from _places(value, (*path, key))
    else:
        yield ".".join(path), json.dumps(found)
