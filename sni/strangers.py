"""Which protocol speaks where TLS should: a word for the operator, never a decision."""

from typing import Final

from sni.wire import quoted

# First bytes of what is often sent to a TLS port by mistake.
_PREFIXES: Final = (
    (b"SSH-", "SSH"),
    (b"PROXY ", "a PROXY header, version 1"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "a PROXY header, version 2"),
    (b"PRI * HTTP/2", "HTTP/2 without TLS"),
    (b"GET ", "HTTP without TLS"),
    (b"HEAD ", "HTTP without TLS"),
    (b"POST ", "HTTP without TLS"),
    (b"PUT ", "HTTP without TLS"),
    (b"OPTIONS ", "HTTP without TLS"),
    (b"CONNECT ", "an HTTP CONNECT request"),
    (b"EHLO ", "SMTP"),
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "PostgreSQL's SSLRequest"),
    (b"\x15\x03", "a TLS alert"),
    (b"\x17\x03", "TLS application data"),
)
_SSLV2_CLIENT_HELLO: Final = b"\x01"


def describe_stranger(first: bytes) -> str:
    """Say what the first bytes of a connection look like, which are no TLS handshake."""
    for prefix, protocol in _PREFIXES:
        if first.startswith(prefix):
            return f"not a TLS handshake but {protocol}: {quoted(first)}"
    # RFC 6101 appendix E: a two-byte length with the top bit set, then the message type.
    if first[2:3] == _SSLV2_CLIENT_HELLO and first[0] & 0x80:
        return f"not a TLS handshake but an SSLv2 hello: {quoted(first)}"
    return f"not a TLS handshake: {quoted(first)}"
