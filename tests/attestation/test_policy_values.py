"""Values of a policy: in their shape, or refused with the path and what may stand there."""

from enum import StrEnum

import pytest

from attestation.errors import PolicyError
from attestation.policy_values import (
    MAX_SECONDS,
    choice,
    each,
    flag,
    hexadecimal,
    mapping,
    seconds,
    short,
    text,
)


class _Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("written", "found"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)]
)
def test_durations_carry_units(written: str, found: float) -> None:
    """Seconds, minutes, hours and days."""
    assert seconds(written, ("a",)) == found


@pytest.mark.parametrize(
    "written", [30, "30", "0m", "-1s", "1.5h", "m", "3651d", "9999999999s", "1w", "٣m", None, True]
)
def test_anything_else_is_no_duration(written: object) -> None:
    """A bare number has no unit, and ten years is a mistake."""
    with pytest.raises(PolicyError, match="a duration with its unit"):
        seconds(written, ("a",))


def test_ten_years_are_the_longest() -> None:
    """The bound itself belongs to it."""
    assert seconds("3650d", ()) == MAX_SECONDS


def test_a_key_that_is_not_known_comes_with_a_suggestion() -> None:
    """A slip of the pen is named."""
    with pytest.raises(PolicyError, match="did you mean binding") as caught:
        mapping({"bindng": 1}, ("top",), ("binding", "claims"))
    assert caught.value.path == ("top",)


@pytest.mark.parametrize("found", [None, [], "text", {1: 2}, {"a": None}])
def test_a_mapping_has_text_keys_and_values(found: object) -> None:
    """A key without a value is refused: it would switch a check off unseen."""
    with pytest.raises(PolicyError):
        mapping(found, ())


def test_the_other_readers_take_their_own_shape() -> None:
    """Each returns what stands there."""
    assert mapping({"a": 1}, ()) == {"a": 1}
    assert each([1], (), "a list") == [1]
    assert flag({"a": True}, "a")
    assert not flag({}, "a")
    assert text("a", ()) == "a"
    assert choice(_Colour, "red", ()) is _Colour.RED
    assert hexadecimal("00ff", 2, ()) == b"\x00\xff"


def test_the_other_readers_refuse_another_shape() -> None:
    """Each says what may stand there."""
    with pytest.raises(PolicyError, match="a list"):
        each({}, (), "a list")
    for value in (None, 1, "true"):
        with pytest.raises(PolicyError, match="true or false"):
            flag({"a": value}, "a")
    with pytest.raises(PolicyError, match="text"):
        text("", ())
    for word in ("rot", 5, None):
        with pytest.raises(PolicyError, match="one of red"):
            choice(_Colour, word, ())
    for digits in ("00", "zzzz", "00 f", " 0ff"):
        with pytest.raises(PolicyError, match="4 hexadecimal digits"):
            hexadecimal(digits, 2, ())


def test_what_was_found_is_shown_short() -> None:
    """An error message is one line."""
    assert short(None) == "nothing"
    assert len(short("a\n" * 100)) == 60
