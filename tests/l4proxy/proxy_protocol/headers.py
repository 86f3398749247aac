"""PROXY headers made at test time: by hand from their fields, and at random."""

from hypothesis import strategies as st

from l4proxy.proxy_protocol import IpEndpoint, ProxyHeader, Tlv, TlvType, UnixEndpoint
from l4proxy.proxy_protocol.header import FRAMING

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UDP6, UNIX = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31

CLIENT = IpEndpoint(bytes([192, 0, 2, 1]), 56_324)
SERVER = IpEndpoint(bytes([198, 51, 100, 9]), 443)
CLIENT_6 = IpEndpoint(bytes.fromhex("20010db8000000000000000000000001"), 56_324)
SERVER_6 = IpEndpoint(bytes.fromhex("20010db8000100000000000000000009"), 443)
BLOCK_4 = bytes.fromhex("c0000201 c6336409 dc04 01bb")
BLOCK_6 = CLIENT_6.address + SERVER_6.address + BLOCK_4[8:]
BLOCK_UNIX = b"/run/client".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")
LINE_4 = b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n"
LINE_6 = b"PROXY TCP6 2001:db8::1 2001:db8:1::9 56324 443\r\n"

EXTRAS = (
    Tlv(TlvType.ALPN, b"h2"),
    Tlv(TlvType.AUTHORITY, b"app.example.com"),
    Tlv(TlvType.UNIQUE_ID, b"0123456789abcdef"),
)


def v2(
    block: bytes = BLOCK_4, family: int = TCP4, command: int = PROXY, length: int | None = None
) -> bytes:
    """A header of version 2, its length right unless another is given."""
    size = len(block) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + block


def tlv(kind: int, value: bytes, length: int | None = None) -> bytes:
    """An extra on the wire, its length right unless another is given."""
    size = len(value) if length is None else length
    return bytes([kind]) + size.to_bytes(2, "big") + value


def wired(tlvs: tuple[Tlv, ...]) -> bytes:
    """Extras on the wire."""
    return b"".join(tlv(kind, value) for kind, value in tlvs)


_ports = st.integers(0, 65_535)
_mapped = st.binary(min_size=4, max_size=4).map(lambda address: bytes(10) + b"\xff\xff" + address)
_ipv4 = st.builds(IpEndpoint, st.binary(min_size=4, max_size=4), _ports)
# Both ends mapped would come back as IPv4, which has its own test.
_ipv6 = st.builds(
    IpEndpoint,
    st.binary(min_size=16, max_size=16).filter(lambda address: any(address[:10])),
    _ports,
)
_mapped_ipv6 = st.builds(IpEndpoint, _mapped, _ports)
_unix = st.builds(
    UnixEndpoint, st.binary(max_size=108).filter(lambda path: not path.endswith(b"\0"))
)
ip_pairs = st.one_of(
    st.tuples(_ipv4, _ipv4), st.tuples(_ipv6, _ipv6), st.tuples(_mapped_ipv6, _ipv6)
)
pairs = st.one_of(ip_pairs, st.tuples(_unix, _unix))
_kinds = st.integers(0, 255).filter(lambda kind: kind not in FRAMING)
_once = {TlvType.ALPN, TlvType.AUTHORITY, TlvType.UNIQUE_ID}
extras = st.lists(
    st.builds(Tlv, _kinds, st.binary(max_size=128)),
    max_size=12,
    unique_by=lambda extra: extra.type if extra.type in _once else object(),
).map(tuple)
headers = st.one_of(
    st.just(ProxyHeader()),
    st.builds(lambda pair, tlvs: ProxyHeader(pair[0], pair[1], tlvs), pairs, extras),
)
