"""What a server shows in the clear at the start of its answer: the proof that a session goes on.

The story in three lines::

    flight = ServerFlight()
    flight.receive_data(chunk)      # as it came from the backend, any split
    event = flight.next_event()     # NEED_DATA | FlightRead(version, …) | FlightUnread(fault)

In TLS 1.3 the ServerHello, which is in the first bytes, says it all; nothing behind it is looked
at. Before TLS 1.3 the server goes on in the clear until its ChangeCipherSpec::

    a full handshake   ServerHello, Certificate …, ServerHelloDone | NewSessionTicket, CCS
    a resumption       ServerHello, NewSessionTicket?, CCS

It only watches: the bytes reach the client whatever it makes of them, and nothing makes it raise.
A TLS 1.3 ServerHello in one chunk takes 4 µs (CPython 3.11; ``benchmarks/hello_parse.py``).
"""

import struct
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

from sni.client_hello import HANDSHAKE_HEADER
from sni.errors import MalformedHello
from sni.peek import NEED_DATA, NeedData
from sni.records import LARGEST_FRAGMENT, RECORD_HEADER
from sni.server_hello import SERVER_HELLO, TLS_1_3, ServerHello, parse_server_hello

# Bytes from the backend, record headers included, until the handshake goes dark. Certificates are
# most of them, 2 to 10 kB; OpenSSL's client takes 100 KiB of them.
MAX_FLIGHT_BYTES: Final = 131_072
# Records that they are cut into. Those of 512 bytes, the least that a client may ask for (RFC 6066
# §4), are half as many; a server that cuts finer makes us work for each.
MAX_FLIGHT_RECORDS: Final = 512
# Bytes of a message that is kept until it is whole: ServerHello or NewSessionTicket. Tickets have
# 160 to 1,000, more where they carry a client's certificates.
MAX_KEPT_BYTES: Final = 16_384

_CHANGE_CIPHER_SPEC: Final = 0x14  # ContentType
_ALERT: Final = 0x15
_HANDSHAKE: Final = 0x16
_ALERT_BYTES: Final = 2  # level, description
_WARNING: Final = 1  # AlertLevel
_LENGTHS: Final = {
    _CHANGE_CIPHER_SPEC: (1, 1),
    _ALERT: (_ALERT_BYTES, _ALERT_BYTES),
    _HANDSHAKE: (1, LARGEST_FRAGMENT),
}
_MAJOR_VERSION: Final = 3
_NEW_SESSION_TICKET: Final = 0x04  # HandshakeType
_KEPT: Final = frozenset({SERVER_HELLO, _NEW_SESSION_TICKET})
_TICKET_AT: Final = HANDSHAKE_HEADER + 4 + 2  # behind ticket_lifetime_hint and the length

# The first record's header without its minor version, and the header of the first message.
_FIRST_HEADERS: Final = RECORD_HEADER + HANDSHAKE_HEADER
_read_first_headers: Final = struct.Struct(">HxHI").unpack_from
_HANDSHAKE_RECORD: Final = _HANDSHAKE << 8 | _MAJOR_VERSION


class FlightFault(Enum):
    """Why a server's first bytes say nothing; the values are stable metric labels."""

    NOT_TLS = "not_tls"
    REFUSED = "refused"
    """A fatal alert before the handshake went dark."""
    MALFORMED = "malformed"
    UNEXPECTED = "unexpected"
    """A record or a message that has no place there."""
    TOO_LONG = "too_long"


class FlightRead(NamedTuple):
    """The server has shown all that it shows in the clear.

    Attributes:
        version: As negotiated, such as 0x0304.
        resumed: The server goes on with a session, or with an external key, that the client
            offered.
        session_id: The server's own name for a new session, TLS 1.2 and older; None: it gave none,
            or sent back what the client had said.
        ticket: The TLS 1.2 ticket it issued, 1 byte or more; None: none, or none in the clear.

    """

    version: int
    resumed: bool
    session_id: bytes | None = None
    ticket: bytes | None = None


class FlightUnread(NamedTuple):
    """The bytes can never become such a flight.

    Attributes:
        fault: Why.

    """

    fault: FlightFault


ServerFlightEvent: TypeAlias = Literal[NeedData.NEED_DATA] | FlightRead | FlightUnread


class ServerFlight:
    """Reads the first bytes of one backend until they have shown what they can.

    Once decided the answer stays the same, whatever arrives.
    """

    __slots__ = ("_event", "_reader")

    def __init__(self) -> None:
        self._event: ServerFlightEvent = NEED_DATA
        self._reader: _Reader | None = None

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what a read returned, in order; the buffer may be used again."""
        if self._event is not NEED_DATA:
            return
        try:
            if self._reader is None:
                hello = _hello_at_once(data)
                if hello is not None and _says_it_all(hello):
                    self._event = FlightRead(hello.version, hello.psk)
                    return
                self._reader = _Reader()
            self._event = self._reader.read(memoryview(data))
        except MalformedHello:
            self._event = FlightUnread(FlightFault.MALFORMED)
        if self._event is not NEED_DATA:
            self._reader = None

    def next_event(self) -> ServerFlightEvent:
        """Return what the bytes so far amount to; only NEED_DATA can change."""
        return self._event


def _hello_at_once(data: bytes | bytearray | memoryview) -> ServerHello | None:
    """Return the ServerHello that the first chunk holds whole, as it mostly does.

    None says nothing about the bytes: the reader takes every other split, and names the faults. It
    would find the same; it takes three times as long.
    """
    if len(data) < _FIRST_HEADERS:
        return None
    record, fragment, handshake = _read_first_headers(data)
    size = handshake & 0xFF_FFFF
    end = _FIRST_HEADERS + size
    if (
        record != _HANDSHAKE_RECORD
        or handshake >> 24 != SERVER_HELLO
        or not HANDSHAKE_HEADER + size <= fragment <= LARGEST_FRAGMENT
        or end > len(data)
    ):
        return None
    return parse_server_hello(bytes(data[RECORD_HEADER:end]))


def _says_it_all(hello: ServerHello) -> bool:
    return hello.version >= TLS_1_3 and not hello.retry


class _Reader:
    """Reads any split, and TLS before 1.3; keeps the messages that matter, walks over the others.

    Invariant: of a record or message only what is needed to go on is kept, at most MAX_KEPT_BYTES.
    """

    __slots__ = (
        "_content",
        "_full",
        "_head",
        "_hello",
        "_left",
        "_message",
        "_needed",
        "_records",
        "_retried",
        "_skip",
        "_ticket",
        "_wire_bytes",
    )

    def __init__(self) -> None:
        self._head = bytearray()  # of a record whose header is not whole
        self._content = _HANDSHAKE  # of the open record
        self._left = 0  # bytes of the open record not yet read
        self._records = 0
        self._wire_bytes = 0  # in the records begun so far
        self._message = bytearray()  # a handshake message, its header first
        self._needed = HANDSHAKE_HEADER  # bytes of it until it can be judged
        self._skip = 0  # bytes left of a message that is walked over
        self._hello: ServerHello | None = None
        self._retried = False
        self._full = False  # what only a full handshake has was there
        self._ticket: bytes | None = None

    def read(self, data: memoryview) -> ServerFlightEvent:
        """Take the next bytes.

        Raises:
            MalformedHello: The ServerHello is not well formed.

        """
        event: ServerFlightEvent = NEED_DATA
        while event is NEED_DATA and data:
            if self._left:
                fragment, data = data[: self._left], data[self._left :]
                self._left -= len(fragment)
                event = self._take(fragment)
            else:
                missing = RECORD_HEADER - len(self._head)
                self._head += data[:missing]
                data = data[missing:]
                if len(self._head) == RECORD_HEADER:
                    event = self._open_record()
        return event

    def _open_record(self) -> ServerFlightEvent:
        """Judge a record header: RFC 9846 §5.1."""
        content, major, _, high, low = self._head
        size = high << 8 | low
        self._head.clear()
        if content not in _LENGTHS or major != _MAJOR_VERSION:
            return FlightUnread(FlightFault.UNEXPECTED if self._records else FlightFault.NOT_TLS)
        if content != _HANDSHAKE and (self._message or self._skip):
            return FlightUnread(FlightFault.UNEXPECTED)  # nothing may stand inside a message
        least, most = _LENGTHS[content]
        if not least <= size <= most:
            return FlightUnread(FlightFault.MALFORMED)
        self._content = content
        self._left = size
        self._records += 1
        self._wire_bytes += RECORD_HEADER + size
        if self._records > MAX_FLIGHT_RECORDS or self._wire_bytes > MAX_FLIGHT_BYTES:
            return FlightUnread(FlightFault.TOO_LONG)
        return NEED_DATA

    def _take(self, fragment: memoryview) -> ServerFlightEvent:
        if self._content == _HANDSHAKE:
            return self._handshake(fragment)
        if self._content == _ALERT:
            # Some servers warn of an unknown name before their hello (RFC 6066 §3).
            first = len(fragment) + self._left == _ALERT_BYTES
            return (
                FlightUnread(FlightFault.REFUSED)
                if first and fragment[0] != _WARNING
                else NEED_DATA
            )
        return self._change_cipher_spec()

    def _change_cipher_spec(self) -> ServerFlightEvent:
        hello = self._hello
        if hello is None:  # behind a HelloRetryRequest it is a pretence (RFC 9846 §E.4)
            return NEED_DATA if self._retried else FlightUnread(FlightFault.UNEXPECTED)
        own = hello.session_id if self._full else b""
        return FlightRead(hello.version, not self._full, own or None, self._ticket)

    def _handshake(self, fragment: memoryview) -> ServerFlightEvent:
        """Take bytes of handshake messages, which may begin and end anywhere in a record."""
        event: ServerFlightEvent = NEED_DATA
        while event is NEED_DATA and fragment:
            if self._skip:
                step = min(self._skip, len(fragment))
                self._skip -= step
            else:
                step = self._needed - len(self._message)
                self._message += fragment[:step]
                if len(self._message) == self._needed:
                    event = self._judge()
            fragment = fragment[step:]
        return event

    def _judge(self) -> ServerFlightEvent:
        """Take a message's header, or a whole message that is kept."""
        kind = self._message[0]
        size = int.from_bytes(self._message[1:HANDSHAKE_HEADER], "big")
        if (kind == SERVER_HELLO) is not (self._hello is None):
            return FlightUnread(FlightFault.UNEXPECTED)
        if kind in _KEPT:
            if HANDSHAKE_HEADER + size > MAX_KEPT_BYTES:
                return FlightUnread(FlightFault.TOO_LONG)
            if self._needed < HANDSHAKE_HEADER + size:
                self._needed = HANDSHAKE_HEADER + size
                return NEED_DATA
        message = bytes(self._message)
        self._message.clear()
        self._needed = HANDSHAKE_HEADER
        if kind == SERVER_HELLO:
            return self._take_hello(parse_server_hello(message))
        if kind == _NEW_SESSION_TICKET:
            self._ticket = _read_ticket(message) or None
            return NEED_DATA
        self._full = True
        self._skip = size
        return NEED_DATA

    def _take_hello(self, hello: ServerHello) -> ServerFlightEvent:
        if _says_it_all(hello):
            return FlightRead(hello.version, hello.psk)
        if not hello.retry:
            self._hello = hello
        elif self._retried:
            return FlightUnread(FlightFault.UNEXPECTED)
        else:
            self._retried = True
        return NEED_DATA


def _read_ticket(message: bytes) -> bytes:
    """RFC 5077 §3.3: a lifetime hint of 4 bytes, then ``opaque ticket<0..2^16-1>``."""
    ticket = message[_TICKET_AT:]
    declared = message[_TICKET_AT - 2 : _TICKET_AT]
    if len(message) < _TICKET_AT or int.from_bytes(declared, "big") != len(ticket):
        raise MalformedHello(f"NewSessionTicket of {len(message)} bytes: its length differs")
    return ticket
