"""Addresses as the socket module writes them."""

import pytest

from l4proxy.dataplane.addresses import packed


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", bytes([192, 0, 2, 7])),
        ("0.0.0.0", bytes(4)),  # noqa: S104 - packed, not bound
        ("::1", bytes(15) + b"\x01"),
        ("::ffff:192.0.2.7", bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7])),
        ("fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\x01"),
    ],
)
def test_addresses_are_packed(host: str, expected: bytes) -> None:
    """4 bytes of IPv4, 16 of IPv6; the interface of a link-local address is no part of it."""
    assert packed(host) == expected


@pytest.mark.parametrize("host", ["", "example.com", "fe80::1::2", "256.0.0.1"])
def test_what_is_no_address_is_an_error(host: str) -> None:
    """Sockets never write such a thing, and it is no address here either."""
    with pytest.raises(OSError, match="illegal"):
        packed(host)
