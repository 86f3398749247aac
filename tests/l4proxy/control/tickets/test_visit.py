"""Tests of one visit: what servers of every kind give, refuse, or never say."""

import asyncio
import resource
import socket
import ssl
from pathlib import Path

import pytest

from l4proxy.control.tickets import visit as room
from l4proxy.control.tickets.visit import LASTING, Approach, TicketFault, Visit, visit
from routing import Address
from sni import HelloPeeker, ServerName
from tests.e2e.backends import Backend
from tests.l4proxy.control.servers import PATIENCE_SECONDS, Certificate, Script, backend
from tests.l4proxy.control.test_probe import forever, resets, says, then_ends
from tests.l4proxy.control.tickets.stacks import address_of, python_server
from tests.ports import free_port

NAME = ServerName("app.example.com")
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
both_versions = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
HANDSHAKE_FAILURE = bytes.fromhex("15 0303 0002 02 28")


def context_of(certificate: Certificate, version: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    """A server's context for one version."""
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    return context


def patient(address: Address) -> Approach:
    """An approach that waits long enough."""
    return Approach(address, NAME, timeout=PATIENCE_SECONDS)


@both_versions
async def test_a_ticket_is_taken_and_accepted(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """A full handshake gives a ticket; who comes back with it is resumed."""
    with python_server(context_of(certificate, version)) as server:
        first = await visit(patient(address_of(server)))
        assert first.ticket is not None
        assert (first.fault, first.resumed, first.lifetime) == (None, False, 7_200.0)
        assert first.version == ("TLSv1.2" if version is TLS12 else "TLSv1.3")
        again = await visit(patient(address_of(server)), first.session)
        assert (again.fault, again.resumed) == (None, True)
        second = await visit(patient(address_of(server)))
        assert second.ticket is not None
        assert not second.resumed
        assert second.ticket.start[:16] == first.ticket.start[:16]
        assert second.ticket.start != first.ticket.start


async def test_another_server_does_not_resume(certificate: Certificate) -> None:
    """A ticket of one is worth nothing at another, and costs nothing either."""
    one, other = context_of(certificate), context_of(certificate)
    with python_server(one) as server, python_server(other) as stranger:
        shown = await visit(patient(address_of(server)))
        elsewhere = await visit(patient(address_of(stranger)), shown.session)
        assert (elsewhere.fault, elsewhere.resumed) == (None, False)


@both_versions
async def test_a_client_certificate_is_told_apart(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """A server that serves only clients with a certificate is recognised as such."""
    context = context_of(certificate, version)
    context.load_verify_locations(certificate.chain)
    context.verify_mode = ssl.CERT_REQUIRED
    with python_server(context) as server:
        assert (await visit(patient(address_of(server)))).fault is TicketFault.CLIENT_CERTIFICATE


@both_versions
async def test_a_certificate_that_is_only_asked_for_is_no_fault(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """A server that would like a certificate gives tickets without."""
    context = context_of(certificate, version)
    context.load_verify_locations(certificate.chain)
    context.verify_mode = ssl.CERT_OPTIONAL
    with python_server(context) as server:
        assert (await visit(patient(address_of(server)))).ticket is not None


@both_versions
async def test_tickets_that_are_off(certificate: Certificate, version: ssl.TLSVersion) -> None:
    """A server without tickets is waited for a moment at most; in TLS 1.2 not at all."""
    context = context_of(certificate, version)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    with python_server(context) as server:
        came = await visit(patient(address_of(server)))
        assert (came.fault, came.ticket) == (TicketFault.NO_TICKETS, None)


async def test_a_server_that_says_goodbye_gives_no_ticket(certificate: Certificate) -> None:
    """A close_notify instead of a ticket is an answer; a stream that ends without is a failure."""
    context = context_of(certificate)
    context.num_tickets = 0

    def leaves(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.unwrap()

    def hangs_up(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.shutdown(socket.SHUT_WR)
            tls.recv(100)

    with Backend(leaves) as polite, Backend(hangs_up) as rude:
        assert (await visit(patient(address_of(polite)))).fault is TicketFault.NO_TICKETS
        assert (await visit(patient(address_of(rude)))).fault is TicketFault.TLS_FAILED


async def test_a_request_is_sent_where_it_is_asked_for(certificate: Certificate) -> None:
    """Preamble, handshake, request over HTTP/1.1; the answer is passed over for the ticket."""
    heard: list[object] = []
    context = context_of(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.num_tickets = 0

    def serve(sock: socket.socket) -> None:
        heard.append(sock.recv(5))
        with context.wrap_socket(sock, server_side=True) as tls:
            heard.extend([tls.selected_alpn_protocol(), tls.recv(100)])
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000)
            tls.recv(100)

    with Backend(serve) as server:
        approach = Approach(address_of(server), NAME, b"first", b"GET / HTTP/1.1\r\n\r\n")
        assert (await visit(approach)).fault is TicketFault.NO_TICKETS
    assert heard == [b"first", "http/1.1", b"GET / HTTP/1.1\r\n\r\n"]


async def test_the_server_sees_a_client_that_behaves(certificate: Certificate) -> None:
    """It gets the pool's name, close_notify and the end of the stream, and no reset."""
    names: list[str] = []
    context = context_of(certificate)
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    async with backend(context=context) as visits:
        assert (await visit(patient(visits.address))).fault is None
        assert await visits.ended() == "fin"
        assert (await visit(Approach(visits.address))).fault is None
    assert names == [NAME, None]


async def test_a_ticket_that_fits_no_hello_is_none(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No client could come back through a balancer with it, so that it names nothing."""
    monkeypatch.setattr(room, "HelloPeeker", Refusing)
    with python_server(context_of(certificate)) as server:
        assert (await visit(patient(address_of(server)))).fault is TicketFault.NO_TICKETS


class Refusing(HelloPeeker):
    """A reader of hellos to whom every hello is too long."""

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take nothing."""


# --- hostile and broken backends ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), TicketFault.TLS_FAILED),
        (says(bytes(range(256)) * 10), TicketFault.TLS_FAILED),
        (says(HANDSHAKE_FAILURE), TicketFault.TLS_FAILED),
        (then_ends(), TicketFault.TLS_FAILED),
        (then_ends(b"\x16\x03\x03"), TicketFault.TLS_FAILED),
        (forever(b"\x16\x03\x03\x40\x00" + bytes(16_384)), TicketFault.TLS_FAILED),
        (forever(bytes.fromhex("160303 0004 00000000")), TicketFault.TLS_FAILED),
        (resets, TicketFault.TLS_FAILED),
    ],
    ids=["http", "garbage", "alert", "end", "stump", "flood", "empty-messages", "reset"],
)
async def test_whatever_comes_comes_to_a_fault(script: Script, fault: TicketFault) -> None:
    """Garbage, floods and broken streams are a fault of the backend, and one that may pass."""
    async with backend(script) as visits:
        assert (await visit(patient(visits.address))) == Visit(fault)
    assert fault not in LASTING


async def test_a_flood_behind_the_handshake_has_an_end(certificate: Certificate) -> None:
    """A server that talks without end and gives no ticket is listened to up to the bound."""
    context = context_of(certificate)
    context.num_tickets = 0

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            try:
                while True:
                    tls.sendall(bytes(65_536))
            except OSError:
                pass

    with Backend(serve) as server:
        assert (await visit(patient(address_of(server)))).fault is TicketFault.TLS_FAILED


async def test_a_silent_backend_is_left_when_the_time_is_over() -> None:
    """Whoever accepts and says nothing costs the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        approach = Approach(Address(*silent.getsockname()), NAME, timeout=0.2)
        assert await visit(approach) == Visit(TicketFault.TIMEOUT)


async def test_a_full_queue_is_silence_too(tmp_path: Path) -> None:
    """A backend that accepts nobody costs the timeout as well."""
    path = str(tmp_path / "backend.sock")
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as other:
        full.bind(path)
        full.listen(0)
        other.connect(path)
        assert await visit(Approach(Address(path, 0), timeout=0.2)) == Visit(TicketFault.TIMEOUT)


async def test_nobody_there_is_unreachable() -> None:
    """Whoever does not listen is unreachable, and a path without a file as well."""
    address = Address("127.0.0.1", free_port())
    assert (await visit(patient(address))).fault is TicketFault.UNREACHABLE
    assert (await visit(patient(Address("/nowhere/at/all", 0)))).fault is TicketFault.UNREACHABLE


async def test_want_of_our_own_is_not_the_backends_fault() -> None:
    """Without descriptors nothing is said of the backend."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # whatever comes next is too much
    try:
        came = await visit(patient(Address("127.0.0.1", 1)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert came == Visit(TicketFault.LOCAL)


async def test_a_visit_can_be_cancelled() -> None:
    """Who waits for a silent backend stops when told to."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await visit(patient(Address(*silent.getsockname())))
