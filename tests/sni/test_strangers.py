"""The promises of sni.strangers."""

import pytest

from sni.strangers import describe_stranger


@pytest.mark.parametrize(
    ("first", "word"),
    [
        (b"GET / HTTP/1.1\r\n", "HTTP without TLS"),
        (b"CONNECT app.example.com:443 HTTP/1.1\r\n", "an HTTP CONNECT request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 without TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "a PROXY header, version 1"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "a PROXY header, version 2"),
        (b"\x80\x2e\x01\x00\x02\x00\x15", "an SSLv2 hello"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "a TLS alert"),
        (bytes.fromhex("0000000804d2162f"), "PostgreSQL"),
    ],
)
def test_what_speaks_is_named(first: bytes, word: str) -> None:
    """The operator reads which protocol came to the TLS port."""
    assert f"not a TLS handshake but {word}" in describe_stranger(first)


@pytest.mark.parametrize(
    "first", [b"", b"\x80", b"\x80\x2e", b"\x80\x2e\x02", b"\x00\x00\x01", b"?"]
)
def test_the_unknown_is_only_quoted(first: bytes) -> None:
    """What is not recognised is shown, not guessed."""
    assert describe_stranger(first) == f"not a TLS handshake: {first!r}"
