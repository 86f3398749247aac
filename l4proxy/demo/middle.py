"""A man in the middle: a proxy that ends TLS, reads, and passes everything on, evidence included.

To a client that does not check he is the service. He lets the enclave prove itself on a connection
of his own, and that is his undoing: its evidence is for another key, or for another connection.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from l4proxy.agent.certificates import Credentials
from l4proxy.agent.libssl import TICKET_KEY
from l4proxy.agent.tls import server_context
from l4proxy.demo.server import Server, ended
from routing import Address

_HTTP = ("http/1.1",)
_CHUNK_BYTES = 64 * 1024
_VALID = timedelta(days=1)


class Middle:
    """Who stands between a client and its service; `standing_between` puts him there.

    Attributes:
        address: Where he waits for clients.
        heard: What clients have told him, in the clear.

    """

    def __init__(self, service: Address, server_name: str) -> None:
        """Wait for nobody yet.

        Args:
            service: Where he passes everything on to.
            server_name: The name that he asks for there.

        """
        self.address = Address("127.0.0.1", 0)
        self.heard = bytearray()
        self._service = service
        self._server_name = server_name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a client's bytes on, and the answers back, until one side has had enough.

        Raises:
            OSError: Nobody is behind him.

        """
        answers, there = await self._connect(writer)
        try:
            with contextlib.suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(reader, there, self.heard))
                    both.create_task(_pass_on(answers, writer))
        finally:
            await ended(there)

    async def _connect(
        self, client: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the service with the protocol that the client has: it asks for the proof."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls: ssl.SSLObject = client.get_extra_info("ssl_object")
        context.set_alpn_protocols([tls.selected_alpn_protocol() or _HTTP[0]])
        return await asyncio.open_connection(
            self._service.host, self._service.port, ssl=context, server_hostname=self._server_name
        )


@contextlib.asynccontextmanager
async def standing_between(middle: Middle, credentials: Credentials) -> AsyncIterator[Middle]:
    """Let him wait for clients while the block runs.

    Args:
        middle: The man.
        credentials: The key that he ends TLS with, and its certificate.

    """
    server = Server(middle.serve, _CHUNK_BYTES)
    middle.address = await server.start(server_context(credentials, os.urandom(TICKET_KEY), _HTTP))
    try:
        yield middle
    finally:
        await server.stop()


def own_credentials(server_name: str) -> Credentials:
    """Return a key of one's own, and a certificate for somebody else's name: anybody can."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name)]), critical=False)
        .sign(key, SHA256())
    )
    return Credentials(
        chain=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        not_after=(now + _VALID).timestamp(),
    )


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray | None = None
) -> None:
    """Copy until one side has gone, and take note of it."""
    while data := await reader.read(_CHUNK_BYTES):
        if heard is not None:
            heard += data
        writer.write(data)
        await writer.drain()
    raise ConnectionError("one side has gone")
