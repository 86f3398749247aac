"""One quote for many questions: a hash tree whose root is signed, and the way to it from each.

Hashed as RFC 6962 §2.1 does it: leaves and nodes under different prefixes, so that no node passes
for a leaf. A value that is asked alone is its own root and has no way to go.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

HASH: Final = 32
"""Bytes of a root, and of each step: SHA-256."""

MAX_STEPS: Final = 16
"""Steps from a value to its root: 65,536 questions under one quote."""

_LEAF, _NODE = b"\x00", b"\x01"


class Step(NamedTuple):
    """One step up.

    Attributes:
        left: Whether the other half stands to the left.
        other: The other half: 32 bytes.

    """

    left: bool
    other: bytes


Way = tuple[Step, ...]
"""The steps from a value up to the root."""


def root_of(value: bytes, way: Way) -> bytes:
    """Return the root that a value leads to: what must have been signed."""
    if not way:
        return value
    found = _hash(_LEAF, value)
    for step in way:
        found = _hash(_NODE, step.other + found if step.left else found + step.other)
    return found


def grow(values: Sequence[bytes]) -> tuple[bytes, tuple[Way, ...]]:
    """Return the root over some values, and the way of each, in their order.

    Raises:
        ValueError: There is no value, or there are more than 65,536.

    """
    if not 0 < len(values) <= 1 << MAX_STEPS:
        raise ValueError(f"{len(values)} values, expected 1 to {1 << MAX_STEPS}")
    if len(values) == 1:
        return values[0], ((),)
    ways: list[list[Step]] = [[] for _ in values]
    level = [(_hash(_LEAF, value), [place]) for place, value in enumerate(values)]
    while len(level) > 1:
        level = [_join(level[at : at + 2], ways) for at in range(0, len(level), 2)]
    return level[0][0], tuple(map(tuple, ways))


def _join(halves: list[tuple[bytes, list[int]]], ways: list[list[Step]]) -> tuple[bytes, list[int]]:
    """Return two nodes as one, and tell the values below them; a lonely one stays as it is."""
    if len(halves) == 1:
        return halves[0]
    (left, below_left), (right, below_right) = halves
    for place in below_left:
        ways[place].append(Step(left=False, other=right))
    for place in below_right:
        ways[place].append(Step(left=True, other=left))
    return _hash(_NODE, left + right), below_left + below_right


def _hash(prefix: bytes, data: bytes) -> bytes:
    return hashlib.sha256(prefix + data).digest()
