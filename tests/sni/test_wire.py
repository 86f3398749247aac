"""The promises of sni.wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.errors import MalformedHello
from sni.wire import QUOTED_BYTES, Cursor, joined, numbers, quoted


def test_fields_come_in_order() -> None:
    """A cursor reads numbers, bytes and vectors one after the other, and then is at its end."""
    cursor = Cursor(b"\x01\x02\x03\x04ab\x00\x02cd", "example")
    assert cursor.number(1) == 1
    assert cursor.number(3) == 0x020304
    assert cursor.take(2) == b"ab"
    assert cursor.left == 4
    assert cursor.vector(2) == b"cd"
    cursor.finish()


@given(st.binary(max_size=8), st.integers(0, 12))
def test_nothing_is_read_past_the_end(data: bytes, size: int) -> None:
    """A read returns all that was asked for, or is refused and moves nothing."""
    cursor = Cursor(data, "example")
    if size <= len(data):
        assert cursor.take(size) == data[:size]
        return
    with pytest.raises(MalformedHello, match=f"example: {size} bytes wanted at offset 0"):
        cursor.take(size)
    assert cursor.left == len(data)


def test_a_vector_is_no_shorter_than_its_definition() -> None:
    """The least size of a vector's definition is held."""
    with pytest.raises(MalformedHello, match="at least 2 expected"):
        Cursor(b"\x01a", "example").vector(1, least=2)


def test_leftovers_are_refused() -> None:
    """A structure that should end does end."""
    with pytest.raises(MalformedHello, match="1 bytes after its end"):
        Cursor(b"a", "example").finish()


def test_numbers_are_whole() -> None:
    """A list of 16-bit numbers is read as such; half a number is refused."""
    assert numbers(b"\x00\x01\xff\xfe", "example") == (1, 0xFFFE)
    with pytest.raises(MalformedHello, match="3 bytes"):
        numbers(b"\x00\x01\xff", "example")


@given(st.lists(st.binary(max_size=5)))
def test_joined_chunks_are_the_bytes(chunks: list[bytes]) -> None:
    """Chunk after chunk gives what joining them all gives."""
    buffer: bytes | bytearray = b""
    for chunk in chunks:
        buffer = joined(buffer, chunk)
    assert bytes(buffer) == b"".join(chunks)


def test_the_first_chunk_is_not_copied() -> None:
    """A hello that arrives whole is kept as it came."""
    chunk = bytes(1000)
    assert joined(b"", chunk) is chunk


def test_later_chunks_copy_only_themselves() -> None:
    """From the second chunk on the buffer grows in place."""
    buffer = joined(b"one", b"two")
    assert joined(buffer, b"three") is buffer


@given(st.binary(max_size=100))
def test_quotes_are_short_and_plain(data: bytes) -> None:
    """What a log may show of a peer's bytes is ASCII, printable and bounded."""
    text = quoted(data).replace("…", "")
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 5 * QUOTED_BYTES


def test_a_quote_says_what_it_leaves_out() -> None:
    """A quote that is cut names the whole size."""
    assert quoted(b"ab") == "b'ab'"
    assert quoted(bytes(b"a" * 33)).endswith("… (33 bytes)")
