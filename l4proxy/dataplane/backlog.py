"""What slow readers make a worker keep: one budget for all relays of the process.

A direction keeps at most one read's worth; this bounds the sum. Whoever would go beyond it is not
refused: the one that has waited longest for its reader is ended instead, for it is the least likely
to be read at all, and the newest is most likely a reader that pauses for a moment.
"""

from typing import Protocol


class Kept(Protocol):
    """Something that keeps bytes for a slow reader."""

    __slots__ = ()

    def give_up(self) -> None:
        """End, and `release` what is kept: its reader has waited longest and room is needed."""


class Backlog:
    """The bytes kept by whom, the one that began first in front.

    Attributes:
        limit: Bytes that all together may keep.
        kept: Bytes that they keep.
    """

    __slots__ = ("_sizes", "kept", "limit")

    def __init__(self, limit: int) -> None:
        """Start with nothing kept."""
        self.limit = limit
        self.kept = 0
        self._sizes: dict[Kept, int] = {}

    def keep(self, owner: Kept, size: int) -> None:
        """Count `size` bytes as kept by `owner`, in place of what it kept before.

        May end owners, this one too if it has waited longest or is the only one.
        """
        self.kept += size - self._sizes.get(owner, 0)
        self._sizes[owner] = size
        while self.kept > self.limit:
            next(iter(self._sizes)).give_up()

    def release(self, owner: Kept) -> None:
        """Count nothing as kept by `owner` any more."""
        self.kept -= self._sizes.pop(owner, 0)
