"""Pauses between questions that failed: longer each time, and never two balancers' alike."""

import random
from typing import Final

from l4proxy.kubernetes.errors import ApiError

FIRST_SECONDS: Final = 0.5
"""The pause after a first failure."""

MOST_SECONDS: Final = 30.0
"""The longest pause: how late at most we learn that the API is back."""


class Backoff:
    """The pauses of one who keeps asking."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        """Begin with the first pause."""
        self._next = FIRST_SECONDS

    def succeeded(self) -> None:
        """Begin with the first pause again."""
        self._next = FIRST_SECONDS

    def pause(self, error: ApiError) -> float:
        """Return the seconds to wait after a failure, at least those that the server asks for."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next = min(2 * self._next, MOST_SECONDS)
        return max(pause, error.retry_after or 0.0)
