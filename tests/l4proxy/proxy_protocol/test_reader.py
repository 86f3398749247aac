"""The promises of l4proxy.proxy_protocol.reader."""

import gc
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.proxy_protocol import encode_v1, encode_v2
from l4proxy.proxy_protocol.errors import NoProxyHeader, ProxyHeaderFault, TruncatedProxyHeader
from l4proxy.proxy_protocol.header import ProxyHeader
from l4proxy.proxy_protocol.reader import (
    MAX_HEADER_BYTES,
    HeaderEvent,
    HeaderReader,
    HeaderReceived,
    HeaderRejected,
)
from sni import NEED_DATA
from tests.l4proxy.proxy_protocol.headers import (
    BLOCK_4,
    BLOCK_6,
    CLIENT,
    EXTRAS,
    LINE_4,
    LINE_6,
    LOCAL,
    SERVER,
    SIGNATURE,
    TCP6,
    headers,
    tlv,
    v2,
    wired,
)
from tests.sni.hellos import Hello

HELLO = Hello().wire()
WIRES = [
    LINE_4,
    LINE_6,
    b"PROXY UNKNOWN\r\n",
    v2(),
    v2(BLOCK_6, TCP6),
    v2(BLOCK_4 + wired(EXTRAS)),
    v2(b"", 0, LOCAL),
    v2(BLOCK_4 + wired(EXTRAS), command=LOCAL),
    encode_v2(ProxyHeader(CLIENT, SERVER, EXTRAS), checksum=True),
]


def _events(*chunks: bytes) -> list[HeaderEvent]:
    reader = HeaderReader()
    events = []
    for chunk in chunks:
        reader.receive_data(chunk)
        events.append(reader.next_event())
    return events


def _read(*chunks: bytes) -> HeaderEvent:
    return _events(*chunks)[-1]


def _reason(event: HeaderEvent) -> ProxyHeaderFault | None:
    return event.error.reason if isinstance(event, HeaderRejected) else None


@pytest.mark.parametrize("wire", WIRES)
def test_every_prefix_wants_more_until_the_header_is_whole(wire: bytes) -> None:
    """Each prefix says NEED_DATA until the header is there; then all that follows is its rest."""
    for end in range(len(wire)):
        assert _read(wire[:end]) is NEED_DATA
    whole = _read(wire)
    assert isinstance(whole, HeaderReceived)
    assert whole.rest == b""
    for end in range(len(HELLO) + 1):
        fused = _read(wire + HELLO[:end])
        assert fused == HeaderReceived(whole.header, HELLO[:end])


@pytest.mark.parametrize("wire", WIRES)
def test_header_and_hello_split_at_each_byte(wire: bytes) -> None:
    """Wherever the reads are cut, the header ends where it ends, and not a byte is lost."""
    stream = wire + HELLO
    expected = _read(stream)
    assert isinstance(expected, HeaderReceived)
    assert expected.rest == HELLO
    for cut in range(len(stream) + 1):
        assert _read(stream[:cut], stream[cut:]) == expected
    single = _events(*[stream[at : at + 1] for at in range(len(stream))])
    assert single[: len(wire) - 1] == [NEED_DATA] * (len(wire) - 1)
    assert single[-1] == expected


@given(headers, st.lists(st.integers(0, 600), max_size=8).map(sorted))
def test_what_is_written_is_read_over_any_split(header: ProxyHeader, cuts: list[int]) -> None:
    """Each header comes back, with the hello behind it untouched."""
    stream = encode_v2(header) + HELLO
    ends = itertools.pairwise([0, *cuts, len(stream) + 600])
    assert _read(*[stream[start:end] for start, end in ends]) == HeaderReceived(header, HELLO)


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (b"\x16", "TLS without a PROXY header"),
        (HELLO, "TLS without a PROXY header"),
        (b"G", "no PROXY header"),
        (b"proxy ", "no PROXY header"),
        (b"PRI * HTTP/2.0\r\n", "no PROXY header"),
        (b"POST", "no PROXY header"),
        (b"PROXYTCP4", "no PROXY header"),
        (b"PROXY\r\n", "no PROXY header"),
        (b" PROXY TCP4", "no PROXY header"),
        (b"\r\n\r\nPROXY", "no PROXY header"),
        (SIGNATURE[:-1] + b"\r", "no PROXY header"),
        (b"\n", "no PROXY header"),
        (b"\0", "no PROXY header"),
    ],
)
def test_a_connection_without_a_header_is_refused(wire: bytes, found: str) -> None:
    """What does not begin as either version does has no header: nobody guesses."""
    event = _read(wire)
    assert _reason(event) is ProxyHeaderFault.MISSING
    assert isinstance(event, HeaderRejected)
    assert str(event.error).startswith(found)


def test_the_first_byte_may_be_enough() -> None:
    """Any first byte but those of the two versions is refused without a second."""
    wanted = {byte for byte in range(256) if _read(bytes([byte])) is NEED_DATA}
    assert wanted == set(b"P\r")


@pytest.mark.parametrize("wire", WIRES)
def test_each_signature_is_judged_byte_by_byte(wire: bytes) -> None:
    """Within the signature a changed byte is a missing header, found at that byte."""
    for at in range(6 if wire.startswith(b"P") else 12):
        changed = wire[:at] + bytes([wire[at] ^ 0x80])
        assert _read(wire[:at]) is NEED_DATA
        assert _reason(_read(changed)) is ProxyHeaderFault.MISSING


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (HELLO, ProxyHeaderFault.MISSING),
        (b"PROXY TCP5", ProxyHeaderFault.MALFORMED),
        (LINE_4.replace(b"\r", b""), ProxyHeaderFault.MALFORMED),
        (SIGNATURE + b"\x11", ProxyHeaderFault.MALFORMED),
        (v2(length=11), ProxyHeaderFault.MALFORMED),
        (v2(BLOCK_4 + tlv(2, b"", 1)), ProxyHeaderFault.MALFORMED),
        (v2(b"", length=0xFFFF), ProxyHeaderFault.TOO_LONG),
    ],
)
def test_a_refusal_is_final(wire: bytes, reason: ProxyHeaderFault) -> None:
    """A refusal is the same whole and byte by byte, and nothing that follows changes it."""
    reader = HeaderReader()
    reader.receive_data(wire)
    event = reader.next_event()
    assert _reason(event) is reason
    assert _reason(_read(*[wire[at : at + 1] for at in range(len(wire))])) is reason
    reader.receive_data(LINE_4)
    reader.receive_eof()
    assert reader.next_event() is event


def test_a_header_may_be_as_long_as_the_limit() -> None:
    """The limit is inclusive, for the header alone, and may be raised to all there can be."""
    longest = v2(BLOCK_4 + tlv(0xE0, bytes(MAX_HEADER_BYTES - 16 - 12 - 3)))
    assert len(longest) == MAX_HEADER_BYTES
    assert isinstance(_read(longest + bytes(100_000)), HeaderReceived)
    largest = v2(BLOCK_4 + tlv(0xE0, bytes(65_535 - 12 - 3)))
    assert _reason(_read(largest[:16])) is ProxyHeaderFault.TOO_LONG
    reader = HeaderReader(max_bytes=len(largest))
    reader.receive_data(largest)
    assert isinstance(reader.next_event(), HeaderReceived)


def test_a_header_that_never_comes_is_waited_for() -> None:
    """Silence is no answer: how long it may last is the listener's to say."""
    reader = HeaderReader()
    assert reader.next_event() is NEED_DATA
    reader.receive_data(b"")
    assert reader.next_event() is NEED_DATA


@pytest.mark.parametrize("wire", WIRES)
def test_an_end_before_the_header_is_whole_is_truncated(wire: bytes) -> None:
    """A peer that closes early is told from one that is still sending."""
    for end in (0, 1, len(wire) - 1):
        reader = HeaderReader()
        reader.receive_data(wire[:end])
        reader.receive_eof()
        event = reader.next_event()
        assert isinstance(event, HeaderRejected)
        assert isinstance(event.error, TruncatedProxyHeader)
        assert f"after {end} bytes" in str(event.error)


def test_an_end_behind_the_header_changes_nothing() -> None:
    """A peer may close its side once its header is whole."""
    reader = HeaderReader()
    reader.receive_data(LINE_4 + b"x")
    event = reader.next_event()
    reader.receive_eof()
    assert reader.next_event() == event


def test_a_view_may_be_used_again() -> None:
    """What is kept does not change when the caller's buffer does."""
    buffer = bytearray(v2() + HELLO)
    reader = HeaderReader()
    reader.receive_data(memoryview(buffer)[:20])
    reader.receive_data(memoryview(buffer)[20:])
    buffer[:] = bytes(len(buffer))
    assert reader.next_event() == HeaderReceived(ProxyHeader(CLIENT, SERVER), HELLO)


def test_a_refused_reader_is_freed_at_once() -> None:
    """A refusal leaves no cycle behind: a flood of bad headers needs no garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for wire in (
            HELLO,
            b"PROXY TCP5",
            b"PROXY TCP4 1 1 1 1\r\n",
            LINE_4.replace(b"443", b"99999"),
            v2(BLOCK_4 + b"\0"),
            v2(BLOCK_4 + tlv(5, bytes(129))),
        ):
            assert isinstance(_read(wire), HeaderRejected)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_message_tells_what_was_found_and_expected() -> None:
    """The operator of the proxy before us reads what it should have sent."""
    with pytest.raises(NoProxyHeader, match=r"b'GET /'.*b'PROXY ' or .*expected"):
        raise _error(_read(b"GET /"))


def _error(event: HeaderEvent) -> Exception:
    assert isinstance(event, HeaderRejected)
    return event.error


@given(st.sampled_from(WIRES), st.data())
def test_mutations_get_an_answer(seed: bytes, draw: st.DataObject) -> None:
    """With bytes changed, cut out or put in there is one of the three answers, over any split."""
    changed = bytearray(seed + HELLO)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(seed)))
        end = draw.draw(st.integers(at, at + 3))
        changed[at:end] = draw.draw(st.binary(max_size=3))
    data = bytes(changed)
    whole = _read(data)
    single = _read(*[data[at : at + 1] for at in range(len(data))])
    assert _reason(whole) is _reason(single)
    if isinstance(whole, HeaderReceived):
        assert single == whole
        assert data.endswith(whole.rest)
        assert encode_v1(whole.header)
        assert encode_v2(whole.header)
