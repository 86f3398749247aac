"""Tests of the client's network."""

from ipaddress import ip_address

import pytest

from routing import Client


def _client(text: str) -> Client:
    return Client(ip_address(text).packed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.254"),
        ("2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1"),
        ("192.0.2.1", "::ffff:192.0.2.9"),
    ],
)
def test_neighbours_share_a_network(one: str, other: str) -> None:
    """A /24 of IPv4, however it is written, and a /56 of IPv6 are one network."""
    assert _client(one).prefix == _client(other).prefix


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.3.1"),
        ("2001:db8:0:100::1", "2001:db8:0:200::1"),
        ("192.0.2.1", "c000:0200::"),
    ],
)
def test_strangers_do_not(one: str, other: str) -> None:
    """The next /24 or /56, and the same bytes in the other family, are other networks."""
    assert _client(one).prefix != _client(other).prefix


def test_a_peer_without_an_address_stands_for_itself() -> None:
    """What is no IP address is not cut."""
    assert Client(b"").prefix == b""
