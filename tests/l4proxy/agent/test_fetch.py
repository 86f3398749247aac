"""Promises of `l4proxy.agent.fetch`: one deadline, one bound, and no guess at an answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from l4proxy.agent.fetch import BadAnswer, Bounds, HttpAnswer, Request, fetch
from l4proxy.agent.tls import reader_context
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.parts import NAME, PATIENCE

BOUNDS = Bounds(PATIENCE, 100)
CHUNKED = b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def server(
    answer: bytes, context: ssl.SSLContext | None = None, *, ends: bool = True
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers so; its port, and what it was asked."""
    asked: list[bytes] = []
    over = asyncio.Event()
    over.set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over.clear()
        with suppress(ConnectionError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            if not ends:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        over.set()

    made = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with made:
        yield made.sockets[0].getsockname()[1], asked
        await over.wait()


async def test_a_page_is_fetched() -> None:
    """With a query, by its name, and one request a connection."""
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (port, asked):
        found = await fetch(Request(f"http://localhost:{port}/m?a=b"), BOUNDS)
    assert found == HttpAnswer(200, b"hi")
    assert asked[0].startswith(b"GET /m?a=b HTTP/1.1\r\n")
    assert b"Host: localhost:%d\r\nConnection: close\r\n" % port in asked[0]


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (CHUNKED + b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"),
    ],
)
async def test_content_comes_in_three_ways(answer: bytes, content: bytes) -> None:
    """By its length (above), to the end of the connection, and in chunks (RFC 9112 §6)."""
    async with server(answer) as (port, _):
        assert (await fetch(Request(f"http://127.0.0.1:{port}"), BOUNDS)).content == content


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "no answer in HTTP/1"),
        (b"220 hello\r\n\r\n", "no answer in HTTP/1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no answer in HTTP/1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "2 bytes, and 9 were announced"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(101), "expected at most 100"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1 << 20), "expected at most 100"),
        (CHUNKED + b"3\r\nab", "within a chunk"),
        (CHUNKED + b"-1\r\nab", "within a chunk"),
    ],
)
async def test_other_answers_are_told(answer: bytes, message: str) -> None:
    """Noise, a half of an answer, and too much are never taken for one."""
    async with server(answer) as (port, _):
        with pytest.raises(BadAnswer, match=message):
            await fetch(Request(f"http://127.0.0.1:{port}"), BOUNDS)


async def test_there_is_one_deadline() -> None:
    """A server that goes on without an end is given up."""
    async with server(b"HTTP/1.1 200 OK\r\n\r\nab", ends=False) as (port, _):
        with pytest.raises(TimeoutError, match="no answer within 0 s"):
            await fetch(Request(f"http://127.0.0.1:{port}"), Bounds(0.05, 100))


async def test_a_server_has_to_be_trusted(tmp_path: Path) -> None:
    """Over TLS its certificate is checked, by name and authority."""
    mine = credentials()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(mine.chain)
    async with server(b"HTTP/1.0 200 OK\r\n\r\n", reader_context(mine)) as (port, _):
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            await fetch(Request(f"https://127.0.0.1:{port}", ca=ca), BOUNDS)
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            await fetch(Request(f"https://127.0.0.1:{port}"), BOUNDS)


async def test_a_trusted_server_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is posted arrives over TLS."""
    mine = credentials()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(mine.chain)
    found = [(2, 1, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    async with server(b"HTTP/1.0 200 OK\r\n\r\nok", reader_context(mine)) as (port, asked):
        request = Request(f"https://{NAME}:{port}/sign", b"content", "text/plain", ca)
        assert (await fetch(request, BOUNDS)).content == b"ok"
    assert b"Content-Type: text/plain\r\nContent-Length: 7\r\n" in asked[0]


async def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its address and the reason; a name without an address too."""
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1: Connection refused"):
        await fetch(Request("http://127.0.0.1:1"), BOUNDS)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [])
    with pytest.raises(OSError, match="has no address"):
        await fetch(Request("http://nowhere"), BOUNDS)


async def test_a_handshake_that_is_cut_off_is_told() -> None:
    """It has no number, and is no success."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    made = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with made:
        port = made.sockets[0].getsockname()[1]
        expected = rf"127\.0\.0\.1:{port}: (it has cut the connection off|Connection reset)"
        with pytest.raises(ConnectionError, match=expected):
            await fetch(Request(f"https://127.0.0.1:{port}"), BOUNDS)
