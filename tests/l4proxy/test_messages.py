"""Messages: what is said is heard, and nothing else is a message."""

from typing import get_args

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.dataplane.counters import ROWS_PER_REPORT
from l4proxy.limits import LOG_BATCH_BYTES
from l4proxy.messages import (
    MAX_LABEL_CHARACTERS,
    MAX_LOG_CHARACTERS,
    MAX_NETWORK_BYTES,
    MAX_NUMBER,
    MAX_OBSERVED,
    MAX_ROWS,
    MAX_SOCKETS,
    MAX_TOKEN_KEY_BYTES,
    Applied,
    Listen,
    Log,
    Message,
    MessageError,
    Observed,
    Publish,
    Ready,
    Report,
    Stop,
    Unknown,
    decode,
    encode,
)
from routing import BackendName, Observation, PoolName, TokenKey

numbers = st.integers(0, MAX_NUMBER)
SEEN = ("app", b"key", "a", b"net", 3.5)

labels = st.text(max_size=MAX_LABEL_CHARACTERS).filter(str.isprintable)
observations = st.builds(
    Observation,
    labels.map(PoolName),
    st.binary(max_size=MAX_TOKEN_KEY_BYTES).map(TokenKey),
    labels.map(BackendName),
    st.binary(max_size=MAX_NETWORK_BYTES),
    st.floats(0, allow_infinity=False),
)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Publish, numbers, st.binary()),
    st.builds(Listen, st.lists(st.text("abc:")).map(tuple)),
    st.builds(Stop, st.floats(0)),
    st.builds(Ready, numbers),
    st.builds(Applied, numbers),
    st.builds(Log, st.text()),
    st.builds(Report, st.lists(st.tuples(labels, labels, numbers), max_size=5).map(tuple)),
    st.builds(Unknown, labels.map(PoolName)),
    st.builds(Observed, st.lists(observations, max_size=5).map(tuple)),
)
EXAMPLES: tuple[Message, ...] = (
    Publish(3, b"\0snapshot"),
    Listen(("('127.0.0.1', 8443)", "('::', 443)")),
    Stop(30.0),
    Ready(4711),
    Applied(3),
    Report((("accepted", "", 5), ("refused", "not_tls", 1))),
    Log("a line\n"),
    Unknown(PoolName("app")),
    Observed((Observation(PoolName("app"), TokenKey(b"key"), BackendName("a"), b"net", 3.5),)),
)


@given(messages)
def test_what_is_said_is_heard(message: Message) -> None:
    """Every message survives encoding and decoding."""
    assert decode(encode(message)) == message


def test_the_examples_are_of_every_kind() -> None:
    """No kind of message is left out of these tests."""
    assert {type(example) for example in EXAMPLES} == set(get_args(Message))


@pytest.mark.parametrize("message", EXAMPLES)
def test_no_prefix_is_a_message(message: Message) -> None:
    """A frame that is cut anywhere is refused."""
    frame = encode(message)
    for end in range(len(frame)):
        with pytest.raises(MessageError):
            decode(frame[:end])


@given(st.binary(max_size=200))
def test_garbage_is_refused(frame: bytes) -> None:
    """Random bytes raise nothing but MessageError."""
    _refused_or_a_message(frame)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_changed_message_is_refused_or_another_one(message: Message, data: st.DataObject) -> None:
    """Any byte of a message may be changed: it is refused, or it is a message."""
    frame = bytearray(encode(message))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] = data.draw(st.integers(0, 255))
    _refused_or_a_message(bytes(frame))


def _refused_or_a_message(frame: bytes) -> None:
    try:
        message = decode(frame)
    except MessageError:
        return
    assert decode(encode(message)) == message


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab") | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=8,
)
KINDS = [
    "publish",
    "listen",
    "stop",
    "ready",
    "applied",
    "report",
    "log",
    "unknown",
    "observed",
    "",
    "Report",
]


@given(st.sampled_from(KINDS), st.lists(anything, max_size=3))
def test_other_shapes_are_refused(kind: str, fields: list[object]) -> None:
    """A known kind with fields of other shapes raises nothing but MessageError."""
    _refused_or_a_message(cbor2.dumps([kind, *fields]))


@pytest.mark.parametrize(
    "document",
    [
        ["applied", -1],
        ["applied", MAX_NUMBER + 1],
        ["ready", 1 << 9_000],
        ["publish", -1, b""],
        ["report", [["accepted", "", -1]]],
        ["report", [["accepted", "", 1 << 20_000]]],
        ["report", [["accepted", "", 1.0]]],
        ["report", [["accepted", ""]]],
        ["report", [["accepted", "x" * (MAX_LABEL_CHARACTERS + 1), 1]]],
        ["report", [["x" * (MAX_LABEL_CHARACTERS + 1), "", 1]]],
        ["report", "accepted"],
        ["unknown", 1],
        ["unknown", "x" * (MAX_LABEL_CHARACTERS + 1)],
        ["observed", [SEEN] * (MAX_OBSERVED + 1)],
        ["observed", [SEEN[:4]]],
        ["observed", [("x" * (MAX_LABEL_CHARACTERS + 1), *SEEN[1:])]],
        ["observed", [("app", b"x" * (MAX_TOKEN_KEY_BYTES + 1), *SEEN[2:])]],
        ["observed", [(*SEEN[:3], b"x" * (MAX_NETWORK_BYTES + 1), 3.5)]],
        ["observed", [(*SEEN[:4], -1.0)]],
        ["observed", [(*SEEN[:4], float("nan"))]],
        ["observed", [(*SEEN[:4], float("inf"))]],
        ["observed", [(*SEEN[:4], 3)]],
        ["listen", [1]],
        ["stop", "soon"],
        ["reload"],
        "report",
        {},
        [],
    ],
)
def test_hostile_documents_are_refused(document: object) -> None:
    """Numbers and labels without measure, and shapes that nobody sends, are no messages."""
    with pytest.raises(MessageError):
        decode(cbor2.dumps(document))


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81" * 100_000,  # lists in lists
        b"\xd8\x1c\x82\x66report\xd8\x1d\x00",  # a list that holds itself
        b"\x5b" + b"\xff" * 8,  # bytes without end
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01",  # a decimal beyond all exponents
        b"\xd8\x1e\x82\x01\x00",  # one divided by nothing
        b"\xd8\x23\x61[",  # half a regular expression
        b"\xc1\xfb\x7f\xf0\0\0\0\0\0\0",  # a date at infinity
        b"\xa1\xa0\x01",  # a map as a key
        b"\x62\xff\xff",  # no text
    ],
)
def test_hostile_encodings_are_refused(frame: bytes) -> None:
    """What CBOR can say and no message does never raises another error."""
    with pytest.raises(MessageError):
        decode(frame)


_BIG = b"\xc2\x5a" + (400_000).to_bytes(4, "big") + b"\xff" * 400_000
"""A bignum of 400,000 bytes (RFC 8949 §3.4.3)."""


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"\xd8\x1e\x82" + _BIG + _BIG, id="rational"),
        pytest.param(b"\xc4\x82\x1a\x7f\xff\xff\xff" + _BIG, id="decimal fraction"),
        pytest.param(b"\xc5\x82\x1a\x7f\xff\xff\xff\x01", id="bigfloat"),
        pytest.param(_BIG, id="bignum"),
        pytest.param(b"\xc2\x41\x01", id="a bignum that is small"),
        pytest.param(b"\xd8\x1c\x81\xd8\x1d\x00", id="shared reference"),
        pytest.param(b"\xd9\x01\x00\x81\xd8\x19\x00", id="string reference"),
        pytest.param(b"\xd9\x01\x02\x80", id="set"),
        pytest.param(b"\xd8\x23\x65(a+)+", id="regular expression"),
        pytest.param(b"\xc0\x60", id="date"),
        pytest.param(b"\xda\x7f\xff\xff\xff\x01", id="a tag that nobody knows"),
        pytest.param(b"\x9f\x01\xff", id="indefinite length"),
        pytest.param(b"\x81" * 4 + b"\x01", id="nesting"),
    ],
)
@pytest.mark.parametrize("before", [b"", b"\x82\x65ready"])
def test_values_that_cost_more_than_their_bytes_are_refused(before: bytes, value: bytes) -> None:
    """No tag is worked out, wherever it stands, and nothing is deeper than a message is."""
    with pytest.raises(MessageError, match="is not CBOR"):
        decode(before + value)


def test_each_kind_has_its_measure() -> None:
    """What one message may hold is accepted, and one more is not."""
    row = ("accepted", "", 1)
    most = "x" * MAX_LOG_CHARACTERS
    assert decode(encode(Log(most))) == Log(most)
    assert decode(encode(Report((row,) * MAX_ROWS))) == Report((row,) * MAX_ROWS)
    assert decode(encode(Listen(("a",) * MAX_SOCKETS))) == Listen(("a",) * MAX_SOCKETS)
    for message in (
        Log("x" * (MAX_LOG_CHARACTERS + 1)),
        Report((row,) * (MAX_ROWS + 1)),
        Listen(("a",) * (MAX_SOCKETS + 1)),
    ):
        with pytest.raises(MessageError, match="within bounds"):
            decode(encode(message))


def test_what_a_worker_says_at_once_fits() -> None:
    """The bounds are wider than what an honest worker sends."""
    assert ROWS_PER_REPORT <= MAX_ROWS
    assert MAX_LOG_CHARACTERS >= 2 * LOG_BATCH_BYTES
