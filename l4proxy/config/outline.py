"""A document as far as it can be understood: every shorthand written out, what is broken left out.

The checks between values look at it rather than at the model, so that one broken value hides none
of their findings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from l4proxy.config.document import Document, Path
from l4proxy.config.mistakes import BadValueError
from l4proxy.config.shorthand import (
    DEFAULT_ROUTE,
    backend_written_out,
    listener_written_out,
    pool_written_out,
    rule_written_out,
    rules_written_out,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One mapping of the document and the path it has in the model."""

    path: Path
    values: dict[str, object]

    def at(self, key: str) -> Path:
        """Return the path of a key."""
        return (*self.path, key)

    def below(self, key: str, write_out: Callable[[object], object]) -> "Entry":
        """Return the mapping that a key has, its shorthand written out; an empty one for none."""
        return Entry(self.at(key), _mapping(readable(write_out, self.values.get(key))))

    def read(self, key: str, reader: Callable[[object], T]) -> T | None:
        """Return what a reader makes of a key's value; None if it is broken or not there."""
        return readable(reader, self.values[key]) if key in self.values else None


@dataclass(frozen=True, slots=True)
class Outline:
    """The parts of a document that name each other.

    `default` and `admin` are None where the document does not have them; `routed` tells whether it
    has a mapping of routes, and `pools` is None where it has none of pools: then nothing can be
    said of what is in it.
    """

    listeners: tuple[Entry, ...]
    routed: bool
    patterns: dict[str, tuple[Entry, ...]]
    default: object
    pools: dict[str, Entry] | None
    admin: object

    @classmethod
    def of(cls, document: Document) -> "Outline":
        """Return the outline of a document."""
        root = _mapping(document.value)
        routes = _mapping(root.get("routes"))
        pools = root.get("pools")
        return cls(
            listeners=_entries(("listeners",), root.get("listeners"), listener_written_out),
            routed=isinstance(root.get("routes"), dict),
            patterns={
                key: _entries(("routes", key), readable(rules_written_out, value), rule_written_out)
                for key, value in routes.items()
                if key != DEFAULT_ROUTE
            },
            default=routes.get(DEFAULT_ROUTE),
            pools={
                name: Entry(("pools", name), _mapping(pool_written_out(pool)))
                for name, pool in pools.items()
            }
            if isinstance(pools, dict)
            else None,
            admin=root.get("admin"),
        )


def backends_of(pool: Entry) -> tuple[Entry, ...]:
    """Return the backends of a pool, as far as they are mappings or addresses."""
    return _entries(pool.at("backends"), pool.values.get("backends"), backend_written_out)


def readable(reader: Callable[[object], T], found: object) -> T | None:
    """Return what a reader makes of a value, or None if it takes it not."""
    try:
        return reader(found)
    except BadValueError:
        return None


def _entries(path: Path, found: object, write_out: Callable[[object], object]) -> tuple[Entry, ...]:
    """Return the mappings of a list, shorthands written out."""
    items = found if isinstance(found, tuple) else ()
    return tuple(
        Entry((*path, n), _mapping(readable(write_out, item))) for n, item in enumerate(items)
    )


def _mapping(found: object) -> dict[str, object]:
    return found if isinstance(found, dict) else {}
