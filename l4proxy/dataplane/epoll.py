"""epoll: the kernel's list of descriptors that are ready (epoll(7)), and links between two of them.

Python's own in the pure build. The compiled build has this module from `epoll.c` instead: the part
of it that the engine uses, at a third of the instructions for each event. What the engine is to use
besides has to be written there first.
"""

from select import epoll
from typing import Protocol

from l4proxy.dataplane.stream import Stream

__all__ = ["Link", "epoll", "link"]


class Link(Protocol):
    """A copy from one stream to another that a wait makes by itself, without coming back.

    While it is open, `poll` copies a chunk of whatever source has news of data and nothing else. It
    tells of the source as ever if more than that came up: a full read, an end, an error, or a
    sink that did not take all. Then the link is not open any more, and `copy` has that result.
    """

    @property
    def count(self) -> int:
        """Return how many bytes waits have copied."""

    @property
    def active_at(self) -> float:
        """Return the monotonic seconds of the last of them; 0: none yet."""

    def copy(self, buffer: memoryview, /) -> int:
        """Do as `stream.copy` does, from now on by hand; first tell what a wait has found.

        Args:
            buffer: At least `RELAY_BUFFER_BYTES`. What was not taken stands in it.

        Raises:
            NotTaken: As there.
            OSError: As there.
            ValueError: It is closed.
        """

    def open(self) -> None:
        """Let waits copy again: the source was read until it was empty, and the sink took all.

        Raises:
            ValueError: It is closed, or has a result that `copy` was not asked for.
        """

    def close(self) -> None:
        """Copy no more, and forget both streams; a second time does nothing."""


def link(_of: epoll, _source: Stream, _sink: Stream, /) -> Link | None:
    """Link a source, which the epoll watches edge by edge, with a sink: an open link, the only one.

    None: nobody can copy but Python. So it is in the pure build, and of streams that are not those
    of `stream.c`.
    """
    return None
