"""The spare descriptor: given up for a moment, it lets a worker that has no other turn one away."""

import contextlib
import os


class Spare:
    """One descriptor that is open for no other reason than to be closed."""

    __slots__ = ("_descriptor",)

    def __init__(self) -> None:
        """Open it."""
        self._descriptor: int | None = None
        self.take_back()

    def give_up(self) -> None:
        """Close it, so that the next call that needs a descriptor gets this one."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def take_back(self) -> None:
        """Open it anew; should another process have been quicker, the next time."""
        if self._descriptor is None:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
