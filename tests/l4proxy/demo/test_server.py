"""A server of the demo ends with all that it has."""

import asyncio

import pytest

from l4proxy.demo.server import Server, ended


async def test_its_connections_end_with_it() -> None:
    """A connection in the middle of something is cut, and nobody listens any more."""
    begun = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        begun.set()
        await reader.read()

    server = Server(wait, 1_000)
    address = await server.start()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    assert await reader.readexactly(5) == b"hello"
    await begun.wait()
    await server.stop()
    assert not await reader.read()
    await ended(writer)
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)
