"""Single fields of JSON objects from the API. What is not there, or of another type, is None."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

Object = Mapping[str, object]
"""An object of the API, as JSON has it."""

MAX_VERSION_LENGTH: Final = 64
"""Characters of a resource version: etcd's have 19 digits at most, and we send them back."""


def parse(data: bytes | bytearray) -> Object | None:
    """Return the object that a document holds, None when it holds none."""
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def field(found: object, *path: str) -> object:
    """Return what stands under a path of keys."""
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def text(found: object, *path: str) -> str | None:
    """Return the text that stands under a path of keys."""
    value = field(found, *path)
    return value if isinstance(value, str) else None


def whole(found: object, *path: str) -> int | None:
    """Return the whole number that stands under a path of keys."""
    value = field(found, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def truth(found: object, *path: str) -> bool | None:
    """Return the truth value that stands under a path of keys."""
    value = field(found, *path)
    return value if isinstance(value, bool) else None


def items(found: object, *path: str) -> Iterator[object]:
    """Yield the items of the list that stands under a path of keys."""
    value = field(found, *path)
    if isinstance(value, list):
        yield from value


def version(found: object) -> str | None:
    """Return the resource version of an object or a list."""
    value = text(found, "metadata", "resourceVersion")
    if not value or len(value) > MAX_VERSION_LENGTH:
        return None
    return value
