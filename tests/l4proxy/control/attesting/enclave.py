"""Simulated enclaves that end TLS and answer for themselves, well or as a test wants it."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from attestation import (
    CMW_EXTENSION,
    EXPORTER,
    EXPORTER_LABEL,
    AgentClaims,
    Evidence,
    KeyOrigin,
    Policy,
    SimulatedTee,
    TicketKeys,
    built_in_kinds,
    evidence_extension,
    for_connection,
    in_user_data,
    read_policy,
    register,
)
from l4proxy.evidence_wire import ALPN, Answer, Question, encode_answer, frame, parse_question
from tests.e2e.backends import Backend

KINDS = register(built_in_kinds())
AGENT = AgentClaims(key_origin=KeyOrigin.INSIDE, ticket_keys=TicketKeys.INSIDE)
TEE = SimulatedTee(b"the image")
WRONG = SimulatedTee(b"another image")
DEBUG = SimulatedTee(b"the image", debug=True)


def policy_document(*tees: SimulatedTee, **keys: object) -> dict[str, object]:
    """A policy, as its file says it, that accepts these enclaves; `TEE` alone without any."""
    sets = [
        {"simulated": {"pcrs": {n: tee.registers()[n].hex() for n in (0, 1, 2)}}}
        for tee in tees or (TEE,)
    ]
    return {"accept": sets, "allow_simulated": True, **keys}


def policy(*tees: SimulatedTee, **keys: object) -> Policy:
    """The same, read."""
    return read_policy(policy_document(*tees, **keys), KINDS, lambda name: Path(name).read_bytes())


def write_policy(path: Path, *tees: SimulatedTee, **keys: object) -> None:
    """Writes it as a file."""
    path.write_text(yaml.safe_dump(policy_document(*tees, **keys)), encoding="utf-8")


def new_key() -> ec.EllipticCurvePrivateKey:
    """A TLS key."""
    return ec.generate_private_key(ec.SECP256R1())


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate_of(
    key: ec.EllipticCurvePrivateKey, evidence: Evidence | None = None
) -> x509.Certificate:
    """A self-signed certificate, with evidence in it or without."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "enclave")])
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    if evidence is not None:
        value = evidence_extension(evidence)
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(CMW_EXTENSION), value)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, SHA256())


Endpoint = Callable[["Enclave", SSL.Connection, str], bytes]
"""What is answered to the target of a request, headers included."""


def honest(enclave: "Enclave", connection: SSL.Connection, target: str) -> bytes:
    """Evidence that answers the question."""
    question = parse_question(target.partition("?")[2])
    return http(encode_answer(Answer(enclave.evidence(question, connection))))


def http(body: bytes, length: int | None = None, status: str = "200 OK") -> bytes:
    """An answer, which may lie about its length."""
    stated = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {stated}\r\n\r\n"
    return head.encode() + body


@dataclass
class Enclave:
    """A server whose TEE, key and manners a test may replace while it runs.

    Attributes:
        tee: What signs.
        key: Of its TLS.
        agent: What it says of itself.
        endpoint: What it answers with.
        in_certificate: Whether its certificate carries evidence.
        lent: Evidence that its certificate carries instead of its own.
        newest: The highest version of TLS.
        framed: Whether it proves itself unasked, by ALPN, and speaks no HTTP.
        now: The time that its TEE signs.
        asked: Targets that it was asked for.
    """

    tee: SimulatedTee = TEE
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    agent: AgentClaims = AGENT
    endpoint: Endpoint = honest
    in_certificate: bool = False
    lent: Evidence | None = None
    newest: int = SSL.TLS1_3_VERSION
    framed: bool = False
    now: Callable[[], float] = time.time
    asked: list[str] = field(default_factory=list)

    def evidence(self, question: Question, connection: SSL.Connection) -> Evidence:
        """What its TEE says to a question on a connection."""
        if question.nonce is not None:
            request = in_user_data(spki_of(self.key), self.agent, question.nonce)
        else:
            label = EXPORTER_LABEL.encode()
            exporter = connection.export_keying_material(label, EXPORTER)
            request = for_connection(spki_of(self.key), self.agent, exporter)
        return self.tee.evidence(request, self.now())

    def serve(self, sock: socket.socket) -> None:
        """Serves one connection: a request, its answer, the end."""
        sock.settimeout(None)  # pyOpenSSL takes a socket with a timeout for one that never waits
        connection = SSL.Connection(self._context(), sock)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            if self.framed:
                self._prove(connection)
                return
            asked = connection.recv(4_096)
            target = asked.split(b" ")[1].decode()
            self.asked.append(target)
            connection.sendall(self.endpoint(self, connection, target))
            connection.shutdown()
            connection.recv(1)
        except SSL.Error:
            pass  # whoever asked has gone: a probe, or somebody who has seen enough

    def _prove(self, connection: SSL.Connection) -> None:
        """Answer as an agent does before the first byte of an application that is no HTTP."""
        if connection.get_alpn_proto_negotiated() == ALPN.encode():
            proof = encode_answer(Answer(self.evidence(Question(None), connection)))
            connection.sendall(frame(proof))
        connection.recv(1)

    def _context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_alpn_select_callback(self._choose)
        context.set_max_proto_version(self.newest)
        context.use_privatekey(self.key)
        evidence = self.lent
        if self.in_certificate and evidence is None:
            evidence = self.tee.evidence(in_user_data(spki_of(self.key), self.agent), self.now())
        context.use_certificate(certificate_of(self.key, evidence))
        return context

    def _choose(self, _connection: SSL.Connection, offered: list[bytes]) -> bytes:
        wanted = ALPN.encode() if self.framed else b"http/1.1"
        return wanted if wanted in offered else offered[0]


@contextmanager
def running(enclave: Enclave) -> Iterator[Backend]:
    """A backend that serves as this enclave."""
    with Backend(enclave.serve) as backend:
        yield backend
