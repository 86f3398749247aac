"""Checks: three answers, and words for each."""

import pytest

from attestation.checks import Check, Outcome, failed, first_failure, not_made, passed, unreadable
from attestation.errors import MalformedEvidence


def test_each_answer_has_its_words() -> None:
    """Passed, failed with what was found and expected, and not made with the reason."""
    assert str(passed("form", "version 3")) == "form: passed"
    assert str(failed("form", "1 byte", "2")) == "form: found 1 byte, expected 2"
    assert str(not_made("tcb", "no collateral")) == "tcb: not made, no collateral"


def test_only_a_failure_is_a_failure() -> None:
    """One that was not made did not fail; nor did it pass."""
    first, second = failed("b", "x", "y"), failed("c", "x", "y")
    assert first_failure([passed("a"), not_made("n", ""), first, second]) == first
    assert first_failure([passed("a"), not_made("n", "")]) is None


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("3 bytes, expected 4", "3 bytes", "4"),
        ("a list, expected one, expected none", "a list, expected one", "none"),
        ("cut short", "cut short", "a report"),
    ],
)
def test_a_parsers_words_are_found_and_expected(text: str, found: str, expected: str) -> None:
    """What it expected stands behind its last comma; else what the caller wanted."""
    check = unreadable("form", MalformedEvidence(text), "a report")
    assert check == Check("form", Outcome.FAILED, found, expected)
