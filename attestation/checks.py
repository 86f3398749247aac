"""Checks: each question that was put to evidence, and its answer.

Evidence is accepted only when every check that the policy asks for was made and passed. A check
that was not made is never one that passed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from attestation.errors import MalformedEvidence


class Outcome(StrEnum):
    """How a check came out."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MADE = "not_made"


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    Attributes:
        name: Which question: a stable label of lower-case words, as `certificate_expired`'s
            question is `certificate_validity`.
        outcome: The answer.
        found: What the evidence says; short, printable, no secret.
        expected: What was asked for, where the answer is not `passed`; or why it was not made.

    """

    name: str
    outcome: Outcome
    found: str = ""
    expected: str = ""

    def __str__(self) -> str:
        if self.outcome is Outcome.PASSED:
            return f"{self.name}: passed"
        if self.outcome is Outcome.NOT_MADE:
            return f"{self.name}: not made, {self.expected}"
        return f"{self.name}: found {self.found}, expected {self.expected}"


def passed(name: str, found: str = "") -> Check:
    """Return a check that passed."""
    return Check(name, Outcome.PASSED, found)


def failed(name: str, found: str, expected: str) -> Check:
    """Return a check that failed."""
    return Check(name, Outcome.FAILED, found, expected)


def not_made(name: str, why: str) -> Check:
    """Return a check that could not be made."""
    return Check(name, Outcome.NOT_MADE, expected=why)


def unreadable(name: str, error: MalformedEvidence, expected: str) -> Check:
    """Return a check that failed because bytes are not what they should be.

    Args:
        name: Which question.
        error: What its parser says; what it expected stands behind its last ", expected ".
        expected: What was expected, where the parser does not say it.

    """
    found, said, wanted = str(error).rpartition(", expected ")
    return failed(name, found, wanted) if said else failed(name, wanted, expected)


def first_failure(checks: Iterable[Check]) -> Check | None:
    """Return the first check that failed, else None; one that was not made did not fail."""
    return next((check for check in checks if check.outcome is Outcome.FAILED), None)
