"""Promises of `l4proxy.merkle`: each value leads to the root that was signed, nothing else does."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.merkle import MAX_STEPS, Step, grow, root_of

VALUES = [bytes([number]) * 32 for number in range(5)]


@given(st.lists(st.binary(min_size=16, max_size=64), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_every_value_leads_to_the_root(values: list[bytes]) -> None:
    """However many there are, the way of each ends at the one root."""
    root, ways = grow(values)
    assert [root_of(value, way) for value, way in zip(values, ways, strict=True)] == [
        root for _ in values
    ]


def test_a_lonely_value_is_its_own_root() -> None:
    """One question needs no tree: what is asked for is what is signed."""
    assert grow([b"n" * 32]) == (b"n" * 32, ((),))


def test_hashes_are_those_of_rfc_6962() -> None:
    """Leaves are hashed behind a zero, nodes behind a one."""
    leaves = [hashlib.sha256(b"\x00" + value).digest() for value in VALUES[:2]]
    root, ways = grow(VALUES[:2])
    assert root == hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    assert ways == ((Step(left=False, other=leaves[1]),), (Step(left=True, other=leaves[0]),))


def test_another_value_leads_elsewhere() -> None:
    """A way proves nothing of a value that was not among those asked for."""
    root, ways = grow(VALUES)
    assert all(root_of(b"x" * 32, way) != root for way in ways)
    assert root_of(root, ways[0]) != root


def test_a_node_is_no_value() -> None:
    """The hash of two leaves, given as a value, does not lead to the root."""
    root, ways = grow(VALUES[:4])
    left = hashlib.sha256(b"\x00" + VALUES[0]).digest()
    node = hashlib.sha256(b"\x01" + left + ways[0][0].other).digest()
    assert root_of(node, ways[0][1:]) != root


@pytest.mark.parametrize("count", [0, (1 << MAX_STEPS) + 1])
def test_too_few_and_too_many_are_refused(count: int) -> None:
    """There is a tree of one value to 65,536."""
    with pytest.raises(ValueError, match="expected 1 to 65536"):
        grow([b""] * count)
