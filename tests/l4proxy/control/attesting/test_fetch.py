"""Visits to enclaves for their evidence: honest ones, and the rest."""

import asyncio
import socket
import time
from dataclasses import dataclass

import pytest
from OpenSSL import SSL

from attestation import Evidence, Policy, judge
from l4proxy.config import EvidenceSource
from l4proxy.control.attesting.ask import MAX_HEAD_BYTES
from l4proxy.control.attesting.fetch import Fetched, FetchFault, Manner, fetch
from l4proxy.control.tickets.visit import Approach
from l4proxy.evidence_wire import MAX_ANSWER, Answer, Question, encode_answer
from routing import Address
from sni import ServerName
from tests.e2e.backends import Backend
from tests.e2e.sockets import to_the_end
from tests.l4proxy.control.attesting.enclave import (
    KINDS,
    Enclave,
    Endpoint,
    http,
    policy,
    running,
    spki_of,
)

NONCE = policy(freshness={"mode": "nonce"})
EXPORTER = policy()
MAX_AGE = policy(freshness={"max_age": "10m"})


def visit(
    backend: Backend, asked: Policy, *, certificate: bool = False, timeout: float = 5.0
) -> Fetched:
    """One visit."""
    source = EvidenceSource.CERTIFICATE if certificate else EvidenceSource.WELL_KNOWN
    address = Address("127.0.0.1", backend.port)
    approach = Approach(address, ServerName("app.example.com"), timeout=timeout)
    return asyncio.run(fetch(approach, Manner.by(asked, source)))


def refusal(fetched: Fetched, asked: Policy) -> str:
    """What refuses the evidence of a visit; empty: nothing does."""
    assert fetched.fault is None, fetched
    assert fetched.evidence is not None
    assert fetched.expectation is not None
    result = judge(fetched.evidence, asked, KINDS, fetched.expectation, time.time())
    return "" if result.reason is None else result.reason.name


@pytest.mark.parametrize("asked", [NONCE, EXPORTER, MAX_AGE], ids=["nonce", "exporter", "age"])
def test_an_honest_enclave_is_believed(asked: Policy) -> None:
    """By each kind of freshness, on the connection that it was asked on."""
    enclave = Enclave()
    with running(enclave) as backend:
        fetched = visit(backend, asked)
    assert refusal(fetched, asked) == ""
    assert fetched.expectation is not None
    assert fetched.expectation.spki == spki_of(enclave.key)
    (target,) = enclave.asked
    wanted = "binding=exporter" if asked is EXPORTER else "nonce="
    assert target.startswith(f"/.well-known/attestation?{wanted}")


def test_each_visit_asks_with_a_nonce_of_its_own() -> None:
    """So that no answer fits twice."""
    enclave = Enclave()
    with running(enclave) as backend:
        visit(backend, NONCE)
        visit(backend, NONCE)
    assert len(set(enclave.asked)) == 2


def test_an_enclave_that_speaks_no_http_proves_itself_by_alpn() -> None:
    """Unasked, for this connection; a nonce it cannot be asked with."""
    enclave = Enclave(framed=True)
    with running(enclave) as backend:
        assert refusal(visit(backend, EXPORTER), EXPORTER) == ""
        assert visit(backend, NONCE, timeout=0.5).evidence is None
    assert not enclave.asked


@pytest.mark.parametrize("words", [b"", b"\0\0\0", b"\0\0\0\x05ab", b"\xff\xff\xff\xff", bytes(4)])
def test_what_is_no_frame_is_told(words: bytes) -> None:
    """Cut short, too long, empty."""

    @dataclass
    class Liar(Enclave):
        def _prove(self, connection: SSL.Connection) -> None:
            connection.sendall(words)
            connection.shutdown()
            connection.recv(1)

    with running(Liar(framed=True)) as backend:
        fetched = visit(backend, EXPORTER)
    assert fetched.fault in {FetchFault.NO_ANSWER, FetchFault.MALFORMED}


def test_evidence_in_the_certificate_is_read() -> None:
    """Where it stands, its key is that of the connection; nothing is asked for."""
    enclave = Enclave(in_certificate=True)
    with running(enclave) as backend:
        fetched = visit(backend, MAX_AGE, certificate=True)
    assert refusal(fetched, MAX_AGE) == ""
    assert not enclave.asked


def test_what_else_a_certificate_holds_is_not_asked_for() -> None:
    """Evidence that is no good where nobody looks for it bars nobody."""
    crowd = {str(n): b"" for n in range(20)}  # more than any evidence has
    broken = Enclave(in_certificate=True, lent=Evidence("nitro", b"", crowd))
    with running(broken) as backend:
        assert visit(backend, MAX_AGE, certificate=True).fault is FetchFault.MALFORMED
        assert refusal(visit(backend, NONCE), NONCE) == ""


def test_a_certificate_without_evidence_is_told() -> None:
    """Absence is a fault, never "nothing to check"."""
    with running(Enclave()) as backend:
        fetched = visit(backend, MAX_AGE, certificate=True)
    assert (fetched.fault, fetched.evidence) == (FetchFault.NO_EVIDENCE, None)
    assert fetched.certificate


def test_a_replayed_nonce_is_refused() -> None:
    """Evidence that answered another question proves nothing now."""
    old = Question(b"o" * 32)

    def replay(enclave: Enclave, connection: SSL.Connection, target: str) -> bytes:
        return http(encode_answer(Answer(enclave.evidence(old, connection))))

    with running(Enclave(endpoint=replay)) as backend:
        assert refusal(visit(backend, NONCE), NONCE) == "nonce"


@pytest.mark.parametrize("asked", [NONCE, EXPORTER], ids=["nonce", "exporter"])
def test_evidence_of_another_connection_is_refused(asked: Policy) -> None:
    """A relay has a key of its own, or another connection: its evidence is the enclave's."""
    enclave = Enclave()
    with running(enclave) as behind:

        def relay(own: Enclave, connection: SSL.Connection, target: str) -> bytes:
            plain = socket.create_connection(("127.0.0.1", behind.port))
            inner = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), plain)
            inner.set_connect_state()
            inner.do_handshake()
            inner.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            came = b""
            try:
                while data := inner.recv(65_536):
                    came += data
            except SSL.ZeroReturnError:
                pass
            plain.close()
            return came

        with running(Enclave(endpoint=relay)) as between:
            assert refusal(visit(between, asked), asked) == "key_binding"
        # With the enclave's own key in its hands a relay is found out by the exporter alone.
        with running(Enclave(key=enclave.key, endpoint=relay)) as between:
            found = refusal(visit(between, asked), asked)
            assert found == ("exporter" if asked is EXPORTER else "")


def answering(answer: bytes) -> Endpoint:
    """The same bytes to every question."""
    return lambda _enclave, _connection, _target: answer


GARBAGE = [
    (b"garbage\r\n\r\n", FetchFault.NO_ANSWER, "no HTTP"),
    (b"", FetchFault.NO_ANSWER, "the end of the connection before a body"),
    (b"x" * (MAX_HEAD_BYTES + 1), FetchFault.NO_ANSWER, "before a body"),
    (http(b"", status="404 Not Found"), FetchFault.NO_ANSWER, "status 404"),
    (b"HTTP/1.1 200 OK\r\n\r\nbody", FetchFault.NO_ANSWER, "no length"),
    (http(b"short", 6), FetchFault.NO_ANSWER, "after 5 of 6 bytes"),
    (http(b"longer", 5), FetchFault.NO_ANSWER, "more than the 5 bytes"),
    (http(b"", MAX_ANSWER + 1), FetchFault.NO_ANSWER, "are the most"),
    (http(b"", 10**12), FetchFault.NO_ANSWER, "no length"),
    (http(b"no CBOR"), FetchFault.MALFORMED, "answer"),
    (http(b""), FetchFault.MALFORMED, "answer"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        FetchFault.NO_ANSWER,
        "transfer encoding",
    ),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
        FetchFault.NO_ANSWER,
        "no length, or several",
    ),
]


@pytest.mark.parametrize(("answer", "fault", "said"), GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_answer_is_told(answer: bytes, fault: FetchFault, said: str) -> None:
    """Garbage, lies about the length, too much: each comes to a fault that names it."""
    with running(Enclave(endpoint=answering(answer))) as backend:
        fetched = visit(backend, NONCE)
    assert fetched.fault is fault, fetched
    assert said in fetched.detail
    assert fetched.certificate
    assert fetched.evidence is None


def test_an_endless_answer_is_cut_off() -> None:
    """Whatever length it states, no more is read than anybody needs."""
    body = http(b"x" * (2 * MAX_ANSWER), MAX_ANSWER)
    with running(Enclave(endpoint=answering(body))) as backend:
        assert visit(backend, NONCE).fault in {FetchFault.TOO_LONG, FetchFault.NO_ANSWER}


def test_a_slow_enclave_costs_its_timeout() -> None:
    """Bytes that trickle in do not buy more time."""

    def trickle(_enclave: Enclave, connection: SSL.Connection, _target: str) -> bytes:
        for byte in http(b"x" * 1_000):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
        return b""

    with running(Enclave(endpoint=trickle)) as backend:
        fetched = visit(backend, NONCE, timeout=0.5)
    assert fetched.fault is FetchFault.TIMEOUT
    assert fetched.certificate


def test_a_silent_backend_costs_its_timeout() -> None:
    """Nobody waits longer for a hello than a visit may take."""

    def silent(sock: socket.socket) -> None:
        to_the_end(sock)

    with Backend(silent) as backend:
        assert visit(backend, NONCE, timeout=0.3).fault is FetchFault.TIMEOUT


def test_what_does_not_speak_tls_is_told() -> None:
    """A plain server."""

    def plain(sock: socket.socket) -> None:
        sock.recv(4_096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Backend(plain) as backend:
        assert visit(backend, NONCE).fault is FetchFault.TLS_FAILED


def test_nobody_there_is_told() -> None:
    """A port on which nobody listens."""
    with running(Enclave()) as backend:
        pass
    fetched = visit(backend, NONCE)
    assert (fetched.fault, fetched.certificate) == (FetchFault.UNREACHABLE, b"")


def test_an_exporter_needs_tls_1_3() -> None:
    """Older versions have none that is safe; a nonce will do there."""
    with running(Enclave(newest=SSL.TLS1_2_VERSION)) as backend:
        fetched = visit(backend, EXPORTER)
        assert fetched.fault is FetchFault.NO_ANSWER
        assert "1.3" in fetched.detail
        assert refusal(visit(backend, NONCE), NONCE) == ""


def test_evidence_of_another_key_is_refused() -> None:
    """What stands in a certificate must speak of that certificate's own key."""
    lender = Enclave(in_certificate=True)
    with running(lender) as backend:
        lent = visit(backend, MAX_AGE, certificate=True).evidence
    borrower = Enclave(in_certificate=True, lent=lent)
    with running(borrower) as backend:
        assert refusal(visit(backend, MAX_AGE, certificate=True), MAX_AGE) == "key_binding"
