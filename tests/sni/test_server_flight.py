"""The promises of sni.server_flight."""

import gc
import itertools
import ssl
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni import NEED_DATA
from sni.server_flight import (
    MAX_FLIGHT_BYTES,
    MAX_FLIGHT_RECORDS,
    MAX_KEPT_BYTES,
    FlightFault,
    FlightRead,
    FlightUnread,
    ServerFlight,
    ServerFlightEvent,
)
from tests.e2e.certificates import Authority, Certificate
from tests.sni import answers
from tests.sni.answers import (
    ACCEPTED,
    CHANGE_CIPHER_SPEC,
    KEY_SHARE,
    TLS_1_3,
    Client,
    message,
    new_session_ticket,
    server_context,
    server_hello,
)
from tests.sni.hellos import record, records

TICKET = b"ticket" * 30
OWN = b"the server's own"
FULL_1_3 = record(server_hello(TLS_1_3, KEY_SHARE, session_id=bytes(32)), version=0x0303)
RESUMED_1_3 = record(server_hello(TLS_1_3, ACCEPTED))
RETRY = record(server_hello(TLS_1_3, random=answers.RETRY))
FULL = answers.full_1_2(OWN)
DARK = record(bytes(40)) + record(b"application data", 0x17)
CASES = [
    (FULL_1_3, FlightRead(0x0304, resumed=False)),
    (RESUMED_1_3, FlightRead(0x0304, resumed=True)),
    (RETRY + CHANGE_CIPHER_SPEC + RESUMED_1_3, FlightRead(0x0304, resumed=True)),
    (RETRY + FULL_1_3, FlightRead(0x0304, resumed=False)),
    (record(FULL) + CHANGE_CIPHER_SPEC, FlightRead(0x0303, False, OWN, TICKET)),
    (
        record(answers.full_1_2(ticket=None)) + CHANGE_CIPHER_SPEC,
        FlightRead(0x0303, resumed=False),
    ),
    (
        record(answers.full_1_2(OWN, b"")) + CHANGE_CIPHER_SPEC,
        FlightRead(0x0303, False, OWN),
    ),
    (
        record(server_hello(session_id=b"sent back", version=0x0301)) + CHANGE_CIPHER_SPEC,
        FlightRead(0x0301, resumed=True),
    ),
    (
        record(server_hello(session_id=b"sent back"))
        + record(new_session_ticket(TICKET))
        + CHANGE_CIPHER_SPEC,
        FlightRead(0x0303, True, None, TICKET),
    ),
    (record(b"\x01\x70", 0x15) + RESUMED_1_3, FlightRead(0x0304, resumed=True)),
]
FAULTS = [
    (b"HTTP/1.1 400 Bad Request\r\n", FlightFault.NOT_TLS),
    (record(b"data", 0x17), FlightFault.NOT_TLS),
    (record(server_hello(), version=0x0203), FlightFault.NOT_TLS),
    (record(b"\x02\x28", 0x15), FlightFault.REFUSED),
    (RETRY + record(b"\x02\x2f", 0x15), FlightFault.REFUSED),
    (record(b"\x02\x28\x00", 0x15), FlightFault.MALFORMED),
    (record(b""), FlightFault.MALFORMED),
    (b"\x16\x03\x03\x40\x01", FlightFault.MALFORMED),
    (record(message(2, bytes(20))), FlightFault.MALFORMED),
    (RETRY + record(message(2)), FlightFault.MALFORMED),
    (record(server_hello()) + record(message(4, bytes(5))), FlightFault.MALFORMED),
    (record(server_hello()) + record(message(4, bytes(7))), FlightFault.MALFORMED),
    (record(server_hello()) + record(b"\x01\x01", 0x14), FlightFault.MALFORMED),
    (CHANGE_CIPHER_SPEC, FlightFault.UNEXPECTED),
    (RETRY + RETRY, FlightFault.UNEXPECTED),
    (record(message(11)), FlightFault.UNEXPECTED),
    (record(message(4)), FlightFault.UNEXPECTED),
    (record(server_hello()) * 2, FlightFault.UNEXPECTED),
    (record(server_hello()) + record(b"data", 0x17), FlightFault.UNEXPECTED),
    (record(server_hello()[:9]) + CHANGE_CIPHER_SPEC, FlightFault.UNEXPECTED),
    (record(FULL[:400]) + record(b"\x01\x00", 0x15), FlightFault.UNEXPECTED),
    (record(b"\x02\x00\x40\x00"), FlightFault.TOO_LONG),
    (record(server_hello() + b"\x04\xff\xff\xff"), FlightFault.TOO_LONG),
]


def _read(*chunks: bytes) -> ServerFlightEvent:
    flight = ServerFlight()
    for chunk in chunks:
        flight.receive_data(chunk)
    return flight.next_event()


def _singly(wire: bytes) -> ServerFlightEvent:
    return _read(*[wire[at : at + 1] for at in range(len(wire))])


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_every_prefix_wants_more_until_all_is_shown(wire: bytes, expected: FlightRead) -> None:
    """Each prefix says NEED_DATA until the last byte in the clear; what follows changes nothing."""
    for end in range(len(wire)):
        assert _read(wire[:end]) is NEED_DATA
    assert _read(wire) == _singly(wire) == _read(wire + DARK) == _read(wire, DARK) == expected


@pytest.mark.parametrize(("wire", "fault"), FAULTS)
def test_what_cannot_be_read_says_why(wire: bytes, fault: FlightFault) -> None:
    """Bytes that are no such flight have one reason, however they are split, and for good."""
    assert _read(wire) == _singly(wire) == _read(wire, FULL_1_3) == FlightUnread(fault)


@given(
    st.sampled_from([FULL, server_hello() + new_session_ticket(TICKET), server_hello(TLS_1_3)]),
    st.lists(st.integers(1, 900), max_size=12),
    st.lists(st.integers(0, 3_000), max_size=12).map(sorted),
)
def test_no_split_changes_the_result(messages: bytes, sizes: list[int], cuts: list[int]) -> None:
    """Over any split into records and chunks the result is that of one record in one chunk."""
    wire = records(messages, sizes) + CHANGE_CIPHER_SPEC
    ends = [*cuts, max([len(wire), *cuts])]
    chunks = [wire[start:end] for start, end in itertools.pairwise([0, *ends])]
    expected = _read(record(messages) + CHANGE_CIPHER_SPEC)
    assert isinstance(expected, FlightRead)
    assert _read(*chunks) == _singly(wire) == expected


@pytest.mark.parametrize("wire", [RESUMED_1_3, record(FULL) + CHANGE_CIPHER_SPEC])
@pytest.mark.parametrize("size", [1, 7, 100, 4_000])
def test_a_shared_buffer_may_be_used_again(wire: bytes, size: int) -> None:
    """Nothing that is kept changes with the caller's buffer, and none of it is locked."""
    flight = ServerFlight()
    for at in range(0, len(wire), size):
        buffer = bytearray(wire[at : at + size])
        flight.receive_data(memoryview(buffer))
        buffer[:] = bytes(100)
    assert flight.next_event() == _read(wire)


def test_certificates_are_not_kept() -> None:
    """Of 100 kB of certificates, of which the last byte is missing, next to nothing is held."""
    wire = records(server_hello() + message(11, bytes(100_000)), [16_384] * 6)[:-1]
    ServerFlight().receive_data(wire)  # what coverage notes of a line's first run is not ours
    flight = ServerFlight()
    tracemalloc.start()
    flight.receive_data(wire)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert flight.next_event() is NEED_DATA
    assert held < 4_000


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES - 10, MAX_KEPT_BYTES - 9])
def test_the_limit_of_kept_bytes_is_exact(size: int) -> None:
    """A ticket is kept up to the limit, its headers included, and refused from its length."""
    wire = records(server_hello() + new_session_ticket(bytes(size)), [16_384])
    event = _read(wire + CHANGE_CIPHER_SPEC)
    if size + 10 <= MAX_KEPT_BYTES:
        assert event == FlightRead(0x0303, True, None, bytes(size))
    else:
        assert event == _read(wire[:60]) == FlightUnread(FlightFault.TOO_LONG)


def test_the_limit_of_records_is_exact() -> None:
    """So many records are read, and one more is refused from its header."""
    warning = record(b"\x01\x70", 0x15)
    assert isinstance(_read(warning * (MAX_FLIGHT_RECORDS - 1) + RESUMED_1_3), FlightRead)
    too_many = warning * MAX_FLIGHT_RECORDS + RESUMED_1_3[:5]
    assert _read(too_many) == _singly(too_many) == FlightUnread(FlightFault.TOO_LONG)
    assert _read(too_many[:-1]) is NEED_DATA


def test_the_limit_of_bytes_is_exact() -> None:
    """So many bytes are read, and one more is refused from the header that announces it."""
    hello = record(server_hello())
    for excess in (0, 1):
        left = MAX_FLIGHT_BYTES + excess - len(hello) - len(CHANGE_CIPHER_SPEC)
        body = left - 5 * (-(-left // (0x4000 + 5))) - 4
        wire = hello + records(message(11, bytes(body)), [0x4000] * 8) + CHANGE_CIPHER_SPEC
        assert len(wire) == MAX_FLIGHT_BYTES + excess
        event = _read(wire)
        assert isinstance(event, FlightUnread if excess else FlightRead)


def test_a_broken_flight_is_freed_at_once() -> None:
    """A fault leaves no cycle behind: a flood of them needs no garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for wire, _ in FAULTS:
            _read(wire)
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_get_an_answer(chunks: list[bytes]) -> None:
    """Arbitrary bytes are one of the three answers, the same whole and byte by byte."""
    for start in (b"", b"\x16\x03\x03\x40\x00\x02\x00\x00", record(server_hello())):
        wire = start + b"".join(chunks)
        assert _read(start, *chunks) == _read(wire) == _singly(wire)


# --- servers of Python's own TLS ------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of the server."""
    return Authority(tmp_path_factory.mktemp("authority")).issue(answers.NAME)


def _shown(said: answers.Answers) -> FlightRead:
    """What a flight says, which is the same in the server's own pieces, whole, and in bytes."""
    event = _read(*said.said)
    assert isinstance(event, FlightRead)
    assert _read(said.wire) == _singly(said.wire) == event
    return event


def test_a_ticket_of_tls_1_2_is_read_and_seen_to_be_accepted(certificate: Certificate) -> None:
    """The ticket of a full handshake is the one that the client has; then it is accepted."""
    client = Client(server_context(certificate, ssl.TLSVersion.TLSv1_2))
    first = _shown(client.visit())
    assert first.version == 0x0303
    assert not first.resumed
    assert first.ticket is not None
    assert len(first.ticket) > 100
    again = client.visit()
    assert again.resumed
    shown = _shown(again)
    assert (shown.version, shown.resumed, shown.session_id) == (0x0303, True, None)


def test_a_session_id_of_tls_1_2_is_read_and_seen_to_be_accepted(certificate: Certificate) -> None:
    """The server's own session id is the one that the client has; sent back, it is not new."""
    server = server_context(certificate, ssl.TLSVersion.TLSv1_2)
    server.options |= ssl.OP_NO_TICKET
    client = Client(server)
    first = client.visit()
    assert first.session is not None
    assert _shown(first) == FlightRead(0x0303, False, first.session.id)
    again = client.visit()
    assert again.resumed
    assert _shown(again) == FlightRead(0x0303, resumed=True)


@pytest.mark.parametrize("retry", [False, True])
def test_a_resumption_of_tls_1_3_is_seen_in_the_hello(
    certificate: Certificate, retry: bool
) -> None:
    """Whether TLS 1.3 resumed stands in the ServerHello, also behind a HelloRetryRequest."""
    server = server_context(certificate, ssl.TLSVersion.TLSv1_3)
    if retry:
        server.set_ecdh_curve("secp384r1")
    client = Client(server)
    for resumed in (False, True):
        said = client.visit()
        assert said.resumed is resumed
        assert _shown(said) == FlightRead(0x0304, resumed)
        assert (answers.RETRY in said.said[0]) is retry
        assert (_read(said.said[0]) is NEED_DATA) is retry
