"""Answers that are slow, huge, cut short or lie about their length, over both ways."""

import asyncio
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation import Policy
from l4proxy.agent.libssl import export
from l4proxy.client import Fault, Rules
from l4proxy.client.proof import MAX_HEAD_BYTES, protocols
from l4proxy.client.tls import HTTP
from l4proxy.evidence_wire import ALPN, MAX_ANSWER, Answer, encode_answer, frame
from l4proxy.merkle import grow
from tests.l4proxy.agent.parts import PATIENCE, policy
from tests.l4proxy.client.parts import (
    SECRET,
    Enclave,
    Reply,
    Say,
    Server,
    client,
    exchange,
    http,
    listening,
    proof,
    refused,
    reply,
    serving,
)

BY_NONCE = policy(freshness={"mode": "nonce"})
SOON = 0.3
"""Seconds that a client waits in these tests for what never comes."""


def says(data: bytes, then: float = 0.0) -> Say:
    """A server that says this first, and after some seconds more."""

    async def say(_: Enclave, __: ssl.SSLObject) -> bytes:
        await asyncio.sleep(then)
        return data

    return say


def replies(data: bytes) -> Reply:
    """A server that answers this over HTTP."""
    return lambda _, __: data


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(policy(), (ALPN, HTTP)), (BY_NONCE, (HTTP,))],
    ids=["exporter", "nonce"],
)
def test_a_framed_proof_is_asked_for_by_exporter_alone(
    asked: Policy, expected: tuple[str, ...]
) -> None:
    """A frame comes unasked, and so it cannot answer a nonce."""
    assert protocols(asked) == expected


async def test_a_proof_over_http_on_a_connection_that_goes_on() -> None:
    """Where ALPN agrees on HTTP, the exporter's proof is asked for by its path."""
    enclave = Enclave()
    context = enclave.context()
    context.set_alpn_protocols([HTTP])
    server = Server(enclave, context=context)
    exporters: list[bytes] = []

    def answer(own: Enclave, query: str) -> bytes:
        assert query == "binding=exporter"
        return http(encode_answer(Answer(own.for_exporter(exporters[-1]))))

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exporters.append(export(writer.get_extra_info("ssl_object")))
        await server.serve(reader, writer)

    server.reply = answer
    async with listening(look, context) as port:
        assert await exchange(client(), port) == SECRET


async def test_a_quote_that_many_share() -> None:
    """A proof holds by its way to the root that was signed."""

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        root, (way, _, _) = grow([export(tls), b"e" * 32, b"f" * 32])
        return frame(encode_answer(Answer(own.for_exporter(root), way)))

    async with serving(Server(say=say)) as server:
        assert await exchange(client(), server.port) == SECRET


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (b"\xff\xff\xff\xff" + bytes(100), Fault.MALFORMED),
        ((MAX_ANSWER + 1).to_bytes(4), Fault.MALFORMED),
        (bytes(4), Fault.MALFORMED),
        (frame(b"no evidence"), Fault.MALFORMED),
        (frame(encode_answer(Answer(Enclave().for_nonce(b"n" * 32)))[:-1]), Fault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\n\r\n", Fault.MALFORMED),
    ],
    ids=["huge", "a byte too much", "nothing", "no evidence", "cut short", "no frame"],
)
async def test_frames_that_lie(said: bytes, fault: Fault) -> None:
    """A frame that is no proof is refused before more of it is read."""
    async with serving(Server(say=says(said))) as server:
        assert (await refused(client(), server)).fault is fault


@pytest.mark.parametrize("said", [b"", (64).to_bytes(4) + b"x" * 63, b"\0"])
async def test_frames_that_never_come(said: bytes) -> None:
    """Who is silent, or says less than he promised, is given up at the deadline."""
    async with serving(Server(say=says(said))) as server:
        error = await refused(client(Rules(timeout=SOON)), server)
    assert error.fault is Fault.TIMEOUT
    assert f"within {SOON}" in error.detail


async def test_a_proof_that_comes_too_late() -> None:
    """A true proof after the deadline is none."""
    async with serving(Server(say=says(b"late", then=2 * SOON))) as server:
        assert (await refused(client(Rules(timeout=SOON)), server)).fault is Fault.TIMEOUT


@pytest.mark.parametrize(
    ("said", "fault", "word"),
    [
        (http(b"", "404 Not Found"), Fault.NO_PROOF, "404"),
        (http(b"", "503 Service Unavailable"), Fault.NO_PROOF, "503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Fault.NO_PROOF, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", Fault.MALFORMED, "no length"),
        (http(b"x", "200 OK", "Content-Length: 2"), Fault.MALFORMED, "several"),
        (http(b"x", "200 OK", "Transfer-Encoding: chunked"), Fault.MALFORMED, "transfer encoding"),
        (http(b"x", "200 OK", "Connection: close"), Fault.NO_PROOF, "announced"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 266241\r\n\r\n", Fault.MALFORMED, "266241"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Fault.MALFORMED, "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", Fault.MALFORMED, "more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * MAX_HEAD_BYTES, Fault.MALFORMED, "no end"),
        (http(b"no evidence"), Fault.MALFORMED, "answer"),
    ],
)
async def test_answers_that_lie(said: bytes, fault: Fault, word: str) -> None:
    """An answer over HTTP that is none is refused by what was found."""
    async with serving(Server(reply=replies(said))) as server:
        error = await refused(client(asked=BY_NONCE), server)
    assert error.fault is fault
    assert word in error.detail


async def test_an_answer_that_never_ends() -> None:
    """Who promises more than he sends is given up at the deadline."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 999
    async with serving(Server(reply=replies(said))) as server:
        error = await refused(client(Rules(timeout=SOON), BY_NONCE), server)
    assert error.fault is Fault.TIMEOUT


@pytest.mark.parametrize("asked", [policy(), BY_NONCE], ids=["exporter", "nonce"])
async def test_who_hangs_up_has_no_proof(asked: Policy) -> None:
    """The end of the connection in place of a proof is told as such."""

    async def hang_up(_: Enclave, __: ssl.SSLObject) -> bytes:
        raise ConnectionAbortedError

    def leave(_: Enclave, __: str) -> bytes:
        raise ConnectionAbortedError

    async with serving(Server(say=hang_up, reply=leave)) as server:
        error = await refused(client(asked=asked), server)
    assert error.fault in {Fault.NO_PROOF, Fault.TLS_FAILED}


async def test_the_application_may_speak_first() -> None:
    """What follows the frame belongs to the application, to the byte."""

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        return await proof(own, tls) + b"220 welcome\r\n"

    async with serving(Server(say=say)) as server:
        connection = await client().connect("127.0.0.1", server.port, "app.example.com")
        async with asyncio.timeout(PATIENCE):
            assert await connection.stream.read() == b"220 welcome\r\n"
        connection.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=200), by_http=st.booleans())
def test_whatever_comes_is_refused_by_name(noise: bytes, by_http: bool) -> None:
    """No bytes in place of a proof do more than to be refused."""

    async def attempt() -> None:
        server = Server(say=says(frame(noise or b"\0")), reply=replies(noise + b"\r\n\r\n"))
        async with serving(server) as found:
            asked = BY_NONCE if by_http else policy()
            error = await refused(client(Rules(timeout=SOON), asked), found)
        assert isinstance(error.fault, Fault)

    asyncio.run(attempt())


def test_honest_answers_are_honest() -> None:
    """What these tests change would be accepted as it was: its form is the true one."""
    assert reply(Enclave(), "nonce=" + "00" * 32).startswith(b"HTTP/1.1 200 OK\r\n")
