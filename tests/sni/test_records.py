"""The promises of sni.records."""

import sys
import tracemalloc
from typing import SupportsIndex, TypeAlias, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.errors import (
    HelloError,
    HelloTooLong,
    MalformedHello,
    NotTls,
    TooManyRecords,
    UnexpectedMessage,
)
from sni.records import (
    DEFAULT_LIMITS,
    MAX_HELLO_BYTES,
    HelloLimits,
    HelloRecords,
    hello_in_one_record,
)
from tests.sni import hellos
from tests.sni.hellos import record, records

MESSAGE = hellos.resuming().message()
SIZES = st.lists(st.integers(1, 200), max_size=40)


def _read(wire: bytes, limits: HelloLimits = DEFAULT_LIMITS) -> bytes | None:
    return HelloRecords(limits).read(wire)


@pytest.mark.parametrize("sizes", [[], [1] * len(MESSAGE), [1, 1, 1, 1], [4], [3, 2], [64] * 9])
def test_every_prefix_wants_more_until_the_message_is_whole(sizes: list[int]) -> None:
    """Each prefix says "read more", the whole says the message, and so does whatever follows."""
    wire = records(MESSAGE, sizes)
    for end in range(len(wire)):
        assert _read(wire[:end]) is None
    for more in (b"", b"\x17\x03\x03\x00\x01x", b"noise"):
        assert _read(wire + more) == MESSAGE


@given(SIZES, st.lists(st.integers(1, 300), max_size=20))
def test_no_split_changes_the_message(sizes: list[int], reads: list[int]) -> None:
    """Cut into any records and read in any pieces, the message is the same."""
    wire = records(MESSAGE, sizes)
    reader = HelloRecords(DEFAULT_LIMITS)
    end, got = 0, None
    for size in [*reads, len(wire)]:
        assert got is None
        end = min(end + size, len(wire))
        got = reader.read(wire[:end])
        if end == len(wire):
            break
    assert got == MESSAGE
    assert reader.wire_bytes == len(wire)
    assert reader.records * 5 == len(wire) - len(MESSAGE)


@pytest.mark.parametrize(
    "first", [b"G", b"\x80", b"\x15", b"\x14", b"\x17", b"\x00", b"\x16\x02", b"\x16\xfe"]
)
def test_the_earliest_byte_decides_that_it_is_not_tls(first: bytes) -> None:
    """One byte of another content type, or a major version that is not 3, is enough."""
    with pytest.raises(NotTls):
        _read(first)
    assert _read(first[:-1]) is None


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 255])
def test_the_minor_version_does_not_count(minor: int) -> None:
    """Only the major version of a record is looked at."""
    assert _read(record(MESSAGE, version=0x0300 | minor)) == MESSAGE


@pytest.mark.parametrize("content_type", [0x14, 0x15, 0x17, 0x18, 0x00])
def test_other_records_inside_the_hello_are_unexpected(content_type: int) -> None:
    """Nothing may stand between the records of one message."""
    with pytest.raises(UnexpectedMessage):
        _read(record(MESSAGE[:50]) + bytes([content_type]))
    with pytest.raises(UnexpectedMessage):
        _read(record(MESSAGE[:50]) + record(MESSAGE[50:], content_type))
    with pytest.raises(UnexpectedMessage):
        _read(record(MESSAGE[:50]) + record(MESSAGE[50:], version=0x0201))


@pytest.mark.parametrize("kind", [0, 2, 11, 16, 255])
def test_another_message_shows_in_its_first_byte(kind: int) -> None:
    """What is no ClientHello is refused from the type of the message."""
    with pytest.raises(UnexpectedMessage):
        _read(record(bytes([kind]) + MESSAGE[1:])[:6])


@pytest.mark.parametrize(
    "wire",
    [
        record(b""),
        record(MESSAGE[:9]) + record(b""),
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\xff\xff",
        record(MESSAGE + b"\0"),
        record(MESSAGE + MESSAGE),
        record(MESSAGE[:9]) + record(MESSAGE[9:] + b"\0"),
        record(MESSAGE[:2]) + record(MESSAGE[2:] + b"\0"),
        record(b"\x01\0\0\0\0"),
    ],
)
def test_broken_records_are_malformed(wire: bytes) -> None:
    """An empty record, one over 2**14 bytes, or bytes behind the message are refused."""
    with pytest.raises(MalformedHello):
        _read(wire)
    assert hello_in_one_record(wire, DEFAULT_LIMITS) is None


def test_bytes_behind_the_message_show_before_the_message_is_whole() -> None:
    """A record that is longer than its hello is refused from the two headers."""
    with pytest.raises(MalformedHello, match="1 bytes behind"):
        _read(record(MESSAGE + b"\0")[:9])


def test_a_full_record_is_accepted() -> None:
    """A fragment of exactly 2**14 bytes is the largest."""
    message = hellos.hello((0x1234, bytes(0x4000 - 53))).message()
    assert len(message) == 0x4000
    assert _read(record(message)) == message
    assert hello_in_one_record(record(message), DEFAULT_LIMITS) == message


def test_the_limit_of_bytes_is_exact() -> None:
    """A hello of as many bytes as the limit is read, with one byte less allowed it is not."""
    for sizes in ([], [3], [100, 1]):
        wire = records(MESSAGE, sizes)
        assert _read(wire, HelloLimits(wire_bytes=len(wire))) == MESSAGE
        with pytest.raises(HelloTooLong):
            _read(wire, HelloLimits(wire_bytes=len(wire) - 1))


def test_the_limit_of_records_is_exact() -> None:
    """A hello of as many records as the limit is read, with one record less allowed it is not."""
    wire = records(MESSAGE, [10, 10, 10])
    assert _read(wire, HelloLimits(records=4)) == MESSAGE
    with pytest.raises(TooManyRecords):
        _read(wire, HelloLimits(records=3))


def test_too_many_records_show_at_the_end_of_the_last() -> None:
    """Not a byte beyond the allowed records is needed to refuse."""
    with pytest.raises(TooManyRecords):
        _read(records(MESSAGE, [10])[:15], HelloLimits(records=1))


@pytest.mark.parametrize("size", [0xFF_FFFF, MAX_HELLO_BYTES - 8])
def test_a_size_that_is_only_announced_costs_nothing(size: int) -> None:
    """Nine bytes that announce 16 MiB are refused with nothing set aside for them."""
    wire = b"\x16\x03\x01\x40\x00\x01" + size.to_bytes(3, "big")
    tracemalloc.start()
    with pytest.raises(HelloTooLong, match="announced"):
        _read(wire)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000


def test_the_largest_announcement_allowed_is_waited_for() -> None:
    """A hello that could still fit is no fault."""
    assert _read(b"\x16\x03\x01\x40\x00\x01" + (MAX_HELLO_BYTES - 9).to_bytes(3, "big")) is None


def test_no_more_than_the_limit_is_ever_needed() -> None:
    """With as many bytes as the limit there is always an answer."""
    limits = HelloLimits(wire_bytes=60)
    for sizes in ([1] * 99, [50, 1], [49, 9], [48, 9], [44, 9]):
        with pytest.raises(HelloTooLong):
            _read(records(hellos.Hello(session_id=bytes(5)).message() + b"\0", sizes)[:60], limits)


Slice: TypeAlias = "slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]"


class _CountingWire(bytearray):
    """Wire bytes that count how many of them are taken out."""

    taken = 0

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: "Slice", /) -> bytearray: ...
    def __getitem__(self, key: "SupportsIndex | Slice", /) -> int | bytearray:
        found = super().__getitem__(key)
        self.taken += 1 if isinstance(found, int) else len(found)
        return found


def test_work_is_linear_for_single_bytes() -> None:
    """Read byte by byte in records of one byte, each wire byte is touched a few times at most."""
    message = hellos.hello((0x1234, bytes(5000))).message()
    whole = records(message, [1] * len(message))
    wire, reader, calls = _CountingWire(), HelloRecords(DEFAULT_LIMITS), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    got = None
    for byte in whole:
        wire.append(byte)
        sys.setprofile(count)
        got = reader.read(wire)
        sys.setprofile(before)
    assert got == message
    assert wire.taken < 8 * len(whole)
    assert calls < 30 * len(whole)


def _outcome(wire: bytes, limits: HelloLimits) -> bytes | None:
    try:
        return HelloRecords(limits).read(wire)
    except HelloError:
        return None


WIRE = records(MESSAGE, [])


@given(
    st.integers(0, 12),
    st.integers(0, 255),
    st.integers(0, len(WIRE)),
    st.integers(0, 2 * len(WIRE)),
    st.integers(1, 2),
)
def test_the_short_way_agrees_with_the_long_one(
    at: int, value: int, end: int, wire_bytes: int, allowed: int
) -> None:
    """What the short way returns, the long way returns too; and of a sound hello it misses none."""
    wire = bytearray(WIRE)
    wire[at] = value
    limits = HelloLimits(wire_bytes, allowed)
    for read in (bytes(wire[:end]), bytes(wire), bytes(wire) + b"more", WIRE):
        short = hello_in_one_record(read, limits)
        assert short in (None, _outcome(read, limits))
        assert short is not None or _outcome(read, limits) is None


@given(st.binary(max_size=100), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    """Arbitrary bytes raise nothing but a HelloError, and only what was sent comes out."""
    for wire in (start + rest, record(start + b"\0") + rest, record(b"\x01\0\0\x20" + start)):
        got = _outcome(wire, DEFAULT_LIMITS)
        assert got is None or len(got) < len(wire)
