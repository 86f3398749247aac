"""Errors: whose fault it is, where, what was found, what was expected."""

import pytest

from attestation.errors import AttestationError, MalformedEvidence, PolicyError


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("accept", 0, "nitro"), "accept.0.nitro: found nothing, expected one"),
        ((), "the policy: found nothing, expected one"),
    ],
)
def test_a_mistake_in_a_policy_says_where_it_stands(path: tuple[str | int, ...], text: str) -> None:
    """Path, found and expected are there for programs, and the sentence for people."""
    error = PolicyError(path, "nothing", "one")
    assert str(error) == text
    assert (error.path, error.found, error.expected) == (path, "nothing", "one")


def test_there_is_one_root() -> None:
    """Whoever catches it catches all that this package raises; they are bad values all."""
    assert issubclass(PolicyError, AttestationError)
    assert issubclass(MalformedEvidence, AttestationError)
    assert issubclass(AttestationError, ValueError)
