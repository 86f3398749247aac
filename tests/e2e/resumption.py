"""A TLS client that comes back, and what its hello shows to everybody on the way."""

import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

import pytest

from sni import HelloPeeker, HelloReceived, offered_tickets
from tests.e2e.backends import Backend
from tests.e2e.balancer import Address
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.sockets import connect

NAME = "app.example.com"

both_versions = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)

REQUEST = b"GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n"


class Visit(NamedTuple):
    """One connection of a client.

    Attributes:
        resumed: Whether the server went on with an earlier session.
        tickets: What the client's hello offered, in the clear.
        certificate: Of the server that this session began with, DER.
        answer: The first of what the server said.
        session: To come back with.
    """

    resumed: bool
    tickets: tuple[bytes, ...]
    certificate: bytes | None
    answer: bytes
    session: ssl.SSLSession


def client_context(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that trusts the authority and speaks one version."""
    context = ssl.create_default_context(cafile=str(authority.root))
    context.minimum_version = context.maximum_version = version
    return context


def visit(
    address: Address,
    client: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    source: str = "",
) -> Visit:
    """Connects, asks, reads the first of the answer, leaves."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(incoming, outgoing, server_hostname=NAME, session=session)
    flights: list[bytes] = []
    with connect(address, source) as sock:

        def exchange(step: Callable[[], bytes | None]) -> bytes:
            """Sends and reads until a step is done."""
            while True:
                try:
                    done = step()
                except ssl.SSLWantReadError:
                    _send(sock, outgoing, flights)
                    incoming.write(_some(sock))
                else:
                    _send(sock, outgoing, flights)
                    return done or b""

        exchange(tls.do_handshake)
        tls.write(REQUEST)
        answer = exchange(tls.read)
    assert tls.session is not None
    offered = _offered(flights[0])
    certificate = tls.getpeercert(binary_form=True)
    return Visit(bool(tls.session_reused), offered, certificate, answer, tls.session)


def server_context(own: Certificate) -> ssl.SSLContext:
    """A server of Python's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    return context


def repeating(context: ssl.SSLContext) -> Backend:
    """A TLS server that repeats what it was told."""

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(tls.recv(1_000))

    return Backend(serve)


def _send(sock: socket.socket, outgoing: ssl.MemoryBIO, flights: list[bytes]) -> None:
    flight = outgoing.read()
    if flight:
        flights.append(flight)
        sock.sendall(flight)


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    assert data, "the server left in the middle"
    return data


def _offered(flight: bytes) -> tuple[bytes, ...]:
    peeker = HelloPeeker()
    peeker.receive_data(flight)
    event = peeker.next_event()
    assert isinstance(event, HelloReceived)
    return tuple(offered_tickets(event.hello))
