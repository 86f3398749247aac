"""How mistakes are told: one line each, with its place, in the order of the file."""

import pytest

from l4proxy.config.mistakes import (
    MAX_COMPARED,
    MAX_FOUND_LENGTH,
    MAX_REPORTED,
    BadValueError,
    ConfigError,
    Mistake,
    Nothing,
    describe,
    did_you_mean,
    expected,
    listed,
    not_yet,
)


def test_a_mistake_is_one_line_that_editors_can_jump_to() -> None:
    """File, line, column, path and message stand in this order."""
    mistake = Mistake("config.yaml", 12, 7, "pools.app.balance", "found 'x', expected y")
    assert str(mistake) == "config.yaml:12:7: pools.app.balance: found 'x', expected y"


def test_a_mistake_of_the_whole_file_has_no_line() -> None:
    """Without line and path only the file is named."""
    assert str(Mistake("config.yaml", 0, 0, "", "is too large")) == "config.yaml: is too large"


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    """They are sorted by line and column, and none stands twice."""
    third, first, second = (Mistake("c", *place, "", "m") for place in ((10, 1), (2, 3), (2, 11)))
    error = ConfigError([third, first, second, first])
    assert error.mistakes == (first, second, third)
    assert str(error) == "c:2:3: m\nc:2:11: m\nc:10:1: m"


def test_a_long_report_is_cut() -> None:
    """A file of another kind does not fill the screen; the error still carries everything."""
    error = ConfigError(Mistake("c", line, 1, "", "m") for line in range(1, MAX_REPORTED + 6))
    assert len(error.mistakes) == MAX_REPORTED + 5
    assert str(error).endswith("\nand 5 more")
    assert str(error).count("\n") == MAX_REPORTED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, "a mapping"),
        ((1,), "a list"),
        (Nothing.NOTHING, "nothing"),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        ("5", "'5'"),
        ("a\nb\x1b[0m", r"'a\nb\x1b[0m'"),
        ("é", r"'\xe9'"),
    ],
)
def test_values_are_named_on_one_line(value: object, text: str) -> None:
    """A message cannot break its line, colour a terminal or hide a character."""
    assert describe(value) == text


def test_long_values_are_cut() -> None:
    """A message shows the beginning of a long text."""
    assert len(describe("x" * 10_000)) == MAX_FOUND_LENGTH + 1


def test_an_error_says_found_and_expected() -> None:
    """Both halves stand in the message, and the hint behind them."""
    assert str(expected(3, "a word")) == "found 3, expected a word"
    assert str(expected(3, "a word", "hint")) == "found 3, expected a word (hint)"
    assert isinstance(not_yet("x", "y"), BadValueError)
    assert str(not_yet("x", "y")) == "x is not in this version: y"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("backend", "did you mean backends?"), ("zzz", ""), (5, ""), (Nothing.NOTHING, "")],
)
def test_the_nearest_word_is_offered(word: object, hint: str) -> None:
    """A near word is offered, a far one is not."""
    assert did_you_mean(word, ["backends", "balance"]) == hint


def test_a_word_is_not_compared_with_thousands() -> None:
    """A thousand misspelt pools beside a thousand pools do not take minutes."""
    assert not did_you_mean("pool1", [f"pool{n}" for n in range(MAX_COMPARED + 1)])


def test_words_are_listed_as_people_do() -> None:
    """Commas, and a word before the last."""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a or b"
    assert listed(["a", "b", "c"], last="and") == "a, b and c"
