"""YAML as plain values that remember their lines and columns.

A document becomes dicts, tuples, strings, whole numbers, floats and booleans. Numbers are plain
decimals, as in YAML 1.2: `010` and `1:30` stay text, so that nothing is read as base 8 or base 60.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from l4proxy.config.mistakes import ConfigError, Mistake, Nothing, describe

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
"""Bytes of a file: a thousand backends with names and weights take a tenth of it."""

MAX_DEPTH: Final = 24
"""Levels of nesting: the contract needs eight, and deeper text would exhaust the stack."""

MAX_VALUES: Final = 200_000
"""Values after aliases are followed: nine aliases of nine aliases … grow without bound."""

Path = tuple[str | int, ...]
"""Keys and positions from the root down to a value."""

_TAG: Final = "tag:yaml.org,2002:"
_COLLECTION_TAGS: Final = {f"{_TAG}map", f"{_TAG}seq"}
# The tags that YAML gives to plain text by itself. Any other was written by hand.
_SCALAR_TAGS: Final = {
    f"{_TAG}{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
}
_YES: Final = {"true", "yes", "on"}
_NO: Final = {"false", "no", "off"}
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}", re.ASCII)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value and the key before it stand: (line, column), both from 1."""

    value: tuple[int, int]
    key: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """One configuration text, read but not yet understood."""

    source: str
    value: object
    mistakes: tuple[Mistake, ...]
    spots: Mapping[Path, Spot]

    def mistake(self, path: Path, message: str, *, at_key: bool = False) -> Mistake:
        """Return a mistake at the place in the text that a path of the model means.

        The model writes every shorthand out (`api: [10.0.0.1:443]` has the path
        `pools.api.backends[0].address` there), so what the text does not have is passed over.
        """
        real: Path = ()
        for step in path:
            if (*real, step) in self.spots:
                real = (*real, step)
        spot = self.spots[real]
        line, column = spot.key if at_key else spot.value
        return Mistake(self.source, line, column, path_text(real), message)

    def missing(self, path: Path, message: str) -> Mistake:
        """Return a mistake for a key that is not there, placed where its mapping begins."""
        around = self.mistake(path[:-1], message)
        dot = "." if around.path else ""
        named = f"{around.path}{dot}{path_text(path[-1:])}"
        return Mistake(self.source, around.line, around.column, named, message)


def path_text(path: Path) -> str:
    """Return a path as people write it: `pools.app.backends[1]`, `routes["*.example.com"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{describe(step)}]"
    return text


def read_document(text: str, source: str) -> Document:
    """Return the values of a YAML text with their places, and every mistake of its keys.

    Raises:
        ConfigError: the text is no YAML, too large, too deep, or grows without bound by aliases.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_DOCUMENT_BYTES:
        raise ConfigError([Mistake(source, 0, 0, "", f"over {MAX_DOCUMENT_BYTES} bytes")])
    root = _compose(text, source)
    if root is None:
        raise ConfigError([Mistake(source, 1, 1, "", "found nothing, expected a configuration")])
    reading = _Reading(source)
    value = reading.value(root, ())
    return Document(source, value, tuple(reading.mistakes), reading.spots)


class _BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself descends until the stack is exhausted."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(
                problem=f"over {MAX_DEPTH} levels of nesting", problem_mark=self.get_mark()
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, source: str) -> Node | None:
    try:
        loader = _BoundedLoader(text)
        return loader.get_single_node()
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        message = f"U+{ord(text[error.position]):04X} is no character of a text"
        raise ConfigError([Mistake(source, line, column, "", message)]) from error
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_mistake(error, text, source)]) from error
    except (ValueError, OverflowError) as error:
        # PyYAML lets these through, for "\UFFFFFFFF" and for endless digits in %YAML.
        raise ConfigError([Mistake(source, 0, 0, "", f"not YAML: {error}")]) from error


def _syntax_mistake(error: yaml.MarkedYAMLError, text: str, source: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    hint = _syntax_hint(error, lines[line] if line < len(lines) else "")
    message = "; ".join(part for part in (error.context, error.problem) if part)
    return Mistake(source, line + 1, column + 1, "", f"not YAML: {message}{hint}")


def _syntax_hint(error: yaml.MarkedYAMLError, line: str) -> str:
    said = f"{error.context} {error.problem}"
    if "alias" in said:
        return ' (what begins with * stands in quotes: "*.example.com")'
    if re.search(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]", line):
        return ' (what begins with [ stands in quotes: "[2001:db8::1]:443")'
    if r"\t" in said:
        return " (indentation is made of spaces)"
    return ""


class _Reading:
    """The walk over the nodes of one text: its values, their spots, its mistakes."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.spots: dict[Path, Spot] = {}
        self.mistakes: list[Mistake] = []

    def value(self, node: Node, path: Path, key: Node | None = None) -> object:
        """Return the plain value of a node, and remembers where it stands."""
        if len(path) > MAX_DEPTH or len(self.spots) >= MAX_VALUES:
            over = f"aliases make it over {MAX_DEPTH} levels deep, or over {MAX_VALUES} values"
            raise ConfigError([Mistake(self.source, *_place(node), "", over)])
        place = _place(node)
        self.spots[path] = Spot(place, _place(key) if key else place)
        if node.tag not in _SCALAR_TAGS | _COLLECTION_TAGS:
            self._note(node, path, f"found the tag {describe(node.tag)}, expected a plain value")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return tuple(self.value(item, (*path, n)) for n, item in enumerate(node.value))
        return _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._note(key, path, "found a list or a mapping as a key, expected a word")
            elif key.value in values:
                first = self.spots[*path, key.value].key[0]
                message = f"this key stands twice; the first is on line {first}"
                self._note(key, (*path, key.value), message)
            else:
                values[key.value] = self.value(value, (*path, key.value), key)
        return values

    def _note(self, node: Node, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(self.source, *_place(node), path_text(path), message))


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _scalar(node: Node) -> object:
    text = str(node.value)
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return Nothing.NOTHING
    if kind == "bool" and text.lower() in _YES | _NO:
        return text.lower() in _YES
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    return text
