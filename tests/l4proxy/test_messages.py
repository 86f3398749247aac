"""Messages: what is said is heard, and nothing else is a message."""

from typing import get_args

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.messages import (
    MAX_LABEL_CHARACTERS,
    MAX_NUMBER,
    Applied,
    Listen,
    Log,
    Message,
    MessageError,
    Publish,
    Ready,
    Report,
    Stop,
    decode,
    encode,
)

numbers = st.integers(0, MAX_NUMBER)
labels = st.text(max_size=MAX_LABEL_CHARACTERS).filter(str.isprintable)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Publish, numbers, st.binary()),
    st.builds(Listen, st.lists(st.text("abc:")).map(tuple)),
    st.builds(Stop, st.floats(0)),
    st.builds(Ready, numbers),
    st.builds(Applied, numbers),
    st.builds(Log, st.text()),
    st.builds(Report, st.lists(st.tuples(labels, labels, numbers), max_size=5).map(tuple)),
)
EXAMPLES: tuple[Message, ...] = (
    Publish(3, b"\0snapshot"),
    Listen(("('127.0.0.1', 8443)", "('::', 443)")),
    Stop(30.0),
    Ready(4711),
    Applied(3),
    Report((("accepted", "", 5), ("refused", "not_tls", 1))),
    Log("a line\n"),
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
KINDS = ["publish", "listen", "stop", "ready", "applied", "report", "log", "", "Report"]


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
