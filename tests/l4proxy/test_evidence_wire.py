"""Promises of `l4proxy.evidence_wire`: questions, answers and frames, as both ends have them."""

from types import MappingProxyType

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import Evidence, MalformedEvidence, encode_cmw
from l4proxy.evidence_wire import (
    FRAME_HEADER,
    MAX_ANSWER,
    WELL_KNOWN,
    Answer,
    BadQuestion,
    Question,
    encode_answer,
    frame,
    frame_size,
    parse_answer,
    parse_question,
)
from l4proxy.merkle import MAX_STEPS, Step, grow

EVIDENCE = Evidence(
    "nitro", b"document", MappingProxyType({"vcek": b"v"}), b"buffer", b"agent", b"{}"
)
STEP = Step(left=True, other=bytes(32))
CMW = encode_cmw(EVIDENCE)


@pytest.mark.parametrize("question", [Question(None), Question(b"n" * 16), Question(b"n" * 64)])
def test_a_question_is_read_as_it_is_asked(question: Question) -> None:
    """The target that a client writes is the question that the agent reads."""
    path, _, query = question.target.partition("?")
    assert path == WELL_KNOWN
    assert parse_question(query) == question


@pytest.mark.parametrize(
    "query",
    [
        "",
        "nonce=",
        f"nonce={'00' * 15}",
        f"nonce={'00' * 65}",
        f"nonce={'0g' * 16}",
        f"nonce={'00+' * 16}",
        f"nonce={'00' * 16}&binding=exporter",
        f"nonce={'00' * 16}&nonce={'00' * 16}",
        "binding=nonce",
        "other=1",
        "x" * 257,
    ],
)
def test_other_questions_are_refused(query: str) -> None:
    """A nonce of 16 to 64 bytes, or the exporter; a question with both is none."""
    with pytest.raises(BadQuestion, match="expected nonce=HEX"):
        parse_question(query)


@pytest.mark.parametrize("way", [(), (STEP,), (STEP,) * MAX_STEPS])
def test_an_answer_arrives_as_it_was_sent(way: tuple[Step, ...]) -> None:
    """Evidence and all that belongs to it, and the way to what was signed."""
    answer = Answer(EVIDENCE, way)
    assert parse_answer(encode_answer(answer)) == answer


def test_an_answer_tells_what_must_have_been_signed() -> None:
    """A verifier expects the root that its own value leads to, or the value itself."""
    root, ways = grow([b"a" * 32, b"b" * 32])
    assert Answer(EVIDENCE, ways[1]).signed(b"b" * 32) == root
    assert Answer(EVIDENCE).signed(b"b" * 32) == b"b" * 32


@pytest.mark.parametrize(
    "found",
    [
        [],
        {},
        {"cmw": "text"},
        {"cmw": CMW, "more": 1},
        {"cmw": CMW, "way": {}},
        {"cmw": CMW, "way": [[True, bytes(32)]] * (MAX_STEPS + 1)},
        {"cmw": CMW, "way": [[1, bytes(32)]]},
        {"cmw": CMW, "way": [[True, bytes(31)]]},
        {"cmw": CMW, "way": [[True]]},
        {"cmw": b"\xa0"},
    ],
)
def test_other_answers_are_refused(found: object) -> None:
    """What is not in the one form is refused, before any of it is used."""
    with pytest.raises(MalformedEvidence):
        parse_answer(cbor2.dumps(found))


def test_an_answer_over_its_limit_is_refused_unread() -> None:
    """More than 260 KiB are not even decoded."""
    with pytest.raises(MalformedEvidence, match="expected at most 266240"):
        parse_answer(bytes(MAX_ANSWER + 1))


def test_every_prefix_of_an_answer_is_refused() -> None:
    """An answer that was cut off is never taken for a whole one."""
    whole = encode_answer(Answer(EVIDENCE, (STEP,)))
    for size in range(len(whole)):
        with pytest.raises(MalformedEvidence):
            parse_answer(whole[:size])


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_no_bytes_surprise(data: bytes) -> None:
    """Any bytes are an answer, or malformed."""
    try:
        answer = parse_answer(data)
    except MalformedEvidence:
        return
    assert parse_answer(encode_answer(answer)) == answer


def test_a_frame_tells_its_size() -> None:
    """The four bytes before an answer say how long it is."""
    framed = frame(b"answer")
    assert framed[FRAME_HEADER:] == b"answer"
    assert frame_size(framed[:FRAME_HEADER]) == len(b"answer")


@pytest.mark.parametrize("header", [bytes(4), b"\xff\xff\xff\xff", b"\x00\x00\x01", b""])
def test_frames_out_of_bounds_are_refused(header: bytes) -> None:
    """A frame that is empty, or longer than any answer, is refused before it is read."""
    with pytest.raises(MalformedEvidence, match="frame"):
        frame_size(header)
