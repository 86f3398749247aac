"""Tests of what a pool knows of external PSKs."""

from routing import ExternalPsks
from tests.routing.cases import name


def test_nothing_said_is_nothing_known() -> None:
    """Either a label or leave to hash makes it worth asking."""
    assert not ExternalPsks()
    assert ExternalPsks(hashed=True)
    assert ExternalPsks({b"meter": name("b0")})


def test_equal_labels_are_equal_values() -> None:
    """A pool that is built anew from the same configuration is the same."""
    one, other = (ExternalPsks({b"meter": name("b0")}) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != ExternalPsks({b"meter": name("b1")})
