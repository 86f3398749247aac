"""A client: TLS to the balancer, a name asked for, the certificate verified."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

from routing import Address, BackendName

# For connecting with TLS, and for each answer: all of it is on this machine.
_PATIENCE_SECONDS = 5.0


class Refused(Exception):
    """The balancer did not let the client in; the text is the alert, as TLS libraries name it."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where clients go in.

    Attributes:
        address: The balancer's.
        trust: The authority that they trust.

    """

    address: Address
    trust: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class DemoClient:
    """One client.

    Attributes:
        source: The loopback address that it comes from; to the balancer its network is who it is.
        server_name: The name that it asks for.

    """

    source: str
    server_name: str

    async def visit(self, door: Door, requests: int = 1, pause: float = 0.0) -> BackendName:
        """Connect, ask so many times, and go; return who answered.

        Args:
            door: Where to go in.
            requests: Lines to send.
            pause: Seconds after each answer.

        Raises:
            Refused: With the alert that the balancer sent.
            OSError: The connection broke.
            TimeoutError: No answer.

        """
        reader, writer = await self._connect(door)
        try:
            owner = _subject(writer)
            for _ in range(requests):
                writer.write(b"who is?\n")
                line = await asyncio.wait_for(reader.readline(), _PATIENCE_SECONDS)
                if not line:
                    raise ConnectionError(f"{owner} went away")
                if line != f"{owner}\n".encode():
                    raise ConnectionError(f"{owner} shows the certificate, {line!r} answers")
                await asyncio.sleep(pause)
            return owner
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _PATIENCE_SECONDS)

    async def _connect(self, door: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(
                door.address.host,
                door.address.port,
                ssl=door.trust,
                server_hostname=self.server_name,
                local_addr=(self.source, 0),
                ssl_handshake_timeout=_PATIENCE_SECONDS,
            )
        except ssl.SSLError as error:
            raise Refused(error.reason or str(error)) from error


def _subject(writer: asyncio.StreamWriter) -> BackendName:
    """Return the name in the subject of the certificate that was shown and verified."""
    certificate: dict[str, tuple[tuple[tuple[str, str], ...], ...]]
    certificate = writer.get_extra_info("peercert")
    return BackendName(certificate["subject"][0][0][1])
