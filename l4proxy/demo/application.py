"""The application in an enclave: a small HTTP server that answers its enclave's name."""

import asyncio

from l4proxy.demo.server import Server
from routing import Address, BackendName

# The longest head of a request: our own clients send fifty bytes.
_MAX_HEAD_BYTES = 1_024

# How long it waits for the next request.
_PATIENCE_SECONDS = 30.0


class Application:
    """It speaks in the clear: only its enclave's agent knows where it is.

    Attributes:
        requests: Those that it has answered.

    """

    def __init__(self, name: BackendName) -> None:
        """Listen nowhere yet.

        Args:
            name: What it answers.

        """
        self.requests = 0
        self._body = f"{name}\n"
        self._server = Server(self._serve, _MAX_HEAD_BYTES)

    async def start(self) -> Address:
        """Listen, and return where."""
        return await self._server.start()

    async def stop(self) -> None:
        """Stop listening, and cut what is open."""
        await self._server.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._body)}\r\n\r\n"
        answer = (head + self._body).encode("ascii")
        while await _request(reader):
            self.requests += 1
            writer.write(answer)
            await writer.drain()


async def _request(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await reader.readuntil(b"\r\n\r\n")
