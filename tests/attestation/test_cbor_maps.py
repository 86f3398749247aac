"""Maps with text keys: the limit first, then the shape."""

import pytest

from attestation.cbor_maps import load_map, text_keys, write_map
from attestation.errors import MalformedEvidence


def test_a_map_keeps_its_order() -> None:
    """What is read stands as it was written."""
    assert list(load_map(bytes.fromhex("a2616201616102"), 7, "it")) == ["b", "a"]


def test_a_map_is_written_with_the_shortest_key_first() -> None:
    """One content has one encoding."""
    assert (
        write_map({"bb": 1, "a": 2}) == write_map({"a": 2, "bb": 1}) == b"\xa2\x61a\x02\x62bb\x01"
    )


@pytest.mark.parametrize(
    ("data", "limit", "fault"),
    [
        (b"\xa0\xa0", 1, "2 bytes, expected at most 1"),
        (b"\xa0\xa0", 2, "1 bytes follow"),
        (b"\x80", 1, "found list, expected a map"),
        (b"\xa1\x01\x02", 3, "a key of int, expected text"),
        (b"\xbf\x61a\x02\xff", 9, "it: "),
    ],
)
def test_anything_else_is_refused(data: bytes, limit: int, fault: str) -> None:
    """An error says what was found."""
    with pytest.raises(MalformedEvidence, match=fault):
        load_map(data, limit, "it")


def test_a_value_that_is_no_map_is_refused() -> None:
    """A part of a document is asked in the same way."""
    with pytest.raises(MalformedEvidence, match="found bytes"):
        text_keys(b"", "it")
