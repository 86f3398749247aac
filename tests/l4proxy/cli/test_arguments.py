"""Arguments are read once, and what cannot be read is said."""

import argparse
from collections.abc import Callable

import pytest

from l4proxy.cli.arguments import (
    Place,
    hexadecimal,
    ip,
    moment,
    place,
    protocol,
    seconds,
    server_name,
)


def test_arguments_are_read() -> None:
    """Names are normalised, protocols are bytes, addresses keep one spelling."""
    assert server_name("APP.example.com.") == "app.example.com"
    assert protocol("http/1.1") == b"http/1.1"
    assert ip("2001:DB8::0:1") == "2001:db8::1"
    assert hexadecimal("00fF") == b"\x00\xff"
    assert seconds("2.5") == 2.5


@pytest.mark.parametrize(
    "text",
    ["2026-03-14T15:09:26Z", "2026-03-14T16:09:26+01:00", "2026-03-14 15:09:26", "1773500966"],
)
def test_a_time_is_read(text: str) -> None:
    """In UTC unless it names a zone, or as seconds since 1970."""
    assert moment(text) == 1_773_500_966


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1:443", Place("10.0.0.1", 443)),
        ("app.example.com:8443", Place("app.example.com", 8443)),
        ("[::1]:1", Place("::1", 1)),
        ("unix:/run/app.sock", Place("/run/app.sock", 0)),
    ],
)
def test_a_place_is_read_and_written(text: str, found: Place) -> None:
    """A host and a port, or a path; and it is shown as it was typed."""
    assert place(text) == found
    assert str(found) == text


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
        (hexadecimal, ""),
        (hexadecimal, "0"),
        (hexadecimal, "00 f"),
        (hexadecimal, "zz"),
        (moment, "yesterday"),
        (moment, "2026-13-01"),
        (moment, "-1"),
        (seconds, "0"),
        (seconds, "3601"),
        (seconds, "inf"),
        (place, "app.example.com"),
        (place, "app.example.com:0"),
        (place, "app.example.com:65536"),
        (place, "unix:run"),
    ],
)
def test_unusable_arguments_are_named(read: Callable[[str], object], text: str) -> None:
    """The message holds what was found."""
    with pytest.raises(argparse.ArgumentTypeError, match=text[:5] or "''"):
        read(text)
