"""Tests of the nouns."""

import pytest

from routing import Address, BadBackend
from tests.routing.cases import backend


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("10.0.0.1", 8443), "10.0.0.1:8443"),
        (Address("2001:db8::1", 443), "[2001:db8::1]:443"),
        (Address("/run/enclave.sock", 0), "unix:/run/enclave.sock"),
    ],
)
def test_an_address_reads_as_an_operator_writes_it(address: Address, text: str) -> None:
    """Host and port with a colon between, IPv6 in brackets; a path behind `unix:`."""
    assert str(address) == text


def test_a_weight_is_at_least_one() -> None:
    """A backend without a share is refused, with the name, the number and what was expected."""
    with pytest.raises(BadBackend, match=r"'b': weight 0, expected at least 1"):
        backend("b", weight=0)
