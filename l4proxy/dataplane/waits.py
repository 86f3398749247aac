"""Hellos that wait for a decision: for a ticket's name (`holds`) or for a backend (`parking`)."""

from typing import Protocol

from l4proxy.dataplane.holds import Held, Holds
from l4proxy.dataplane.parking import Parking, has_left
from l4proxy.dataplane.stream import Stream
from routing import Hold, HoldReason


class Waiting(Held, Protocol):
    """A connection that can be decided again."""

    @property
    def client(self) -> bytes:
        """The client's address, packed."""

    def find_backend(self, *, may_hold: bool, may_park: bool) -> None:
        """Decide."""

    def client_lost(self) -> None:
        """End after the client's end."""


class Waits:
    """Both kinds, for the connections of one worker."""

    __slots__ = ("holds", "parking")

    def __init__(self, holds: Holds, parking: Parking) -> None:
        """Take both."""
        self.holds = holds
        self.parking = parking

    def begin(self, connection: Waiting, asked: Hold) -> None:
        """Let a hello wait as its decision asks; without a place for it, decide with what is."""
        if asked.reason is HoldReason.NO_ELIGIBLE_BACKEND:
            if not self.parking.park(connection, asked, connection.client):
                connection.find_backend(may_hold=False, may_park=False)
        elif not self.holds.hold(connection, asked):
            connection.find_backend(may_hold=False, may_park=True)

    def over(self, connection: Waiting, sock: Stream) -> None:
        """Decide for a hello whose wait is over; nobody is asked for a client that has left."""
        self.holds.release(connection)
        try:
            if connection in self.parking and has_left(sock):
                connection.client_lost()
            else:
                connection.find_backend(may_hold=False, may_park=True)
        finally:
            self.parking.settle(connection)

    def cut(self) -> None:
        """End all that wait, for the process ends."""
        self.holds.cut()
        self.parking.cut()
