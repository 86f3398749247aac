"""The publisher: snapshots are numbered, sent to every worker, and known to be obeyed."""

import asyncio
from collections.abc import Sequence
from typing import Final

from l4proxy.control.workers import Seat
from l4proxy.messages import Publish
from l4proxy.snapshot import Snapshot
from l4proxy.snapshot_cbor import encode_snapshot

SETTLE_SECONDS: Final = 2.0
"""How long whoever asks for a change waits for the workers to obey it: they take milliseconds."""


class Publisher:
    """Sends snapshots to the workers.

    Attributes:
        version: Of the newest; 0: there was none yet.
    """

    def __init__(self, seats: Sequence[Seat], changed: asyncio.Event, heard: asyncio.Event) -> None:
        """Send nothing yet.

        Args:
            seats: The workers' places.
            changed: Set while the newest snapshot may be out of date.
            heard: Set whenever a worker has acknowledged something, or is gone.
        """
        self.version = 0
        self._seats = seats
        self._changed = changed
        self._heard = heard

    def publish(self, snapshot: Snapshot) -> None:
        """Send a snapshot to all workers, present and future ones."""
        self.version += 1
        message = Publish(self.version, encode_snapshot(snapshot))
        for seat in self._seats:
            seat.publish(message)
        self._heard.set()

    def promised(self) -> int:
        """Return the version of the snapshot that will hold all that has been said so far."""
        return self.version + self._changed.is_set()

    def obeyed(self, version: int) -> bool:
        """Return whether every worker is there and decides by that version, or a newer one."""
        return self.version >= version and all(
            seat.ready.is_set() and seat.obeys(version) for seat in self._seats
        )

    async def settled(self, version: int) -> bool:
        """Wait until no client is served by an older version; return False if that takes long."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while self.version < version or not all(
                    seat.obeys(version) for seat in self._seats
                ):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True
