"""Promises of `l4proxy.set_wire`: a set is read as it was written, or not at all."""

import contextlib
from dataclasses import replace
from types import MappingProxyType

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import Evidence, MalformedEvidence
from l4proxy.set_wire import MAX_MEMBERS, MAX_SET, Entry, encode_set, parse_set

ENTRY = Entry(
    b"k" * 32,
    b"e" * 32,
    1_700_000_000,
    1_700_000_600,
    Evidence("nitro", b"d", MappingProxyType({})),
)
MEMBER = cbor2.loads(encode_set([ENTRY]))["members"][0]


def written(*members: object, **others: object) -> bytes:
    """A set of these members, and what else stands beside them."""
    return cbor2.dumps({"members": list(members), **others}, canonical=True)


@pytest.mark.parametrize("count", [0, 1, MAX_MEMBERS])
def test_it_is_read_as_it_was_written(count: int) -> None:
    """Nothing is lost on the way."""
    entries = [replace(ENTRY, key=bytes([index]) * 32) for index in range(count)]
    assert parse_set(encode_set(entries)) == tuple(entries)


def test_what_has_no_room_is_left_out() -> None:
    """By number, and by size: what is written can always be read."""
    assert len(parse_set(encode_set([ENTRY] * (MAX_MEMBERS + 1)))) == MAX_MEMBERS
    big = replace(ENTRY, evidence=replace(ENTRY.evidence, manifest=bytes(60_000)))
    found = encode_set([big] * MAX_MEMBERS)
    assert MAX_SET - 70_000 < len(found) <= MAX_SET
    assert parse_set(found)[-1] == big


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps([]),
        cbor2.dumps({}),
        written(more=1),
        written(*[MEMBER] * (MAX_MEMBERS + 1)),
        written(1),
        written({**MEMBER, "more": 1}),
        *(written({key: value for key, value in MEMBER.items() if key != out}) for out in MEMBER),
        written({**MEMBER, "key": b"k" * 31}),
        written({**MEMBER, "exporter": b"e" * 33}),
        written({**MEMBER, "verified_at": -1}),
        written({**MEMBER, "until": 2**36}),
        written({**MEMBER, "until": True}),
        written({**MEMBER, "cmw": b"no evidence"}),
        bytes(MAX_SET + 1),
    ],
)
def test_what_is_no_set_is_refused(data: bytes) -> None:
    """Each field is there, of its type and within its bounds, and nothing else is."""
    with pytest.raises(MalformedEvidence):
        parse_set(data)


def test_every_prefix_is_refused() -> None:
    """Half a set is none."""
    whole = encode_set([ENTRY])
    for size in range(len(whole)):
        with pytest.raises(MalformedEvidence):
            parse_set(whole[:size])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_raise_nothing_else(data: bytes) -> None:
    """Whatever came, there is a set or a refusal."""
    with contextlib.suppress(MalformedEvidence):
        parse_set(data)
