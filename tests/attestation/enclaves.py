"""A simulated enclave, a policy that accepts it, and the two ends of its connection."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from attestation import (
    AgentClaims,
    AttestationResult,
    Evidence,
    Expectation,
    KeyOrigin,
    Manifest,
    Policy,
    SimulatedTee,
    TicketKeys,
    built_in_kinds,
    for_connection,
    in_user_data,
    judge,
    read_policy,
    register,
)

NOW = 1_800_000_000.0
KINDS = register(built_in_kinds())

# A key of its own each: bytes that look like a SubjectPublicKeyInfo are all that a binding hashes.
SPKI = b"0Y-the enclave's key"
OTHER_SPKI = b"0Y-another key"
THIRD_SPKI = b"0Y-a third key"
EXPORTER = bytes(range(32))
OTHER_EXPORTER = bytes(range(1, 33))
NONCE = b"n" * 32

MANIFEST = Manifest(
    service="app",
    images={"app": "sha256:" + "11" * 32},
    plugins={"cache": "sha256:" + "22" * 32},
    ports=(8443,),
    metrics=("load", "queue"),
)
TEE = SimulatedTee(b"image", MANIFEST.encode())
AGENT = AgentClaims(
    instance="enclave-a",
    key_origin=KeyOrigin.INSIDE,
    ticket_keys=TicketKeys.INSIDE,
    claims={"service": "app"},
)
CONNECTION = Expectation(spki=SPKI, exporter=EXPORTER)
QUESTION = Expectation(spki=SPKI, nonce=NONCE)
FILE = Expectation(live=False)


def measured(tee: SimulatedTee) -> dict[str, object]:
    """Return the set of measurements that this TEE meets."""
    pcrs = tee.registers()
    return {"simulated": {"pcrs": {index: pcrs[index].hex() for index in (0, 1, 2)}}}


def no_file(name: str) -> bytes:
    """Say that there is no such file."""
    raise FileNotFoundError(name)


def policy(files: Mapping[str, bytes] | None = None, /, **keys: object) -> Policy:
    """Return a policy that accepts `TEE`, with these keys besides or instead."""
    found = {"accept": [measured(TEE)], "allow_simulated": True, **keys}
    return read_policy(found, KINDS, no_file if files is None else files.__getitem__)


def on_connection(agent: AgentClaims = AGENT, tee: SimulatedTee = TEE) -> Evidence:
    """Return evidence that is bound to `CONNECTION`."""
    return tee.evidence(for_connection(SPKI, agent, EXPORTER), NOW)


def on_question(agent: AgentClaims = AGENT, tee: SimulatedTee = TEE) -> Evidence:
    """Return evidence that answers `QUESTION`."""
    return tee.evidence(in_user_data(SPKI, agent, NONCE), NOW)


def verdict(
    evidence: Evidence, asked: Policy, expectation: Expectation = CONNECTION, now: float = NOW
) -> AttestationResult:
    """Return the verdict with the built-in kinds."""
    return judge(evidence, asked, KINDS, expectation, now)


def refusal(
    evidence: Evidence, asked: Policy, expectation: Expectation = CONNECTION, now: float = NOW
) -> str:
    """Return the name of the check that refused; empty if it was accepted."""
    reason = verdict(evidence, asked, expectation, now).reason
    return "" if reason is None else reason.name


def with_document(evidence: Evidence, document: bytes) -> Evidence:
    """Return the same evidence around another document."""
    return replace(evidence, document=document)


class Authority:
    """A certificate authority of one level, and the leaves that it gives."""

    def __init__(self, *, ca: bool = True, name: str = "authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(
            self.name, self.key.public_key(), [x509.BasicConstraints(ca=ca, path_length=None)]
        )

    @property
    def pem(self) -> bytes:
        """Its certificate, in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def leaf(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str = "app.example.com",
        extensions: tuple[x509.ExtensionType, ...] = (),
    ) -> bytes:
        """Return a certificate for a DNS name, in DER."""
        return self.leaf_for(key.public_key(), name, extensions)

    def leaf_for(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str = "app.example.com",
        extensions: tuple[x509.ExtensionType, ...] = (),
    ) -> bytes:
        """Return the same for a key that it only knows the public half of."""
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        return self.sign(subject, key, [names, *extensions]).public_bytes(Encoding.DER)

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[x509.ExtensionType],
    ) -> x509.Certificate:
        """Return any certificate, signed by its key."""
        start = datetime.fromtimestamp(NOW, UTC) - timedelta(hours=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(hours=3))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, SHA256())


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key's SubjectPublicKeyInfo, in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
