"""A TLS server of our own, in the place of an enclave. It answers every line with its name.

Asked for evidence, it answers for itself.
"""

import asyncio
import contextlib
import ssl

from l4proxy.demo.tee import DemoTee
from routing import Address, BackendName

# The longest request: our own clients send eight bytes.
_MAX_LINE_BYTES = 1_024

# How long a server waits for the next line.
_PATIENCE_SECONDS = 30.0

_LOOPBACK = "127.0.0.1"


class DemoBackend:
    """A server on a free port of the loopback, which it keeps over `stop` and `start`.

    Attributes:
        name: What it answers; also the subject of its certificate.
        server_name: The name that clients ask for.
        requests: Lines answered.

    """

    def __init__(
        self,
        name: BackendName,
        server_name: str,
        context: ssl.SSLContext,
        tee: DemoTee | None = None,
    ) -> None:
        """Prepare a server; `start` binds it. Without a TEE it can prove nothing."""
        self.name = name
        self.server_name = server_name
        self.requests = 0
        self._context = context
        self._tee = tee
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> Address:
        """Where it listens, or has listened last."""
        return Address(_LOOPBACK, self._port)

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._serve, _LOOPBACK, self._port, ssl=self._context, limit=_MAX_LINE_BYTES
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and cut what is open: as a server does that dies."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            # A client that goes without a word, or whom `stop` cut, is no matter for a demo's log.
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                await self._converse(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await asyncio.wait_for(reader.readline(), _PATIENCE_SECONDS):
            if line.startswith(b"GET ") and self._tee is not None:
                writer.write(await self._tee.answer(line.split()[1].decode()))
                return
            self.requests += 1
            writer.write(f"{self.name}\n".encode())
            await writer.drain()
