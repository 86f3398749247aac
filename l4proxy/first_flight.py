"""What comes first where the listener demands it: a PROXY header, then the hello. No I/O."""

from typing import Literal, Protocol, TypeAlias

from l4proxy.proxy_protocol import HeaderReader, HeaderRejected, ProxyHeader
from sni import NEED_DATA, HelloLimits, HelloPeeker, HelloReceived, HelloRejected, NeedData

FlightEvent: TypeAlias = (
    Literal[NeedData.NEED_DATA] | HelloReceived | HelloRejected | HeaderRejected
)


class Flight(Protocol):
    """What reads the first bytes of a connection: a `sni.HelloPeeker` or a `FirstFlight`."""

    @property
    def received(self) -> bytes:
        """The client's own bytes so far, for the replay."""

    def receive_data(self, data: bytes, /) -> None:
        """Take what a read returned, in order."""

    def receive_eof(self) -> None:
        """Take the end of the client's bytes."""

    def next_event(self) -> FlightEvent:
        """Return what the bytes so far amount to."""


class FirstFlight:
    """Reads the first bytes of a connection that begins with a PROXY header.

    To its reader it is a `sni.HelloPeeker` with one more way to be rejected.

    Attributes:
        header: The PROXY header, once it is there.
    """

    __slots__ = ("_peeker", "_reader", "header")

    def __init__(self, limits: HelloLimits) -> None:
        """Start at the first byte.

        Args:
            limits: What the hello may take; the header has limits of its own.
        """
        self._peeker = HelloPeeker(limits)
        self._reader: HeaderReader | None = HeaderReader()
        self.header: ProxyHeader | None = None

    def receive_data(self, data: bytes) -> None:
        """Take what a read returned, in order."""
        reader = self._reader
        if reader is None:
            self._peeker.receive_data(data)
            return
        reader.receive_data(data)
        event = reader.next_event()
        if event is not NEED_DATA and not isinstance(event, HeaderRejected):
            self.header = event.header
            self._reader = None
            if event.rest:
                self._peeker.receive_data(event.rest)

    def receive_eof(self) -> None:
        """Take the end of the client's bytes."""
        if self._reader is None:
            self._peeker.receive_eof()
        else:
            self._reader.receive_eof()

    def next_event(self) -> FlightEvent:
        """Return what the bytes so far amount to."""
        if self._reader is None:
            return self._peeker.next_event()
        event = self._reader.next_event()
        return event if isinstance(event, HeaderRejected) else NEED_DATA

    @property
    def received(self) -> bytes:
        """The client's own bytes so far, for the replay: the PROXY header is not among them."""
        return self._peeker.received
