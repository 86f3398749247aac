"""CBOR in one form: what two readers could read in two ways is refused."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.cbor import MAX_DEPTH, load_cbor
from attestation.errors import MalformedEvidence

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(0, 99) | st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_the_shortest_form_is_read(item: object) -> None:
    """What is written in the shortest form is read as it was."""
    try:
        assert load_cbor(cbor2.dumps(item), "item") == item
    except MalformedEvidence as error:
        assert "depth" in str(error)  # noqa: PT017 - the one reason that is left


def test_a_map_of_indefinite_length_is_read_where_it_may_be() -> None:
    """Only the item itself may have no length, and only where the caller says so."""
    encoded = b"\xbf\x01\x80\x02\xa0\xff"
    assert load_cbor(encoded, "map", indefinite_map=True) == {1: [], 2: {}}
    with pytest.raises(MalformedEvidence, match="indefinite length"):
        load_cbor(encoded, "map")


@pytest.mark.parametrize(
    ("encoded", "found"),
    [
        ("", "premature end"),
        ("5803aabb", "premature end"),
        ("0000", "1 bytes follow"),
        ("1805", "shortest form"),
        ("1900ff", "shortest form"),
        ("580100", "shortest form"),
        ("f90000", "shortest form"),
        ("a201000100", "Duplicate"),
        ("a20100f500", "Duplicate"),
        ("a20100f93c0000", "Duplicate"),
        ("5f4100ff", "indefinite"),
        ("9f00ff", "indefinite"),
        ("bf0000ff", "indefinite"),
        ("c074323032362d30312d30315430303a30303a30305a", "tag 0"),
        ("c24101", "tag 2"),
        ("c4821b7fffffffffffffff01", "tag 4"),
        ("d8236128", "tag 35"),
        ("d81c80", "tag 28"),
        ("d9d9f700", "tag 55799"),
        ("d9012c00", "tag 300"),
        ("61ff", "text string"),
        ("ff", "break"),
        ("81" * (MAX_DEPTH + 1) + "00", "depth"),
        ("9bffffffffffffffff", "item: "),
        ("5bffffffffffffffff", "item: "),
    ],
)
def test_another_form_is_refused(encoded: str, found: str) -> None:
    """Each has a second reading, or costs more than it says."""
    with pytest.raises(MalformedEvidence, match=f"item: .*{found}|{found}"):
        load_cbor(bytes.fromhex(encoded), "item")


@pytest.mark.parametrize(
    "encoded", ["bf015f4100ffff", "bf019f00ffff", "bf01bf0000ffff", "bf0100010000ff", "bf0100ff00"]
)
def test_what_stands_in_a_map_has_one_form(encoded: str) -> None:
    """A map of indefinite length holds definite items, each key once, and nothing follows it."""
    with pytest.raises(MalformedEvidence):
        load_cbor(bytes.fromhex(encoded), "map", indefinite_map=True)


@given(st.binary(max_size=80), st.booleans())
def test_noise_is_read_or_refused(noise: bytes, indefinite: bool) -> None:
    """Whatever the bytes: an item, or MalformedEvidence."""
    try:
        load_cbor(noise, "noise", indefinite_map=indefinite)
    except MalformedEvidence:
        return
