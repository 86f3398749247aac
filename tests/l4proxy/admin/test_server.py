"""The admin API's server: real sockets, bounded in what it spends on them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from l4proxy.admin import server
from l4proxy.admin.pages import reader
from l4proxy.admin.replies import Handler
from l4proxy.admin.server import MAX_CONNECTIONS, MAX_REQUEST_BYTES, serve_admin
from tests.l4proxy.telemetry.fake import FakeBalancer

PATIENCE = 20.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Port = int

READER = reader(FakeBalancer())


@contextlib.asynccontextmanager
async def serving(reply: Handler = READER) -> AsyncIterator[Port]:
    """The admin API of a fake balancer on a free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    port: Port = sock.getsockname()[1]
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve_admin(sock, reply))
        yield port
        task.cancel()


@contextlib.asynccontextmanager
async def connected(port: Port) -> AsyncIterator[Streams]:
    """A connection to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(streams: Streams, path: str = "/healthz") -> bytes:
    """The head of an answer."""
    reader, writer = streams
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return await reader.readuntil(b"\r\n\r\n")


async def test_it_answers_over_http() -> None:
    """A client gets its page, and another over the same connection."""
    async with serving() as port, connected(port) as streams:
        assert (await ask(streams)).startswith(b"HTTP/1.1 200")
        await streams[0].readuntil(b"}\n")
        assert (await ask(streams, "/nope")).startswith(b"HTTP/1.1 404")


async def test_one_connection_too_many_is_closed() -> None:
    """Beyond the bound a connection is closed unheard, and those before it are served on."""
    async with serving() as port, contextlib.AsyncExitStack() as stack:
        first = [await stack.enter_async_context(connected(port)) for _ in range(MAX_CONNECTIONS)]
        assert (await ask(first[-1])).startswith(b"HTTP/1.1 200")
        async with connected(port) as (reader, _):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert (await ask(first[0])).startswith(b"HTTP/1.1 200")


async def test_a_place_becomes_free_again() -> None:
    """When a connection ends, the next is admitted."""
    async with serving() as port:
        for _ in range(MAX_CONNECTIONS * 2):
            async with connected(port) as streams:
                assert (await ask(streams)).startswith(b"HTTP/1.1 200")


async def test_who_stays_too_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is open over a whole period ends, whatever it is doing."""
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.05)
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: local")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_a_reader_that_does_not_read_delays_nobody() -> None:
    """While one client takes no byte of its answers, another is served."""
    async with serving() as port, connected(port) as (_, slow), connected(port) as quick:
        for _ in range(200):
            slow.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await ask(quick)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * MAX_REQUEST_BYTES * 2 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * MAX_REQUEST_BYTES * 2 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 1000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"nonsense\r\n\r\n",
    ],
)
async def test_requests_are_small(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A request over the bounds, or none at all, is refused, closed, and fills no log."""
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(request_)
        assert b" 400 " in await reader.readline()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_our_own_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A page that fails is answered with 500, and its traceback is in the log."""

    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        raise ZeroDivisionError

    async with serving(broken) as port, connected(port) as streams:
        assert b" 500 " in await ask(streams)
    assert "ZeroDivisionError" in caplog.text


async def test_its_end_closes_everything() -> None:
    """When it is cancelled, no connection and no listening socket is left."""
    async with contextlib.AsyncExitStack() as stack:
        async with serving() as port:
            reader, _ = await stack.enter_async_context(connected(port))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
