"""The promises of l4proxy.proxy_protocol.v2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.proxy_protocol.crc32c import crc32c
from l4proxy.proxy_protocol.errors import (
    BadProxyHeader,
    MalformedProxyHeader,
    ProxyHeaderTooLong,
)
from l4proxy.proxy_protocol.header import Endpoint, IpEndpoint, ProxyHeader, Tlv, UnixEndpoint
from l4proxy.proxy_protocol.v2 import MAX_TLVS, encode_v2, read_v2
from tests.l4proxy.proxy_protocol.headers import (
    BLOCK_4,
    BLOCK_6,
    BLOCK_UNIX,
    CLIENT,
    CLIENT_6,
    EXTRAS,
    LOCAL,
    PROXY,
    SERVER,
    SERVER_6,
    SIGNATURE,
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX,
    UNSPEC,
    headers,
    tlv,
    v2,
    wired,
)

ALL = 16 + 65_535
UNIX_ENDS = UnixEndpoint(b"/run/client"), UnixEndpoint(b"\0abstract")
KINDS = [
    (v2(BLOCK_4, TCP4), CLIENT, SERVER),
    (v2(BLOCK_6, TCP6), CLIENT_6, SERVER_6),
    (v2(BLOCK_UNIX, UNIX), *UNIX_ENDS),
]


def _read(wire: bytes, max_bytes: int = ALL) -> ProxyHeader:
    found = read_v2(wire, max_bytes)
    assert found is not None
    assert found[1] == len(wire)
    return found[0]


@pytest.mark.parametrize(("wire", "source", "destination"), KINDS)
def test_addresses_of_each_family(wire: bytes, source: Endpoint, destination: Endpoint) -> None:
    """Source before destination, addresses before ports, whatever follows."""
    assert _read(wire) == ProxyHeader(source, destination)
    assert read_v2(wire + b"\x16\x03\x01", ALL) == (ProxyHeader(source, destination), len(wire))
    assert encode_v2(ProxyHeader(source, destination)) == wire


@pytest.mark.parametrize("wire", [v2(BLOCK_4 + wired(EXTRAS)), *[wire for wire, _, _ in KINDS]])
def test_every_prefix_wants_more(wire: bytes) -> None:
    """Nothing is decided before the announced length is there."""
    assert all(read_v2(wire[:end], ALL) is None for end in range(len(wire)))


def test_extras_are_kept_in_order() -> None:
    """Known, unknown and repeated extras come as they stand; SSL is not looked into."""
    own = (*EXTRAS, Tlv(0x20, b"\xff broken"), Tlv(0xE0, b""), Tlv(0xE0, b""))
    assert _read(v2(BLOCK_4 + wired(own))).tlvs == own


def test_padding_is_skipped() -> None:
    """NOOP is no part of what a header says, however often it stands there."""
    padded = tlv(4, b"") + wired(EXTRAS[:1]) + tlv(4, bytes(9)) + wired(EXTRAS[1:]) + tlv(4, b"x")
    assert _read(v2(BLOCK_4 + padded)).tlvs == EXTRAS


@pytest.mark.parametrize("family", [UNSPEC, TCP4, UDP4, TCP6, UNIX, 0xFF])
@pytest.mark.parametrize(
    "block", [b"", BLOCK_4, BLOCK_4 + wired(EXTRAS), BLOCK_6, b"\x02", tlv(2, b"", 99)]
)
def test_local_skips_everything(family: int, block: bytes) -> None:
    """LOCAL is accepted with and without addresses and extras, broken ones included."""
    assert _read(v2(block, family, LOCAL)) == ProxyHeader()


@pytest.mark.parametrize("family", [UNSPEC, 0x01, 0x10, 0x20, 0x30])
@pytest.mark.parametrize("block", [b"", BLOCK_4, wired(EXTRAS), b"\x02"])
def test_an_unspecified_family_has_no_addresses(family: int, block: bytes) -> None:
    """What cannot be told apart is skipped, and the connection taken for what it is."""
    assert _read(v2(block, family)) == ProxyHeader()


# Up to the byte that is wrong; what follows it is not waited for.
@pytest.mark.parametrize(
    "head",
    [
        *[SIGNATURE + bytes([byte]) for byte in (0x00, 0x01, 0x11, 0x22, 0x2F, 0x31, 0xFF)],
        *[v2(family=family)[:14] for family in (UDP4, UDP6, 0x32, 0x02)],
        *[v2(family=family)[:14] for family in (0x13, 0x41, 0xF1, 0x1F, 0xFF)],
        v2(b"", TCP4),
        v2(length=11)[:16],
        v2(b"", TCP6, length=35),
        v2(b"", UNIX, length=215),
    ],
)
def test_a_wrong_first_part_is_refused_at_once(head: bytes) -> None:
    """Version, command, family, protocol and a length below the address block, as they arrive."""
    assert read_v2(head[:-1], ALL) is None
    with pytest.raises(MalformedProxyHeader):
        read_v2(head, ALL)
    with pytest.raises(MalformedProxyHeader):
        read_v2(head + bytes(300), ALL)


@pytest.mark.parametrize("command", [LOCAL, PROXY])
def test_a_length_over_the_limit_is_refused_before_it_is_read(command: int) -> None:
    """The limit is for the whole header; its first length byte may be enough to break it."""
    assert read_v2(v2(b"", command=command, length=4_080), 4_096) is None
    with pytest.raises(ProxyHeaderTooLong, match="4097 bytes announced, 4096 allowed"):
        read_v2(v2(b"", command=command, length=4_081), 4_096)
    with pytest.raises(ProxyHeaderTooLong):
        read_v2(v2(b"", command=command, length=0xFF00)[:15], 4_096)


@pytest.mark.parametrize(
    "extras",
    [
        b"\x02",
        b"\x02\x00",
        tlv(2, b"", 1),
        tlv(2, b"app.example.com", 16),
        wired(EXTRAS) + tlv(0xE0, b"", 0xFFFF),
        wired(EXTRAS) + b"\0",
        tlv(5, bytes(129)),
        wired(EXTRAS[:1]) * 2,
        wired(EXTRAS[1:2]) + wired(EXTRAS[1:2]),
        wired(EXTRAS[2:]) * 2,
        tlv(3, b""),
        tlv(3, bytes(3)),
        tlv(3, bytes(5)),
        tlv(3, bytes(4)),
    ],
)
def test_wrong_extras_are_refused(extras: bytes) -> None:
    """No extra reaches beyond the header, contradicts another or breaks its own definition."""
    wire = v2(BLOCK_4 + extras)
    assert read_v2(wire[:-1], ALL) is None
    for behind in (b"", bytes(70_000)):
        with pytest.raises(MalformedProxyHeader):
            read_v2(wire + behind, ALL)


def _with_checksum(before: bytes = b"", behind: bytes = b"") -> bytes:
    wire = v2(BLOCK_4 + before + tlv(3, bytes(4)) + behind)
    end = len(wire) - len(behind)
    return wire[: end - 4] + crc32c(wire).to_bytes(4, "big") + wire[end:]


@pytest.mark.parametrize(
    ("before", "behind"), [(b"", b""), (wired(EXTRAS), b""), (b"", wired(EXTRAS))]
)
def test_a_checksum_is_verified(before: bytes, behind: bytes) -> None:
    """Wherever it stands it covers the whole header; one bit changed in anything is found."""
    wire = _with_checksum(before, behind)
    assert _read(wire).tlvs == (EXTRAS if before or behind else ())
    for at in (*range(16, 28), len(wire) - 1):
        changed = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]
        with pytest.raises(MalformedProxyHeader, match="checksum"):
            read_v2(changed, ALL)


def test_two_checksums_are_refused() -> None:
    """Of two checksums each would have to cover the other."""
    wire = _with_checksum(behind=tlv(3, bytes(4)))
    with pytest.raises(MalformedProxyHeader, match="two checksums"):
        read_v2(wire, ALL)


def test_the_number_of_extras_is_bounded() -> None:
    """Padding counts too: each extra costs work."""
    most = tlv(0xE0, b"") * (MAX_TLVS - 1) + tlv(4, b"")
    assert len(_read(v2(BLOCK_4 + most)).tlvs) == MAX_TLVS - 1
    with pytest.raises(ProxyHeaderTooLong, match=f"more than {MAX_TLVS} TLVs"):
        read_v2(v2(BLOCK_4 + most + tlv(4, b"")), ALL)


@given(headers, st.booleans())
def test_what_is_written_is_read(header: ProxyHeader, checksum: bool) -> None:
    """Each header comes back, with a checksum and without."""
    assert _read(encode_v2(header, checksum=checksum)) == header


def test_a_checksum_is_written_last() -> None:
    """The checksum is the last extra, and the only one that is not the header's."""
    plain = encode_v2(ProxyHeader(CLIENT, SERVER, EXTRAS))
    wire = encode_v2(ProxyHeader(CLIENT, SERVER, EXTRAS), checksum=True)
    assert wire == _with_checksum(wired(EXTRAS))
    assert wire[16:-7] == plain[16:]


@pytest.mark.parametrize("checksum", [False, True])
def test_no_endpoints_are_local(checksum: bool) -> None:
    """What has no client is our own connection, with nothing behind the length."""
    wire = encode_v2(ProxyHeader(version=1), checksum=checksum)
    assert wire == SIGNATURE + bytes([LOCAL, UNSPEC, 0, 0])


@pytest.mark.parametrize(
    ("source", "destination", "written"),
    [
        (CLIENT.mapped, SERVER.mapped, (CLIENT, SERVER)),
        (CLIENT.mapped, SERVER, (CLIENT, SERVER)),
        (CLIENT, SERVER_6, (CLIENT.mapped, SERVER_6)),
        (CLIENT_6, SERVER, (CLIENT_6, SERVER.mapped)),
        (CLIENT.mapped, SERVER_6, (CLIENT.mapped, SERVER_6)),
    ],
)
def test_both_ends_are_of_one_family(
    source: IpEndpoint, destination: IpEndpoint, written: tuple[IpEndpoint, IpEndpoint]
) -> None:
    """IPv4 where both ends can be, and else both as IPv6: no client's address is lost."""
    assert _read(encode_v2(ProxyHeader(source, destination))) == ProxyHeader(*written)


def _of_block(size: int) -> ProxyHeader:
    return ProxyHeader(CLIENT, SERVER, (*EXTRAS, Tlv(0xE0, bytes(size - 12 - 42 - 3))))


def test_the_largest_header() -> None:
    """65,535 bytes behind the first 16 can be announced, written and read."""
    assert len(wired(EXTRAS)) == 42
    wire = encode_v2(_of_block(65_535))
    assert wire[14:16] == b"\xff\xff"
    assert len(wire) == ALL
    assert _read(wire) == _of_block(65_535)


@pytest.mark.parametrize(
    ("header", "checksum"),
    [
        (_of_block(65_536), False),
        (_of_block(65_529), True),
        (ProxyHeader(CLIENT, SERVER, (Tlv(0xE0, bytes(65_536)),)), False),
        (ProxyHeader(CLIENT, SERVER, (Tlv(0xE0, bytes(40_000)),) * 4), False),
    ],
)
def test_a_larger_header_is_an_error(header: ProxyHeader, checksum: bool) -> None:
    """A length is never cut: what it does not tell would be read as the client's bytes."""
    with pytest.raises(BadProxyHeader, match="65535 can be announced"):
        encode_v2(header, checksum=checksum)


def test_the_checksum_of_the_largest_header() -> None:
    """The checksum has its seven bytes within the length, not beyond it."""
    wire = encode_v2(_of_block(65_528), checksum=True)
    assert len(wire) == ALL
    assert _read(wire) == _of_block(65_528)
