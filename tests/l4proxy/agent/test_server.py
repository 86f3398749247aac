"""Promises of `l4proxy.agent.server`: a handshake, perhaps a proof, and then a copy."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
import time
import warnings
from pathlib import Path

import pytest

from attestation import Expectation, Request
from l4proxy.agent import server
from l4proxy.agent.attesters import Simulated, TeeError
from l4proxy.agent.libssl import export
from l4proxy.agent.server import accept
from l4proxy.agent.stream import Stream
from l4proxy.evidence_wire import ALPN, Question, parse_answer
from tests.l4proxy.agent.parts import (
    NAME,
    PATIENCE,
    application,
    client_context,
    connected,
    handing_over,
    serving,
    settings,
    soon,
    verdict,
)
from tests.l4proxy.agent.test_stream import BULK


def asking(question: Question) -> bytes:
    """The request for a question."""
    return f"GET {question.target} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()


async def test_bytes_reach_the_application_and_come_back() -> None:
    """Ten megabytes, repeated by the application, over TCP."""
    async with (
        application() as place,
        serving(settings(place)) as agent,
        connected(agent.port) as client,
    ):

        async def say() -> None:
            client.writer.write(BULK)
            await client.writer.drain()

        _, heard = await asyncio.gather(say(), client.reader.readexactly(len(BULK)))
    assert heard == BULK


async def test_the_application_may_be_behind_a_unix_socket(tmp_path: Path) -> None:
    """What it hears is the same."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(5))[::-1])
        writer.close()

    path = tmp_path / "app.sock"
    async with (
        await asyncio.start_unix_server(answer, path),
        serving(settings(f"unix:{path}")) as agent,
        connected(agent.port) as client,
    ):
        client.writer.write(b"hello")
        assert await client.reader.read() == b"olleh"


async def test_a_proof_comes_before_the_first_byte() -> None:
    """By ALPN, bound to this very connection, and then the application speaks."""
    async with (
        application() as place,
        serving(settings(place)) as agent,
        connected(agent.port, ALPN) as client,
    ):
        answer = await client.proof()
        here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
        result = verdict(answer, here, time.time())
        assert result.accepted, result.reason
        assert result.agent is not None
        assert result.agent.instance == "enclave-a"
        client.writer.write(b"hello")
        assert await client.reader.readexactly(5) == b"hello"


async def test_a_proof_is_of_no_other_connection() -> None:
    """The evidence of one connection is refused on another to the same agent."""
    async with (
        application() as place,
        serving(settings(place)) as agent,
        connected(agent.port, ALPN) as one,
        connected(agent.port, ALPN) as other,
    ):
        answer = await one.proof()
        there = Expectation(spki=other.spki, exporter=answer.signed(export(other.tls)))
        reason = verdict(answer, there, time.time()).reason
    assert reason is not None
    assert reason.name == "exporter"


async def test_many_proofs_share_quotes() -> None:
    """Forty connections at once do not wait for forty quotes, and each proof is its own."""
    async with application() as place, serving(settings(place)) as agent:

        async def prove() -> int:
            async with connected(agent.port, ALPN) as client:
                answer = await client.proof()
                here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
                assert verdict(answer, here, time.time()).accepted
                return len(answer.way)

        ways = await asyncio.gather(*(prove() for _ in range(40)))
    assert max(ways) > 0


async def test_evidence_is_asked_for_over_http() -> None:
    """For a nonce and for the connection, and then the application's own request goes through."""
    async with (
        application() as place,
        serving(settings(place, protocol="http")) as agent,
        connected(agent.port) as client,
    ):
        status, content = await client.ask(asking(Question(b"n" * 32)))
        answer = parse_answer(content)
        mine = Expectation(spki=client.spki, nonce=answer.signed(b"n" * 32), live=False)
        assert status == 200
        assert verdict(answer, mine, time.time()).accepted
        status, content = await client.ask(asking(Question(None)))
        answer = parse_answer(content)
        here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
        assert verdict(answer, here, time.time()).accepted
        client.writer.write(b"POST / HTTP/1.1\r\n\r\n")
        assert await client.reader.readexactly(19) == b"POST / HTTP/1.1\r\n\r\n"


async def test_a_bad_question_ends_without_the_application() -> None:
    """Where requests would run together the application hears nothing, and TLS ends in order."""
    async with serving(settings(protocol="http")) as agent, connected(agent.port) as client:
        status, _ = await client.ask(asking(Question(None)).replace(b"1.1", b"2.0"))
        assert status == 400
        assert await client.reader.read() == b""


async def test_who_takes_no_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads nothing leaves no room for the end of TLS, and keeps no place for it."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)

    async def blocked(stream: Stream) -> None:
        await asyncio.Event().wait()

    async with serving(settings(protocol="http")) as agent, connected(agent.port) as client:
        monkeypatch.setattr(Stream, "end", blocked)
        status, _ = await client.ask(asking(Question(None)).replace(b"1.1", b"2.0"))
        assert status == 400
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_over_a_protocol_other_than_http_a_question_is_the_applications() -> None:
    """Nothing is looked at: bytes are bytes."""
    async with (
        application() as place,
        serving(settings(place)) as agent,
        connected(agent.port) as client,
    ):
        asked = asking(Question(b"n" * 32))
        client.writer.write(asked)
        assert await client.reader.readexactly(len(asked)) == asked


async def test_tls_1_2_gets_no_proof_of_the_connection() -> None:
    """It is served, but what cannot be bound is not claimed to be."""
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with (
        application() as place,
        serving(settings(place, protocol="http")) as agent,
        asyncio.timeout(PATIENCE),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", agent.port, ssl=context)
        writer.write(asking(Question(None)))
        assert b" 400 " in await reader.readline()
        writer.transport.abort()
        context.set_alpn_protocols([ALPN])
        reader, writer = await asyncio.open_connection("127.0.0.1", agent.port, ssl=context)
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await reader.readexactly(4)
        writer.transport.abort()


async def test_noise_and_silence_disturb_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who speaks no TLS, or nothing at all, is closed, and others are served meanwhile."""
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.2)
    async with (
        application() as place,
        serving(settings(place)) as agent,
        asyncio.timeout(PATIENCE),
    ):
        silent, kept = await asyncio.open_connection("127.0.0.1", agent.port)
        noisy, writer = await asyncio.open_connection("127.0.0.1", agent.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        for reader in (noisy, silent):
            with contextlib.suppress(ConnectionResetError):
                assert len(await reader.read()) < 100
        for one in (kept, writer):
            one.close()
        async with connected(agent.port) as client:
            client.writer.write(b"hello")
            assert await client.reader.readexactly(5) == b"hello"


async def test_no_application_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The client is cut off, and the log says where nobody listens."""
    with caplog.at_level(logging.WARNING):
        async with serving(settings("127.0.0.1:1")) as agent, connected(agent.port) as client:
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
    assert "application 127.0.0.1:1" in caplog.text


async def test_a_tee_that_fails_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client hears that there is no evidence; the log hears why; nobody falls back."""
    quote = Simulated.quote

    def fail(tee: Simulated, request: Request) -> object:
        raise TeeError("the device is gone")

    async with (
        application() as place,
        serving(settings(place, protocol="http")) as agent,
        connected(agent.port) as client,
    ):
        await client.ask(b"GET /.well-known/attestation/none HTTP/1.1\r\n\r\n")
        monkeypatch.setattr(Simulated, "quote", fail)
        with caplog.at_level(logging.WARNING):
            assert (await client.ask(asking(Question(None))))[0] == 503
        async with connected(agent.port, ALPN) as other:
            with pytest.raises((asyncio.IncompleteReadError, OSError)):
                await other.reader.readexactly(4)
        monkeypatch.setattr(Simulated, "quote", quote)
        assert (await client.ask(asking(Question(None))))[0] == 200
    assert "evidence: the device is gone" in caplog.text


async def test_where_files_are_handed_over_a_nonce_is_answered(tmp_path: Path) -> None:
    """Over plain HTTP, as the application passes it on; nothing is bound to its connection."""
    async with serving(handing_over(tmp_path)) as agent, asyncio.timeout(PATIENCE):
        port = agent.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asking(Question(None)) + asking(Question(b"n" * 32)) + b"GET / HTTP/1.1\r\n")
        heard = await reader.read()
        writer.close()
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert b"answers a nonce only" in heard
    assert heard.count(b"HTTP/1.1 200 OK") == 1


async def test_only_so_many_are_served_at_once() -> None:
    """The next waits in the kernel's queue until one has left."""
    now, most = 0, 0
    let_go = asyncio.Event()

    async def serve(sock: socket.socket) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await let_go.wait()
        now -= 1
        sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(accept(listener, serve, 2))
            clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
            await soon(lambda: now == 2)
            let_go.set()
            for client in clients:
                client.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
                client.close()
            accepting.cancel()
    assert most == 2


@pytest.mark.parametrize("moment", range(6))
async def test_an_end_that_meets_an_arrival_leaves_nothing_open(moment: int) -> None:
    """A client that arrives as the agent ends is closed, and no callback fails."""
    mistakes = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(context))

    async def serve(sock: socket.socket) -> None:
        sock.close()

    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always")
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(accept(listener, serve, 1))
                await asyncio.sleep(0)
                client.connect(listener.getsockname())
                for _ in range(moment):
                    await asyncio.sleep(0)
                accepting.cancel()
        gc.collect()
    assert not mistakes
    assert not [each for each in unclosed if "unclosed" in str(each.message)]


async def test_a_mistake_of_ours_ends_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    """It is told in full, and the next client is served."""
    served = 0

    async def serve(sock: socket.socket) -> None:
        nonlocal served
        served += 1
        sock.close()
        raise KeyError("mistake")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(accept(listener, serve, 1))
            for _ in range(2):
                socket.create_connection(listener.getsockname()).close()
            await soon(lambda: served == 2)
            accepting.cancel()
    assert "a mistake in this program" in caplog.text


async def test_a_listener_that_fails_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a descriptor left the agent waits, and does not end."""
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.01)
    left = 3

    class Listener(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            nonlocal left
            left -= 1
            if left >= 0:
                raise OSError(24, "Too many open files")
            return super().accept()

    served = asyncio.Event()

    async def serve(sock: socket.socket) -> None:
        sock.close()
        served.set()

    with Listener() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(accept(listener, serve, 1))
            socket.create_connection(listener.getsockname()).close()
            await served.wait()
            accepting.cancel()
    assert "cannot accept" in caplog.text
