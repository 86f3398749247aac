"""Arguments are read once, and what cannot be read is said."""

import argparse
from collections.abc import Callable

import pytest

from l4proxy.cli.arguments import ip, protocol, server_name


def test_arguments_are_read() -> None:
    """Names are normalised, protocols are bytes, addresses keep one spelling."""
    assert server_name("APP.example.com.") == "app.example.com"
    assert protocol("http/1.1") == b"http/1.1"
    assert ip("2001:DB8::0:1") == "2001:db8::1"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (server_name, "10.0.0.1"),
        (server_name, "not a name"),
        (protocol, ""),
        (protocol, "h" * 256),
        (protocol, "hé"),
        (ip, "localhost"),
        (ip, "10.0.0.1:443"),
    ],
)
def test_unusable_arguments_are_named(read: Callable[[str], object], text: str) -> None:
    """The message holds what was found."""
    with pytest.raises(argparse.ArgumentTypeError, match=text[:5] or "''"):
        read(text)
