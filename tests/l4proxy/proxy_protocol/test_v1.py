"""The promises of l4proxy.proxy_protocol.v1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.proxy_protocol.errors import MalformedProxyHeader
from l4proxy.proxy_protocol.header import Endpoint, IpEndpoint, ProxyHeader, UnixEndpoint
from l4proxy.proxy_protocol.v1 import MAX_LINE_BYTES, encode_v1, read_v1
from tests.l4proxy.proxy_protocol.headers import (
    CLIENT,
    CLIENT_6,
    EXTRAS,
    LINE_4,
    LINE_6,
    SERVER,
    SERVER_6,
    ip_pairs,
)

UNKNOWN = b"PROXY UNKNOWN\r\n"
BROADCAST = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"
FULL = ":".join(["ffff"] * 8).encode()
FULL_6 = b"PROXY TCP6 %b %b 65535 65535\r\n" % (FULL, FULL)
WORST = b"PROXY UNKNOWN %b %b 65535 65535\r\n" % (FULL, FULL)
PADDING = MAX_LINE_BYTES - len(UNKNOWN) - 1

ACCEPTED = [
    (LINE_4, CLIENT, SERVER),
    (LINE_6, CLIENT_6, SERVER_6),
    (LINE_6.replace(b"db8", b"DB8"), CLIENT_6, SERVER_6),
    (BROADCAST, IpEndpoint(b"\xff" * 4, 65_535), IpEndpoint(b"\xff" * 4, 65_535)),
    (FULL_6, IpEndpoint(b"\xff" * 16, 65_535), IpEndpoint(b"\xff" * 16, 65_535)),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", IpEndpoint(bytes(4), 0), IpEndpoint(bytes(4), 0)),
    (b"PROXY TCP6 :: :: 0 0\r\n", IpEndpoint(bytes(16), 0), IpEndpoint(bytes(16), 0)),
    (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.9 56324 443\r\n",
        CLIENT.mapped,
        SERVER.mapped,
    ),
    (UNKNOWN, None, None),
    (WORST, None, None),
    (b"PROXY UNKNOWN \r\n", None, None),
    (b"PROXY UNKNOWN whatever \x00\xff\r\n", None, None),
    (b"PROXY UNKNOWN " + bytes(PADDING) + b"\r\n", None, None),
]


@pytest.mark.parametrize(("line", "source", "destination"), ACCEPTED)
def test_lines_that_are_in_order(
    line: bytes, source: Endpoint | None, destination: Endpoint | None
) -> None:
    """What the specification allows is read, up to CRLF and not a byte further."""
    for behind in (b"", b"\r\n", b"\x16\x03\x01", bytes(200)):
        assert read_v1(line + behind) == (
            ProxyHeader(source, destination, version=1),
            len(line),
        )


@pytest.mark.parametrize("line", [line for line, _, _ in ACCEPTED])
def test_every_prefix_wants_more(line: bytes) -> None:
    """Nothing is decided before CRLF is there."""
    assert all(read_v1(line[:end]) is None for end in range(len(line)))


def test_the_longest_lines() -> None:
    """The lengths that the specification counts, 107 bytes in the worst case."""
    assert [len(line) for line in (BROADCAST, FULL_6, WORST)] == [56, 104, 107]


# Up to the byte that is wrong; what follows it is not waited for.
@pytest.mark.parametrize(
    "line",
    [
        b"PROXY T\r",
        b"PROXY t",
        b"PROXY TCP5",
        b"PROXY UD",
        b"PROXY TCP4\t",
        b"PROXY TCP4\r",
        b"PROXY  ",
        b"PROXY UNKNOWNS",
        b"PROXY UNKNOWN\t",
        b"PROXY UNKNOWN\n",
        b"PROXY UNKNOWN\rx",
        b"PROXY UNKNOWN a\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\rG",
        b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\r",
        b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\0",
        b"PROXY TCP4 a",
        b"PROXY TCP4 :",
        b"PROXY TCP4 +",
        b"PROXY TCP6 2001:db8::1%",
        b"PROXY TCP6 g",
        b"PROXY TCP6 [",
        b"PROXY TCP4 \xd9",
        b"PROXY UNKNOWN " + bytes(PADDING + 1),
        b"PROXY TCP4 " + b"1" * 95,
    ],
)
def test_a_wrong_byte_is_refused_at_once(line: bytes) -> None:
    """The first byte that no line may have there ends it; the ones before it did not."""
    assert read_v1(line[:-1]) is None
    with pytest.raises(MalformedProxyHeader):
        read_v1(line)


@pytest.mark.parametrize(
    "rest",
    [
        b"TCP4 192.0.2.1 198.51.100.9 56324",
        b"TCP4 192.0.2.1 198.51.100.9 56324 443 ",
        b"TCP4 192.0.2.1 198.51.100.9 56324 443 1",
        b"TCP4 192.0.2.1  198.51.100.9 56324 443",
        b"TCP4  192.0.2.1 198.51.100.9 56324 443",
        b"TCP4 ",
        b"TCP4 192.0.2.1 198.51.100.9 056324 443",
        b"TCP4 192.0.2.1 198.51.100.9 56324 00",
        b"TCP4 192.0.2.1 198.51.100.9 65536 443",
        b"TCP4 192.0.2.1 198.51.100.9 56324 99999",
        b"TCP4 192.0.2.1 198.51.100.9 56324 100000",
        b"TCP4 192.0.2.1 198.51.100.9 5.6 443",
        b"TCP4 192.0.2.01 198.51.100.9 56324 443",
        b"TCP4 192.0.2 198.51.100.9 56324 443",
        b"TCP4 192.0.2.1.1 198.51.100.9 56324 443",
        b"TCP4 192.0.2.256 198.51.100.9 56324 443",
        b"TCP4 3221225985 198.51.100.9 56324 443",
        b"TCP6 192.0.2.1 198.51.100.9 56324 443",
        b"TCP6 2001:db8::1 198.51.100.9 56324 443",
        b"TCP6 2001:db8::1 2001:db8::1::9 56324 443",
        b"TCP6 2001:db8:::1 2001:db8::9 56324 443",
        b"TCP6 2001:db8::00001 2001:db8::9 56324 443",
        b"TCP6 1:2:3:4:5:6:7 2001:db8::9 56324 443",
        b"TCP6 1:2:3:4:5:6:7:8:9 2001:db8::9 56324 443",
        b"TCP6 ::ffff:192.0.2.01 ::ffff:198.51.100.9 56324 443",
        b"TCP6 2001:db8::1 2001:db8::9 56324 a",
    ],
)
def test_a_wrong_value_is_refused_at_the_end_of_the_line(rest: bytes) -> None:
    """Fields are read once the line is whole, and none is mended."""
    line = b"PROXY " + rest + b"\r\n"
    assert read_v1(line[:-1]) is None
    with pytest.raises(MalformedProxyHeader):
        read_v1(line)


def test_a_line_has_107_bytes_at_the_most() -> None:
    """107 bytes are read, 108 are not, wherever the CRLF of the longer one stands."""
    longest = b"PROXY UNKNOWN " + b"x" * PADDING + b"\r\n"
    assert len(longest) == MAX_LINE_BYTES
    assert read_v1(longest) is not None
    with pytest.raises(MalformedProxyHeader, match="more than 107 bytes"):
        read_v1(b"PROXY UNKNOWN " + b"x" * (PADDING + 1) + b"\r\n")


def test_what_a_message_quotes_is_bounded_and_escaped() -> None:
    """Of a peer's bytes a message shows few, and no control characters."""
    with pytest.raises(MalformedProxyHeader) as raised:
        read_v1(b"PROXY UNKNOWN " + b"\x1b[2J\x00\xff" * 40 + b"\n")
    message = str(raised.value)
    assert message.isprintable()
    assert len(message) < 250


@given(ip_pairs)
def test_what_is_written_is_read(pair: tuple[IpEndpoint, IpEndpoint]) -> None:
    """Each pair of addresses of one family comes back, in a line of allowed length."""
    line = encode_v1(ProxyHeader(*pair))
    assert read_v1(line) == (ProxyHeader(*pair, version=1), len(line))


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (ProxyHeader(CLIENT, SERVER), LINE_4),
        (ProxyHeader(CLIENT, SERVER, EXTRAS), LINE_4),
        (ProxyHeader(CLIENT_6, SERVER_6), LINE_6),
        (ProxyHeader(CLIENT.mapped, SERVER.mapped), LINE_4),
        (ProxyHeader(CLIENT.mapped, SERVER), LINE_4),
        (ProxyHeader(CLIENT, SERVER_6), UNKNOWN),
        (ProxyHeader(CLIENT_6, SERVER), UNKNOWN),
        (ProxyHeader(UnixEndpoint(b""), UnixEndpoint(b"/run/l4proxy")), UNKNOWN),
        (ProxyHeader(), UNKNOWN),
    ],
)
def test_the_line_of_a_header(header: ProxyHeader, line: bytes) -> None:
    """A line says the addresses if it can, and UNKNOWN if it cannot."""
    assert encode_v1(header) == line


@given(st.sampled_from([LINE_4, LINE_6, UNKNOWN, WORST]), st.data())
def test_a_changed_byte_is_refused_or_read(line: bytes, draw: st.DataObject) -> None:
    """No change to a line behind its first word makes anything but the three answers."""
    changed = bytearray(line)
    changed[draw.draw(st.integers(6, len(line) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = read_v1(changed)
    except MalformedProxyHeader:
        return
    assert found is None or changed[found[1] - 2 : found[1]] == b"\r\n"
