"""Values of a policy: each read in its shape, or refused with its path and what may stand there."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeVar

from attestation.errors import PolicyError

Path = tuple[str | int, ...]
"""Keys and indices that lead to a value, from the top of the policy."""

MAX_SECONDS: Final = 10 * 365 * 86_400
"""Seconds of the longest duration: ten years, over which a unit was mistaken for another."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_SHORT = 60

_Word = TypeVar("_Word", bound=StrEnum)


def short(found: object) -> str:
    """Return a value as an error message shows it: on one line, at most 60 characters."""
    return "nothing" if found is None else repr(found)[:_SHORT]


def mapping(found: object, path: Path, known: Iterable[str] | None = None) -> dict[str, object]:
    """Return a mapping whose keys are text, and among `known` where that is given.

    A key without a value is refused: what is written and does nothing would fail open.

    Raises:
        PolicyError: It is no mapping, a key is none of them, or has no value.

    """
    if not isinstance(found, Mapping):
        raise PolicyError(path, short(found), "a mapping")
    names = None if known is None else tuple(known)
    for key in found:
        if not isinstance(key, str) or (names is not None and key not in names):
            raise PolicyError(path, f"the key {short(key)}", _suggest(str(key), names or ("text",)))
        if found[key] is None:
            raise PolicyError((*path, key), "nothing", "a value, or no such key")
    return dict(found)


def each(found: object, path: Path, expected: str) -> list[object]:
    """Return a list's items.

    Raises:
        PolicyError: It is no list.

    """
    if not isinstance(found, list):
        raise PolicyError(path, short(found), expected)
    return list(found)


def flag(policy: Mapping[str, object], key: str) -> bool:
    """Return whether a switch is on; one that is left out is off.

    Raises:
        PolicyError: It is neither true nor false.

    """
    value = policy.get(key, False)
    if not isinstance(value, bool):
        raise PolicyError((key,), short(value), "true or false")
    return value


def text(found: object, path: Path) -> str:
    """Return text that is not empty.

    Raises:
        PolicyError: It is none.

    """
    if not isinstance(found, str) or not found:
        raise PolicyError(path, short(found), "text")
    return found


def choice(words: type[_Word], found: object, path: Path) -> _Word:
    """Return the word among `words` that stands there.

    Raises:
        PolicyError: It is none of them.

    """
    for word in words:
        if word.value == found:
            return word
    raise PolicyError(path, short(found), _suggest(str(found), [word.value for word in words]))


def hexadecimal(found: object, size: int, path: Path) -> bytes:
    """Return `size` bytes from hexadecimal digits.

    Raises:
        PolicyError: They are no such digits.

    """
    digits = text(found, path)
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if len(value) != size or len(digits) != 2 * size:
        raise PolicyError(path, short(found), f"{2 * size} hexadecimal digits")
    return value


def seconds(found: object, path: Path) -> float:
    """Return a duration with its unit, as `90s`, `30m`, `12h` or `7d`, in seconds.

    Raises:
        PolicyError: It is none, has no unit, or is zero or over ten years.

    """
    match = _DURATION.fullmatch(found) if isinstance(found, str) else None
    duration = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < duration <= MAX_SECONDS:
        raise PolicyError(path, short(found), "a duration with its unit, as 90s, 30m, 12h or 7d")
    return float(duration)


def _suggest(found: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(found, names, n=1)
    return f"one of {', '.join(names)}" + (f"; did you mean {close[0]}?" if close else "")
