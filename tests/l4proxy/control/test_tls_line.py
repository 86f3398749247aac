"""Tests of TLS over a line: what is said both ways, what came last, and who has gone."""

import asyncio
import ssl

import pytest

from l4proxy.control.line import Line
from l4proxy.control.tls_line import TlsLine
from routing import Address
from sni import HelloPeeker, HelloReceived, ServerName
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate, backend

NAME = ServerName("app.example.com")
ALERT = bytes.fromhex("15 0303 0002 02 28")


class Scripted(Line):
    """A line whose backend says what was written down, and takes the hello alone."""

    def __init__(self, *says: bytes) -> None:
        super().__init__(Address("127.0.0.1", 1))
        self.says = list(says)
        self.heard: list[bytes] = []

    async def send(self, data: bytes) -> None:
        """Take the hello; all else, and be it nothing, meets a reset."""
        if self.heard:
            raise ConnectionResetError
        self.heard.append(data)

    async def receive(self) -> bytes:
        """Return what is written down; nothing at its end."""
        return self.says.pop(0) if self.says else b""


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A script: say back what came first."""
    writer.write(await reader.read(100))
    await writer.drain()


async def test_what_is_sent_comes_back(certificate: Certificate) -> None:
    """A handshake shows the certificate, bytes go both ways, and the end is in good order."""
    async with (
        backend(echoes, certificate.context()) as visits,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        with Line(visits.address) as line:
            await line.connect()
            over = TlsLine(line, NAME)
            assert (over.greeted, over.certificate) == (False, b"")
            await over.greet()
            shown = ssl.DER_cert_to_PEM_cert(over.certificate)
            assert shown == certificate.chain.read_text(encoding="ascii")
            assert over.greeted
            await over.send(b"hello")
            assert await over.receive() == b"hello"
            await over.leave()
        assert await visits.ended() == "fin"


async def test_a_reset_does_not_hide_what_came_before_it() -> None:
    """A backend that sends an alert in pieces and resets is heard out: nothing is sent to it."""
    with Scripted(ALERT[:3], ALERT[3:]) as line:
        over = TlsLine(line, NAME)
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await over.greet()
        assert over.tail == ALERT


async def test_an_early_end_is_told_apart() -> None:
    """A backend that closes in the handshake has sent no alert, and not broken TLS."""
    with Scripted() as line, pytest.raises(ssl.SSLEOFError):
        await TlsLine(line, NAME).greet()


@pytest.mark.parametrize("http", [True, False])
async def test_the_hello_says_what_was_asked_for(http: bool) -> None:
    """The name stands in the hello, and a protocol only where there will be a request."""
    with Scripted() as line:
        with pytest.raises(ssl.SSLEOFError):
            await TlsLine(line, NAME, http=http).greet()
        peeker = HelloPeeker()
        peeker.receive_data(line.heard[0])
    said = peeker.next_event()
    assert isinstance(said, HelloReceived)
    assert (said.hello.server_name, said.hello.alpn) == (NAME, (b"http/1.1",) if http else ())


async def test_no_backend_chooses_how_long_we_reckon() -> None:
    """Diffie-Hellman in a group of the backend's own, up to 10,000 bits, is not on offer."""
    with Scripted() as line:
        context = TlsLine(line, NAME).tls.context
    assert {each["kea"] for each in context.get_ciphers()} == {"kx-any", "kx-ecdhe"}
