"""Promises of `l4proxy.agent.stream`: bytes arrive, halves end, and nothing waits for ever."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import pytest

from l4proxy.agent.stream import Stream
from l4proxy.agent.tls import server_context
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.parts import PATIENCE, client_context

BULK = bytes(range(256)) * 40_000


@contextlib.asynccontextmanager
async def plain() -> AsyncIterator[tuple[Stream, Stream]]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for sock in (one, other):
        sock.setblocking(False)
    here, there = Stream(one), Stream(other)
    try:
        async with asyncio.timeout(PATIENCE):
            yield here, there
    finally:
        here.close()
        there.close()


@contextlib.asynccontextmanager
async def encrypted() -> AsyncIterator[tuple[Stream, Stream]]:
    """A client's end and a server's end of TLS, after the handshake."""
    context = server_context(credentials(), bytes(80), ())
    async with plain() as (one, other):
        client = client_context().wrap_socket(
            one.socket, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        server = context.wrap_socket(
            other.socket,
            server_side=True,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        here, there = Stream(client), Stream(server)
        try:
            await asyncio.gather(here.handshake(), there.handshake())
            yield here, there
        finally:
            here.close()
            there.close()


both = pytest.mark.parametrize("ends", [plain, encrypted])
Ends = Callable[[], contextlib.AbstractAsyncContextManager[tuple[Stream, Stream]]]


async def _all(stream: Stream) -> bytes:
    data = bytearray()
    while part := await stream.read():
        data += part
    return bytes(data)


@both
async def test_more_than_the_kernel_holds_arrives(ends: Ends) -> None:
    """Ten megabytes go both ways at once, to the byte, each half to its end."""
    async with ends() as (here, there):

        async def say(stream: Stream) -> None:
            await stream.write(BULK)
            await stream.end()

        *_, left, right = await asyncio.gather(say(here), say(there), _all(here), _all(there))
    assert left == right == BULK


@both
async def test_a_half_goes_on_after_the_other_has_ended(ends: Ends) -> None:
    """Who has said all may still hear."""
    async with ends() as (here, there):
        await here.end()
        assert await there.read() == b""
        await there.write(b"still here")
        assert await here.read() == b"still here"


async def test_an_end_that_was_cut_off_is_no_end() -> None:
    """Without its close_notify the end of TLS is a fault: somebody else may have made it."""
    async with encrypted() as (here, there):
        socket.socket.shutdown(here.socket, socket.SHUT_WR)
        with pytest.raises(ssl.SSLEOFError):
            await there.read()


async def test_a_broken_connection_is_told() -> None:
    """A reset is heard by who reads, who writes and who ends."""
    async with encrypted() as (here, there):
        await here.write(b"x")
        here.close(abort=True)
        with pytest.raises(OSError):  # noqa: PT011 - any fault of a socket
            await _all(there)
        with pytest.raises(OSError):  # noqa: PT011 - as above
            await there.end()


async def test_a_wait_that_was_given_up_does_not_disturb_the_next() -> None:
    """Two may wait for the same end, and one of them may leave."""
    async with plain() as (here, there):
        async with asyncio.TaskGroup() as tasks:
            gone = tasks.create_task(here.read())
            stays = tasks.create_task(here.read())
            await asyncio.sleep(0)
            gone.cancel()
            await there.write(b"word")
        assert stays.result() == b"word"


async def test_a_handshake_with_noise_fails() -> None:
    """What is no TLS is an error, told at once."""
    context = server_context(credentials(), bytes(80), ())
    async with plain() as (here, there):
        server = Stream(
            context.wrap_socket(there.socket, server_side=True, do_handshake_on_connect=False)
        )
        try:
            await here.write(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ssl.SSLError):
                await server.handshake()
        finally:
            server.close()


def test_closing_a_unix_socket_needs_no_reset() -> None:
    """There is no reset on it, and closing it says enough."""

    async def close() -> None:
        one, other = socket.socketpair()
        Stream(one).close(abort=True)
        other.close()

    asyncio.run(close())
