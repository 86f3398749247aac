"""What one worker observes, on its way to another: gathered, bounded, sent in batches.

A worker handles hostile bytes, so nothing here grows because of what it says: what has no room is
left out and counted, and the token of a client that came to the other worker falls back to its
network.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from l4proxy.messages import MAX_OBSERVED, Observed
from routing import Observation

MAX_WAITING = 8_192
"""Observed tokens that wait for one worker: a quarter of what its table holds, eight messages."""


class Outbox:
    """What waits for one worker.

    Attributes:
        left_out: Tokens for which there was no room.
    """

    __slots__ = ("_rows", "left_out")

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: deque[Observation] = deque()
        self.left_out = 0

    def put(self, rows: Sequence[Observation], now: float) -> None:
        """Take what another worker has observed.

        Args:
            rows: The tokens; one from the future would never be forgotten, so it counts as new.
            now: Seconds, monotonic.
        """
        taken = rows[: MAX_WAITING - len(self._rows)]
        self._rows.extend(row._replace(seen_at=min(row.seen_at, now)) for row in taken)
        self.left_out += len(rows) - len(taken)

    def take(self) -> Observed | None:
        """Return the next message to the worker; None: there is nothing to say."""
        if not self._rows:
            return None
        rows = tuple(islice(self._rows, MAX_OBSERVED))
        for _ in rows:
            self._rows.popleft()
        return Observed(rows)
