"""Durations and sizes as the configuration writes them: a whole number and its unit."""

import re
from typing import Final

# Milliseconds in each unit; the largest first, so that the shortest text is found first.
_DURATION_UNITS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
# Bytes in each unit. Binary units only: 64kB may mean 64,000 or 65,536, 64KiB cannot.
_SIZE_UNITS: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}

# Digits of a number: more than any range of ours needs, and no float loses a millisecond below it.
MAX_DIGITS: Final = 12

DURATION_FORM: Final = "a whole number and its unit ms, s, m or h"
SIZE_FORM: Final = "a whole number and its unit B, KiB, MiB or GiB"
DURATION_PATTERN: Final = rf"^[0-9]{{1,{MAX_DIGITS}}}(ms|s|m|h)$"
SIZE_PATTERN: Final = rf"^[0-9]{{1,{MAX_DIGITS}}}(B|KiB|MiB|GiB)$"

_QUANTITY = re.compile(rf"([0-9]{{1,{MAX_DIGITS}}})([A-Za-z]+)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds that a duration such as `150ms`, `3s`, `10m`, `1h` or `0s` names.

    Raises:
        ValueError: the text is no whole number followed by one of the units ms, s, m and h.
    """
    return _parse(text, _DURATION_UNITS) / 1000


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads back as the same milliseconds."""
    return _format(round(seconds * 1000), _DURATION_UNITS, zero="0s")


def parse_size(text: str) -> int:
    """Return the bytes that a size such as `64KiB` or `1MiB` names.

    Raises:
        ValueError: the text is no whole number followed by one of the units B, KiB, MiB and GiB.
    """
    return _parse(text, _SIZE_UNITS)


def format_size(size: int) -> str:
    """Return the shortest text that `parse_size` reads back as the same number of bytes."""
    return _format(size, _SIZE_UNITS, zero="0B")


def _parse(text: str, units: dict[str, int]) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"expected a whole number and one of the units {', '.join(units)}")
    return int(match[1]) * units[match[2]]


def _format(amount: int, units: dict[str, int], zero: str) -> str:
    for unit, worth in units.items():
        if amount and amount % worth == 0:
            return f"{amount // worth}{unit}"
    return zero
