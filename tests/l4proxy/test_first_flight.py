"""PROXY header, then hello: at every split, from every prefix, and nothing of it is lost."""

import pytest

from l4proxy.first_flight import FirstFlight, Flight, FlightEvent
from l4proxy.proxy_protocol import HeaderRejected, ProxyHeaderFault
from sni import NEED_DATA, HelloFault, HelloLimits, HelloPeeker, HelloReceived, HelloRejected
from tests.l4proxy.proxy_protocol.headers import (
    CLIENT,
    LINE_4,
    LOCAL,
    SERVER,
    UNSPEC,
    v2,
)
from tests.sni.hellos import python_hello

HELLO = python_hello("app.example.com")
HEADERS = [LINE_4, v2(), v2(b"", UNSPEC, LOCAL)]


def read(*chunks: bytes) -> tuple[FirstFlight, list[FlightEvent]]:
    """A flight that got these, and its event after each."""
    flight = FirstFlight(HelloLimits())
    events = []
    for chunk in chunks:
        flight.receive_data(chunk)
        events.append(flight.next_event())
    return flight, events


@pytest.mark.parametrize("header", HEADERS)
def test_every_split_gives_header_and_hello(header: bytes) -> None:
    """Wherever two reads part the bytes, the header is known and the hello alone is replayed."""
    wire = header + HELLO
    for cut in range(1, len(wire)):
        flight, (first, last) = read(wire[:cut], wire[cut:])
        assert first is NEED_DATA
        assert isinstance(last, HelloReceived)
        assert flight.received == HELLO
        assert flight.header is not None


@pytest.mark.parametrize("header", HEADERS)
def test_bytes_one_by_one(header: bytes) -> None:
    """The header is known exactly from its last byte on, the hello from its own."""
    flight = FirstFlight(HelloLimits())
    for count, byte in enumerate(header + HELLO, 1):
        assert flight.next_event() is NEED_DATA
        flight.receive_data(bytes([byte]))
        assert (flight.header is not None) is (count >= len(header))
    assert isinstance(flight.next_event(), HelloReceived)
    assert flight.received == HELLO


@pytest.mark.parametrize("header", HEADERS)
def test_an_end_after_every_prefix(header: bytes) -> None:
    """An end within the header is the header's fault, one within the hello the hello's."""
    wire = header + HELLO
    for cut in range(len(wire)):
        flight, _ = read(wire[:cut])
        flight.receive_eof()
        event = flight.next_event()
        if cut < len(header):
            assert isinstance(event, HeaderRejected)
            assert event.error.reason is ProxyHeaderFault.TRUNCATED
        else:
            assert isinstance(event, HelloRejected)
            assert event.error.reason is HelloFault.TRUNCATED


def test_what_stands_behind_the_hello_is_kept() -> None:
    """Early data that came with all the rest is replayed with the hello."""
    flight, (event,) = read(v2() + HELLO + b"early data")
    assert isinstance(event, HelloReceived)
    assert flight.received == HELLO + b"early data"
    flight.receive_data(b", more of it")
    assert flight.received == HELLO + b"early data, more of it"


def test_the_header_says_who() -> None:
    """The header is the one of `proxy_protocol`."""
    flight, _ = read(LINE_4)
    assert flight.header is not None
    assert (flight.header.source, flight.header.destination) == (CLIENT, SERVER)


@pytest.mark.parametrize("wire", [HELLO, b"GET / HTTP/1.1\r\n\r\n", v2(length=5_000)])
def test_without_a_header_nothing_is_a_hello(wire: bytes) -> None:
    """A hello without its header is rejected, for good, and nothing is replayed."""
    flight, (event,) = read(wire)
    assert isinstance(event, HeaderRejected)
    flight.receive_data(v2() + HELLO)
    flight.receive_eof()
    assert flight.next_event() == event
    assert (flight.header, flight.received) == (None, b"")


def test_behind_the_header_the_hello_has_its_own_faults() -> None:
    """No TLS behind a good header is the hello's fault, and the limits are the hello's."""
    _, (event,) = read(v2() + b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(event, HelloRejected)
    assert event.error.reason is HelloFault.NOT_TLS
    flight = FirstFlight(HelloLimits(wire_bytes=100))
    flight.receive_data(v2() + HELLO)
    event = flight.next_event()
    assert isinstance(event, HelloRejected)
    assert event.error.reason is HelloFault.TOO_LONG


def test_a_peeker_and_a_first_flight_are_read_alike() -> None:
    """What reads the first bytes need not know which of the two it has."""
    flights: list[tuple[Flight, bytes]] = [
        (HelloPeeker(HelloLimits()), b""),
        (FirstFlight(HelloLimits()), LINE_4),
    ]
    for flight, header in flights:
        flight.receive_data(header + HELLO)
        assert isinstance(flight.next_event(), HelloReceived)
        assert flight.received == HELLO
