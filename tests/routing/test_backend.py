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
        (Address("vsock:16", 8443), "vsock:16:8443"),
    ],
)
def test_an_address_reads_as_an_operator_writes_it(address: Address, text: str) -> None:
    """Host and port with a colon between, IPv6 in brackets; a path behind `unix:`."""
    assert str(address) == text


@pytest.mark.parametrize(
    ("host", "kinds"),
    [
        ("10.0.0.1", (True, False, False, False)),
        ("::1", (True, True, False, False)),
        ("/run/a:b", (False, False, True, False)),
        ("vsock:16", (False, False, False, True)),
    ],
)
def test_an_address_is_of_one_kind(host: str, kinds: tuple[bool, ...]) -> None:
    """IP of either version, a path, or vsock."""
    found = Address(host, 1)
    assert (found.is_ip, found.is_ipv6, found.is_path, found.is_vsock) == kinds


def test_a_vsock_is_somebodys() -> None:
    """Its context id is a number; nothing else has one."""
    assert Address("vsock:16", 8443).cid == 16
    with pytest.raises(ValueError, match="invalid literal"):
        _ = Address("10.0.0.1", 8443).cid


def test_a_weight_is_at_least_one() -> None:
    """A backend without a share is refused, with the name, the number and what was expected."""
    with pytest.raises(BadBackend, match=r"'b': weight 0, expected at least 1"):
        backend("b", weight=0)


@pytest.mark.parametrize("server_id", [-1, 1 << 32])
def test_a_server_id_fits_a_routable_name(server_id: int) -> None:
    """Four bytes hold it, or it is refused."""
    with pytest.raises(BadBackend, match=r"'b': server id -?\d+, expected 0 to 4294967295"):
        backend("b", server_id=server_id)
    assert backend("b", server_id=(1 << 32) - 1).server_id == (1 << 32) - 1
