"""The promises of sni.pre_shared_key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.errors import MalformedHello
from sni.pre_shared_key import PskIdentity, read_pre_shared_key
from tests.sni.hellos import pre_shared_key, vector

BINDER = bytes(32)
ONE = vector(2, b"x") + bytes(4)


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=300), st.integers(0, 0xFFFF_FFFF)),
        min_size=1,
        max_size=5,
    )
)
def test_identities_are_read_in_order(offered: list[tuple[bytes, int]]) -> None:
    """Each identity comes out with its age, in the client's order."""
    body = pre_shared_key(*offered)[1]
    assert read_pre_shared_key(body) == tuple([PskIdentity(*each) for each in offered])


@pytest.mark.parametrize("size", [32, 48, 255])
def test_binders_of_every_hash_are_accepted(size: int) -> None:
    """A binder has 32 to 255 bytes."""
    body = pre_shared_key((b"x", 0), binders=[bytes(size)])[1]
    assert read_pre_shared_key(body) == (PskIdentity(b"x", 0),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(41),
        pre_shared_key(binders=[BINDER])[1],
        pre_shared_key((b"x", 0), binders=[])[1],
        pre_shared_key((b"x", 0), binders=[BINDER, BINDER])[1],
        pre_shared_key((b"x", 0), (b"y", 0), binders=[BINDER])[1],
        pre_shared_key((b"", 0), (b"y", 0))[1],
        pre_shared_key((b"x", 0), binders=[bytes(31)])[1] + b"\0",
        pre_shared_key((b"x", 0), binders=[bytes(31), BINDER])[1],
        vector(2, ONE[:-1]) + vector(2, vector(1, BINDER)) + b"\0",
        vector(2, ONE + ONE[:-1]) + vector(2, vector(1, BINDER)),
        vector(2, ONE + b"\0") + vector(2, vector(1, BINDER)),
        vector(2, ONE + b"\xff\xff") + vector(2, vector(1, BINDER)),
        vector(2, ONE) + vector(2, vector(1, BINDER)[:-1] + b"") + b"\0",
        vector(2, ONE) + vector(2, b"\x21" + BINDER),
        vector(2, ONE) + vector(2, vector(1, BINDER)) + b"\0",
        b"\xff\xff" + ONE + vector(2, vector(1, BINDER)),
        b"\x00\x29" + ONE + vector(2, vector(1, BINDER)),
    ],
)
def test_a_broken_list_is_refused(body: bytes) -> None:
    """A length that does not fit, an empty identity or a missing binder is malformed."""
    with pytest.raises(MalformedHello):
        read_pre_shared_key(body)


@given(st.binary(max_size=120))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Arbitrary bytes raise nothing but MalformedHello."""
    try:
        identities = read_pre_shared_key(body)
    except MalformedHello:
        return
    assert all(identity for identity, _ in identities)


@given(st.binary(max_size=8), st.integers(0, 40), st.integers(0, 255))
def test_a_changed_byte_never_reads_past_a_list(tail: bytes, at: int, value: int) -> None:
    """With any byte changed, what is read still lies within the list of identities."""
    body = bytearray(pre_shared_key((b"ticket" + tail, 7), (b"y", 8))[1])
    body[at] = value
    try:
        identities = read_pre_shared_key(bytes(body))
    except MalformedHello:
        return
    assert sum(len(name) + 6 for name, _ in identities) == int.from_bytes(body[:2], "big")
