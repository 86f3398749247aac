"""Answers of TLS servers: by hand from their fields, or by Python's own TLS server."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tests.e2e.certificates import Certificate
from tests.sni.hellos import Extension, record, u16, vector

Steps: TypeAlias = list[Callable[[], object]]

NAME = "app.example.com"
CHANGE_CIPHER_SPEC = record(b"\x01", 0x14, 0x0303)
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
TLS_1_3: Extension = (43, u16(0x0304))
ACCEPTED: Extension = (41, u16(0))
KEY_SHARE: Extension = (51, u16(0x001D) + vector(2, bytes(32)))


def message(kind: int, body: bytes = b"") -> bytes:
    """A handshake message."""
    return bytes([kind]) + vector(3, body)


def server_hello(
    *extensions: Extension,
    session_id: bytes = b"",
    random: bytes = bytes(range(32)),
    version: int = 0x0303,
) -> bytes:
    """A ServerHello message; without extensions it has no block of them."""
    body = u16(version) + random + vector(1, session_id) + u16(0x1301) + b"\0"
    if extensions:
        listed = [u16(kind) + vector(2, data) for kind, data in extensions]
        body += vector(2, b"".join(listed))
    return message(2, body)


def new_session_ticket(ticket: bytes) -> bytes:
    """A NewSessionTicket message of TLS 1.2."""
    return message(4, (300).to_bytes(4, "big") + vector(2, ticket))


def full_1_2(session_id: bytes = b"", ticket: bytes | None = b"ticket" * 30) -> bytes:
    """All messages in the clear of a full handshake of TLS 1.2, in one stretch."""
    wire = server_hello(session_id=session_id) + message(11, bytes(2_000)) + message(12, bytes(99))
    return wire + message(14) + (b"" if ticket is None else new_session_ticket(ticket))


@dataclass(frozen=True, slots=True)
class Answers:
    """What a server said to one client, a text for each time that it was its turn."""

    said: Sequence[bytes]
    session: ssl.SSLSession | None
    resumed: bool

    @property
    def wire(self) -> bytes:
        """All of it."""
        return b"".join(self.said)


def server_context(certificate: Certificate, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A server of at most this version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.maximum_version = newest
    return context


class Client:
    """A client that comes back to one server with the session that it has."""

    def __init__(self, server: ssl.SSLContext) -> None:
        """Begins with no session."""
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._session: ssl.SSLSession | None = None

    def visit(self) -> Answers:
        """Shake hands over memory buffers, exchange a byte, end well, and keep the session."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self._server.wrap_bio(to_server, to_client, server_side=True)
        client = self._context.wrap_bio(
            to_client, to_server, server_hostname=NAME, session=self._session
        )
        said = []
        asking: Steps = [client.do_handshake, partial(client.read, 1), client.unwrap]
        answering: Steps = [server.do_handshake, partial(server.write, b"x"), server.unwrap]
        for _ in range(6):
            _go(asking)
            _go(answering)
            said.append(to_client.read())
            to_client.write(said[-1])
        assert not asking + answering
        self._session = client.session
        return Answers([text for text in said if text], client.session, bool(client.session_reused))


def _go(steps: Steps) -> None:
    """Do what can be done without hearing more."""
    while steps:
        try:
            steps[0]()
        except ssl.SSLWantReadError:
            return
        del steps[0]
