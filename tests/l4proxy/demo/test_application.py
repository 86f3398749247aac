"""The application in an enclave of the demo."""

import asyncio
import contextlib

import pytest

from l4proxy.demo.application import Application
from routing import BackendName

REQUEST = b"GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nalpha\n"


async def test_it_answers_its_name() -> None:
    """Each request of a connection is answered and counted; then nobody listens any more."""
    application = Application(BackendName("alpha"))
    address = await application.start()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    for _ in range(2):
        writer.write(REQUEST)
        assert await reader.readexactly(len(ANSWER)) == ANSWER
    writer.close()
    await writer.wait_closed()
    await application.stop()
    assert application.requests == 2
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


async def test_nonsense_ends_the_connection() -> None:
    """Who sends no request, or one without an end, hears nothing."""
    application = Application(BackendName("alpha"))
    address = await application.start()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(bytes(10_000))
    writer.write_eof()
    with contextlib.suppress(ConnectionResetError):  # it had not read all of it
        assert not await reader.read()
    writer.close()
    await application.stop()
    assert not application.requests
