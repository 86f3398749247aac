"""The peek: bytes of a client in; "read more", the hello, or a refusal out. No I/O here."""

from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

from sni.client_hello import ClientHello, parse_client_hello
from sni.errors import HelloError, TruncatedHello
from sni.records import (
    DEFAULT_LIMITS,
    RECORD_HEADER,
    HelloLimits,
    HelloRecords,
    hello_in_one_record,
)
from sni.wire import joined


class NeedData(Enum):
    """The type of NEED_DATA, so that a match over the events is checked for completeness."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA


class HelloReceived:
    """The hello is whole and well formed. A plain class, since one is made for each connection.

    Attributes:
        hello: What it says.
        wire_bytes: Bytes that it took on the wire, record headers included; what was received
            beyond them is 0-RTT data.
        records: Records that it was cut into.

    """

    __slots__ = ("hello", "records", "wire_bytes")

    def __init__(self, hello: ClientHello, wire_bytes: int, records: int) -> None:
        self.hello: Final = hello
        self.wire_bytes: Final = wire_bytes
        self.records: Final = records

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, HelloReceived)
            and self.hello == other.hello
            and self.wire_bytes == other.wire_bytes
            and self.records == other.records
        )

    def __hash__(self) -> int:
        return hash((self.hello, self.wire_bytes, self.records))


class HelloRejected(NamedTuple):
    """The bytes can never become a hello that may be routed.

    Attributes:
        error: Why; ``error.reason`` labels it, ``error.alert`` is what the client hears.

    """

    error: HelloError


PeekEvent: TypeAlias = Literal[NeedData.NEED_DATA] | HelloReceived | HelloRejected


class HelloPeeker:
    """Reads the first bytes of one connection until they are a hello, or never can be.

    Once decided the answer stays the same, whatever arrives. While undecided it holds at most
    ``limits.wire_bytes``.

    Args:
        limits: What the hello may take.

    """

    __slots__ = ("_event", "_limits", "_received", "_records")

    def __init__(self, limits: HelloLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._records: HelloRecords | None = None
        self._received: bytes | bytearray = b""
        self._event: PeekEvent = NEED_DATA

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what a read returned, in order; a view is copied, so its buffer may be used again.

        After a hello everything is kept for the replay; after a rejection nothing is.
        """
        chunk = data if isinstance(data, bytes) else bytes(data)
        if self._event is NEED_DATA:
            if not self._received:
                message = hello_in_one_record(chunk, self._limits)
                if message is not None:
                    event = self._event = _judge(message, RECORD_HEADER + len(message), 1)
                    whole = isinstance(event, HelloReceived)
                    self._received = chunk if whole else chunk[: self._limits.wire_bytes]
                    return
            room = self._limits.wire_bytes - len(self._received)
            self._received = joined(self._received, chunk[:room])
            self._event = self._read()
            if len(chunk) <= room:
                return
            chunk = chunk[room:]
        if isinstance(self._event, HelloReceived):
            self._received = joined(self._received, chunk)

    def receive_eof(self) -> None:
        """Take the end of the client's bytes."""
        if self._event is NEED_DATA:
            found = f"the client closed after {len(self._received)} bytes of an unfinished hello"
            self._event = HelloRejected(TruncatedHello(found))

    def next_event(self) -> PeekEvent:
        """Return what the bytes so far amount to; only NEED_DATA can change."""
        return self._event

    @property
    def received(self) -> bytes:
        """Everything received so far, unchanged, for the replay."""
        received = self._received
        return received if isinstance(received, bytes) else bytes(received)

    def _read(self) -> PeekEvent:
        records = self._records
        if records is None:
            records = self._records = HelloRecords(self._limits)
        try:
            message = records.read(self._received)
        except HelloError as error:
            return _rejected(error)
        if message is None:
            return NEED_DATA
        return _judge(message, records.wire_bytes, records.records)


def _judge(message: bytes, wire_bytes: int, records: int) -> HelloReceived | HelloRejected:
    try:
        return HelloReceived(parse_client_hello(message), wire_bytes, records)
    except HelloError as error:
        return _rejected(error)


def _rejected(error: HelloError) -> HelloRejected:
    # A traceback would hold a frame, which holds the peeker, which holds the error.
    return HelloRejected(error.with_traceback(None))
