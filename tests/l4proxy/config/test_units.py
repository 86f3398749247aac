"""Durations and sizes: a whole number and its unit, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("150ms", 0.15), ("0s", 0.0), ("3s", 3.0), ("10m", 600.0), ("1h", 3600.0), ("007s", 7.0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """Each unit is read as seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("1MiB", 1 << 20)]
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    """Each unit is read as bytes."""
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "3", "s", "3 s", " 3s", "3s ", "3s\n", "-3s", "1.5s", "1h30m", "3S", "1d", "1e3s", "3KiB"],
)
def test_other_texts_are_no_duration(text: str) -> None:
    """What is not exactly a whole number and a unit is refused, and the units are named."""
    with pytest.raises(ValueError, match="h, m, s, ms"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["٣s", "3_0s", f"{'9' * 13}s"])
def test_numbers_are_plain_and_bounded(text: str) -> None:
    """Only the digits 0 to 9 count, and no more of them than a float can tell apart."""
    with pytest.raises(ValueError, match="a whole number"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "64", "64kB", "64KB", "64K", "64kib", "1.5MiB", "64Ki", "1s"])
def test_other_texts_are_no_size(text: str) -> None:
    """Decimal and half-said units are refused: 64kB has two meanings, 64KiB has one."""
    with pytest.raises(ValueError, match="GiB, MiB, KiB, B"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.15, "150ms"),
        (60.0, "1m"),
        (90.0, "90s"),
        (86_400.0, "24h"),
        (1.001, "1001ms"),
    ],
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    """The largest unit that leaves a whole number is used."""
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**11))
def test_every_duration_comes_back(milliseconds: int) -> None:
    """No millisecond is lost by writing and reading."""
    text = format_duration(milliseconds / 1000)
    assert re.search(DURATION_PATTERN, text)
    assert parse_duration(text) == milliseconds / 1000


@given(st.integers(min_value=0, max_value=10**11))
def test_every_size_comes_back(count: int) -> None:
    """No byte is lost by writing and reading."""
    text = format_size(count)
    assert re.search(SIZE_PATTERN, text)
    assert parse_size(text) == count


@given(st.text())
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    """Nothing but ValueError is raised, and what is read is no negative time."""
    try:
        assert parse_duration(text) >= 0
    except ValueError:
        assert not re.search(DURATION_PATTERN, text) or text.endswith("\n")
