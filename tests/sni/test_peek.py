"""The promises of sni.peek."""

import gc
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.alerts import AlertDescription
from sni.client_hello import parse_client_hello
from sni.errors import HelloFault, TruncatedHello
from sni.peek import NEED_DATA, HelloPeeker, HelloReceived, HelloRejected, PeekEvent
from sni.records import MAX_HELLO_BYTES, HelloLimits
from tests.sni import hellos
from tests.sni.hellos import Hello, hello, record, records

CLIENT = hellos.resuming()
MESSAGE = CLIENT.message()
WIRE = CLIENT.wire()
EARLY = b"\x14\x03\x03\x00\x01\x01" + record(b"0-RTT", 0x17, 0x0303)


def _peek(*chunks: bytes, limits: HelloLimits | None = None) -> PeekEvent:
    peeker = HelloPeeker(limits) if limits else HelloPeeker()
    for chunk in chunks:
        peeker.receive_data(chunk)
    return peeker.next_event()


def _reason(event: PeekEvent) -> HelloFault | None:
    return event.error.reason if isinstance(event, HelloRejected) else None


@pytest.mark.parametrize(
    "wire",
    [
        WIRE,
        Hello().wire(),
        records(MESSAGE, [1] * len(MESSAGE)),
        records(MESSAGE, [64] * 9),
        hellos.python_hello(),
    ],
)
def test_every_prefix_wants_more_until_the_hello_is_whole(wire: bytes) -> None:
    """Each prefix says NEED_DATA until the hello is there; then every longer one agrees."""
    for end in range(len(wire)):
        assert _peek(wire[:end]) is NEED_DATA
    whole = _peek(wire)
    assert isinstance(whole, HelloReceived)
    assert whole.wire_bytes == len(wire)
    for end in range(len(EARLY) + 1):
        assert _peek(wire + EARLY[:end]) == whole
        assert _peek(wire, EARLY[:end]) == whole


@given(
    st.lists(st.integers(1, 150), max_size=40),
    st.lists(st.integers(0, len(WIRE) * 2), max_size=10).map(sorted),
)
def test_no_split_changes_the_hello(sizes: list[int], cuts: list[int]) -> None:
    """Over any split into segments and records the hello and the replay are the same."""
    wire = records(MESSAGE, sizes) + EARLY
    peeker = HelloPeeker()
    for start, end in itertools.pairwise([0, *cuts, len(wire) + cuts[-1] if cuts else len(wire)]):
        peeker.receive_data(wire[start:end])
    event = peeker.next_event()
    assert isinstance(event, HelloReceived)
    assert event.hello == parse_client_hello(MESSAGE)
    assert event.wire_bytes == len(wire) - len(EARLY)
    assert event.records * 5 == event.wire_bytes - len(MESSAGE)
    assert peeker.received == wire


def test_answers_that_say_the_same_are_equal() -> None:
    """The same hello in the same records is the same answer; in other records it is another."""
    one, two = _peek(WIRE), _peek(WIRE)
    assert one == two
    assert {one: 1}[two] == 1
    assert one != _peek(records(MESSAGE, [9]))
    assert one != MESSAGE


def test_byte_by_byte_is_the_same() -> None:
    """One byte a read gives what one read gives."""
    assert _peek(*[WIRE[i : i + 1] for i in range(len(WIRE))]) == _peek(WIRE)


def test_a_view_may_be_used_again() -> None:
    """What is kept does not change when the caller's buffer does."""
    buffer = bytearray(WIRE)
    peeker = HelloPeeker()
    peeker.receive_data(memoryview(buffer)[:100])
    peeker.receive_data(buffer[100:])
    buffer[:] = bytes(len(buffer))
    assert peeker.received == WIRE


def test_a_read_that_ends_a_hello_may_go_beyond_the_limit() -> None:
    """The limit is for the hello: 0-RTT data read along with it are kept for the replay."""
    peeker = HelloPeeker(HelloLimits(wire_bytes=len(WIRE)))
    peeker.receive_data(WIRE[:7])
    peeker.receive_data(WIRE[7:] + bytes(100_000))
    peeker.receive_data(b"more")
    event = peeker.next_event()
    assert isinstance(event, HelloReceived)
    assert event.wire_bytes == len(WIRE)
    assert peeker.received == WIRE + bytes(100_000) + b"more"


def test_an_undecided_hello_never_holds_more_than_the_limit() -> None:
    """However much comes in at once or bit by bit, no more than the limit is kept."""
    endless = b"".join(
        [record(MESSAGE[:4].replace(MESSAGE[1:4], b"\0\xf0\0"))] + [record(b"x")] * 20_000
    )
    for size in (len(endless), 1000, 7):
        peeker = HelloPeeker()
        for at in range(0, len(endless), size):
            peeker.receive_data(endless[at : at + size])
            assert len(peeker.received) <= MAX_HELLO_BYTES
        assert _reason(peeker.next_event()) == HelloFault.TOO_LONG


NO_NAME_HOST = hellos.server_name(b"a.example", b"b.example")


@pytest.mark.parametrize(
    ("wire", "reason", "alert"),
    [
        (b"GET / HTTP/1.1\r\n", HelloFault.NOT_TLS, None),
        (b"SSH-2.0-x\r\n", HelloFault.NOT_TLS, None),
        (b"\x80\x2e\x01\x00\x02", HelloFault.NOT_TLS, None),
        (record(b""), HelloFault.MALFORMED, AlertDescription.DECODE_ERROR),
        (record(b"\x02"), HelloFault.MALFORMED, AlertDescription.UNEXPECTED_MESSAGE),
        (record(b"\x01\0\0\0"), HelloFault.MALFORMED, AlertDescription.DECODE_ERROR),
        (hello(NO_NAME_HOST).wire(), HelloFault.AMBIGUOUS, AlertDescription.ILLEGAL_PARAMETER),
        (record(b"\x01\xff\xff\xff"), HelloFault.TOO_LONG, AlertDescription.DECODE_ERROR),
        (
            hello(hellos.server_name(b"a b")).wire(),
            HelloFault.BAD_SERVER_NAME,
            AlertDescription.UNRECOGNIZED_NAME,
        ),
    ],
)
def test_a_refusal_is_final(wire: bytes, reason: HelloFault, alert: AlertDescription) -> None:
    """A refusal says why and what the client hears, and nothing that follows changes it."""
    peeker = HelloPeeker()
    peeker.receive_data(wire)
    event = peeker.next_event()
    assert isinstance(event, HelloRejected)
    assert (event.error.reason, event.error.alert) == (reason, alert)
    held = peeker.received
    peeker.receive_data(WIRE)
    peeker.receive_eof()
    assert peeker.next_event() is event
    assert peeker.received == held


def test_a_refused_hello_holds_no_more_than_the_limit() -> None:
    """What a client sends along with a hello that is refused is not kept."""
    peeker = HelloPeeker(HelloLimits(wire_bytes=1_000))
    peeker.receive_data(hello(NO_NAME_HOST).wire() + bytes(100_000))
    assert _reason(peeker.next_event()) is HelloFault.AMBIGUOUS
    assert len(peeker.received) == 1_000


def test_too_many_records_are_refused() -> None:
    """The count of records has its own limit."""
    event = _peek(records(MESSAGE, [1] * 9), limits=HelloLimits(records=9))
    assert _reason(event) == HelloFault.TOO_MANY_RECORDS


@pytest.mark.parametrize("end", [0, 1, 5, 9, len(WIRE) - 1])
def test_an_end_before_the_hello_is_whole_is_truncated(end: int) -> None:
    """A client that closes early is told from one that is still sending."""
    peeker = HelloPeeker()
    peeker.receive_data(WIRE[:end])
    peeker.receive_eof()
    event = peeker.next_event()
    assert isinstance(event, HelloRejected)
    assert isinstance(event.error, TruncatedHello)
    assert f"after {end} bytes" in str(event.error)


def test_an_end_behind_the_hello_changes_nothing() -> None:
    """A client may close its side once its hello is whole."""
    peeker = HelloPeeker()
    peeker.receive_data(WIRE)
    event = peeker.next_event()
    peeker.receive_eof()
    assert peeker.next_event() is event


def test_a_refused_peeker_is_freed_at_once() -> None:
    """A refusal leaves no cycle behind: a flood of bad hellos needs no garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for wire in (b"GET /", record(b"\x02"), hello(hellos.server_name(b"fe80::1%1")).wire()):
            _peek(wire)
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(st.integers(0, len(WIRE) - 1), st.integers(0, 255), st.lists(st.integers(1, 99)))
def test_a_changed_byte_never_gives_a_name_that_is_not_there(
    at: int, value: int, sizes: list[int]
) -> None:
    """With any byte of the wire changed there is a refusal, a wait, or a name from the bytes."""
    wire = bytearray(records(MESSAGE, sizes))
    wire[at] = value
    event = _peek(bytes(wire))
    if isinstance(event, HelloReceived) and event.hello.server_name is not None:
        assert event.hello.server_name.encode() in event.hello.message.lower()


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_get_an_answer(chunks: list[bytes]) -> None:
    """Arbitrary bytes are one of the three answers, the same whole and byte by byte."""
    data = b"".join(chunks)
    whole, parts = _peek(data), _peek(*chunks)
    single = _peek(*[data[i : i + 1] for i in range(len(data))])
    assert _reason(whole) == _reason(parts) == _reason(single)
