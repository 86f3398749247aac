"""TLS over memory buffers: what a connection shows of itself, and its ends."""

import asyncio
import socket

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from attestation import EXPORTER, EXPORTER_LABEL
from l4proxy.control.attesting.secure_line import BrokenTls, SecureLine
from l4proxy.control.line import Line
from routing import Address
from sni import ServerName
from tests.e2e.backends import Backend
from tests.l4proxy.control.attesting.enclave import certificate_of, new_key
from tests.l4proxy.control.servers import PATIENCE_SECONDS

# Of a ClientHello: behind two headers, the version and the random.
_SESSION_ID_AT = 5 + 4 + 2 + 32
_DHE = {bytes.fromhex(suite) for suite in ("009e", "009f", "ccaa", "0033", "0039", "0067", "006b")}

KEY = new_key()
CERTIFICATE = certificate_of(KEY)


class Server:
    """Notes the exporter value of its connection and the name that it was asked for."""

    def __init__(self, newest: int = SSL.TLS1_3_VERSION) -> None:
        """Speak up to this version."""
        self.exporter = b""
        self.name: bytes | None = None
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_max_proto_version(newest)
        self._context.use_privatekey(KEY)
        self._context.use_certificate(CERTIFICATE)

    def __call__(self, sock: socket.socket) -> None:
        """Serve one connection: echo once, and say goodbye."""
        sock.settimeout(None)
        tls = SSL.Connection(self._context, sock)
        tls.set_accept_state()
        try:
            tls.do_handshake()
            self.name = tls.get_servername()
            self.exporter = tls.export_keying_material(EXPORTER_LABEL.encode(), EXPORTER)
            tls.sendall(tls.recv(100))
            tls.shutdown()
            tls.recv(1)
        except SSL.Error:
            pass


async def talk(backend: Backend) -> tuple[SecureLine, list[bytes]]:
    """A whole conversation."""
    with Line(Address("127.0.0.1", backend.port)) as line:
        async with asyncio.timeout(5):
            await line.connect()
            over = SecureLine(line, ServerName("app.example.com"))
            await over.greet()
            await over.send(b"hello")
            came = [await over.receive(), await over.receive()]
            await over.leave()
    return over, came


def test_both_ends_have_one_exporter_value() -> None:
    """And the certificate is that of the connection, as it stands."""
    server = Server()
    with Backend(server) as backend:
        over, came = asyncio.run(talk(backend))
    assert came == [b"hello", b""]
    assert over.exporter == server.exporter
    assert over.certificate == CERTIFICATE.public_bytes(Encoding.DER)
    assert over.chain == ()
    assert server.name == b"app.example.com"


def test_older_tls_has_no_exporter_value() -> None:
    """None that would bind to one connection only."""
    with Backend(Server(SSL.TLS1_2_VERSION)) as backend:
        over, came = asyncio.run(talk(backend))
    assert over.exporter is None
    assert came == [b"hello", b""]


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00"])
def test_what_is_no_tls_is_broken(words: bytes) -> None:
    """An end, other words, half a record."""

    def serve(sock: socket.socket) -> None:
        sock.recv(4_096)
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)

    with Backend(serve) as backend, pytest.raises(BrokenTls):
        asyncio.run(talk(backend))


async def test_no_backend_chooses_how_long_we_reckon() -> None:
    """Diffie-Hellman in a group of the backend's own, up to 10,000 bits, is not on offer."""
    heard = bytearray()

    def listens(sock: socket.socket) -> None:
        heard.extend(sock.recv(4_096))

    with Backend(listens) as backend, Line(Address("127.0.0.1", backend.port)) as line:
        await line.connect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises((BrokenTls, OSError)):
                await SecureLine(line, None).greet()
    suites_at = _SESSION_ID_AT + 1 + heard[_SESSION_ID_AT]
    size = int.from_bytes(heard[suites_at : suites_at + 2], "big")
    suites = heard[suites_at + 2 : suites_at + 2 + size]
    offered = {bytes(suites[at : at + 2]) for at in range(0, size, 2)}
    assert offered & {b"\xc0\x2f", b"\x13\x01"}
    assert not offered & _DHE
