"""Promises of `l4proxy.agent.well_known`: questions are answered, all else is left alone."""

import asyncio
from itertools import pairwise
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import Evidence
from l4proxy.agent.attesters import TeeError
from l4proxy.agent.libssl import NoExporter
from l4proxy.agent.stream import CHUNK_BYTES, Stream
from l4proxy.agent.well_known import MAX_HEAD_BYTES, MAX_QUESTIONS, Ask, Desk
from l4proxy.evidence_wire import MEDIA_TYPE, Answer, Question, parse_answer
from tests.l4proxy.agent.parts import PATIENCE
from tests.l4proxy.agent.test_stream import plain

ANSWER = Answer(Evidence("nitro", b"document", MappingProxyType({})))
NONCE = b"n" * 32
ASKED = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % Question(NONCE).target.encode()
EXPORTER = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % Question(None).target.encode()
SET = b"GET /.well-known/attestation/set HTTP/1.1\r\n\r\n"
MANIFEST = b"GET /.well-known/attestation/manifest HTTP/1.1\r\n\r\n"


async def answer(question: Question) -> Answer:
    """Say yes to the nonce that is expected."""
    assert question == Question(NONCE)
    return ANSWER


async def no_exporter(question: Question) -> Answer:
    """Say that there is no exporter."""
    raise NoExporter("found TLSv1.2")


async def broken(question: Question) -> Answer:
    """Say that the TEE is broken, in words that are not for clients."""
    raise TeeError("secret of the host")


async def served(
    *parts: bytes, desk: Desk | None = None, ends: bool = False
) -> tuple[bytes | None, bytes]:
    """What is left for the application, and what the client heard."""
    async with plain() as (client, agent):
        heard = bytearray()

        async def hear() -> None:
            while part := await client.read():
                heard.extend(part)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hear())
            serving = tasks.create_task((desk or Desk(answer, b"{}", PATIENCE)).serve(agent))
            for part in parts:
                await client.write(part)
                await asyncio.sleep(0)
            if ends:
                await client.end()
            left = await serving
            await agent.end()
        return left, bytes(heard)


OTHERS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /.well-known/attestation?nonce=00 HTTP/1.1\r\n",
    b"GET /.well-known/attestations HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\x01 not HTTP at all",
]


@pytest.mark.parametrize("first", OTHERS)
async def test_what_is_no_question_is_left_alone(first: bytes) -> None:
    """To the byte, and without a word from us."""
    assert await served(first) == (first, b"")


@pytest.mark.parametrize("size", range(len(b"GET /.well-known/attestation") + 1))
async def test_a_client_that_stops_in_the_middle_is_left_alone(size: int) -> None:
    """What might have become a question, and ended, is the application's."""
    start = b"GET /.well-known/attestation"[:size]
    assert await served(start, ends=True) == (start, b"")


async def test_a_question_is_answered_and_the_next_request_left_alone() -> None:
    """On one connection, even if both arrive at once."""
    left, heard = await served(ASKED + OTHERS[0])
    assert left == OTHERS[0]
    head, _, content = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert MEDIA_TYPE.encode() in head
    assert b"Connection: keep-alive" in head
    assert b"no-store" in head
    assert parse_answer(content) == ANSWER


@given(st.lists(st.integers(1, len(ASKED) + 5), max_size=6))
@settings(max_examples=30, deadline=None)
def test_it_does_not_matter_how_it_is_split(places: list[int]) -> None:
    """One answer and one rest, whatever the segments were."""
    whole = ASKED + OTHERS[0]
    cuts = [0, *sorted(set(places)), len(whole)]
    parts = [whole[start:end] for start, end in pairwise(cuts)]
    left, heard = asyncio.run(served(*parts))
    assert left is not None
    assert OTHERS[0].startswith(left)
    assert heard.count(b"HTTP/1.1 200 OK") == 1


async def test_the_manifest_is_served() -> None:
    """The document as its digest has it; where there is none that is said."""
    left, heard = await served(MANIFEST + OTHERS[0])
    assert left == OTHERS[0]
    assert heard.endswith(b"\r\n\r\n{}")
    _, heard = await served(MANIFEST + OTHERS[0], desk=Desk(answer, None, PATIENCE))
    assert heard.startswith(b"HTTP/1.1 404 ")


async def test_a_long_set_is_not_copied_for_each_who_is_slow() -> None:
    """What waits for a client is the one document that there is."""
    document, written = bytes(2 * CHUNK_BYTES), list[bytes]()

    class Slow(Stream):
        async def write(self, data: bytes) -> None:
            written.append(data)

    async with plain() as (client, agent):
        await client.write(SET + OTHERS[0])
        slow = Slow(agent.socket)
        desk = Desk(answer, None, PATIENCE, lambda: document)
        assert await desk.serve(slow) == OTHERS[0]
    assert written[1] is document
    assert b"Content-Length: %d\r\n" % len(document) in written[0]
    left, heard = await served(SET + OTHERS[0], desk=desk)
    assert left == OTHERS[0]
    assert heard.endswith(b"\r\n\r\n" + document)


def _get(target: bytes, more: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET /.well-known/attestation%b %b\r\n%b\r\n" % (target, version, more)


@pytest.mark.parametrize(
    ("request_", "status", "ends"),
    [
        (_get(b"?nonce=00"), 400, False),
        (_get(b"/other"), 404, False),
        (_get(b"", version=b"HTTP/2.0"), 400, True),
        (_get(b" x"), 400, True),
        (_get(b"?nonce=00", b"Content-Length: 3\r\n"), 400, True),
        (_get(b"?nonce=00", b"Transfer-Encoding: chunked\r\n"), 400, True),
        (_get(b"?nonce=00", version=b"HTTP/1.0"), 400, True),
        (_get(b"?nonce=00", b"Connection: close\r\n"), 400, True),
        (_get(b"?nonce=00", b"X: " + b"x" * MAX_HEAD_BYTES), 431, True),
    ],
)
async def test_bad_questions_are_told(request_: bytes, status: int, ends: bool) -> None:
    """Each hears why, and where the requests would run together the connection ends."""
    left, heard = await served(request_ + OTHERS[0])
    assert heard.startswith(b"HTTP/1.1 %d " % status)
    assert (left is None) == ends
    assert heard.count(b"Content-Length") == 1


@pytest.mark.parametrize(("ask", "status"), [(no_exporter, 400), (broken, 503)])
async def test_no_evidence_is_told_without_reasons_of_the_host(ask: Ask, status: int) -> None:
    """A client hears that there is none; what the TEE said is for the operator."""
    _, heard = await served(EXPORTER + OTHERS[0], desk=Desk(ask, None, PATIENCE))
    assert heard.startswith(b"HTTP/1.1 %d " % status)
    assert b"secret" not in heard


async def test_endless_questions_end() -> None:
    """A connection may ask a hundred times."""
    left, heard = await served(*[_get(b"?nonce=00")] * (MAX_QUESTIONS + 1))
    assert left is None
    assert heard.count(b"HTTP/1.1 400") == MAX_QUESTIONS
    assert heard.count(b"Connection: close") == 1


@pytest.mark.parametrize("first", [b"", b"GET /.well-known/attestation?", ASKED])
async def test_who_takes_too_long_is_given_up(first: bytes) -> None:
    """A client that stops in the middle, or after an answer, does not stay for ever."""
    async with plain() as (client, agent):
        await client.write(first)
        with pytest.raises(TimeoutError):
            await Desk(answer, None, 0.1).serve(agent)


async def test_an_endless_head_ends() -> None:
    """A head without an end is read no further than its bound."""
    async with plain() as (client, agent):
        await client.write(b"GET /.well-known/attestation?" + b"x" * (3 * MAX_HEAD_BYTES))
        assert await Desk(answer, None, PATIENCE).serve(agent) is None
        assert (await client.read()).startswith(b"HTTP/1.1 431 ")
        assert isinstance(agent, Stream)
