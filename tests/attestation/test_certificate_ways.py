"""Three ways to a certificate: made inside, signed by a parent, provided from outside.

Each ends in a verdict on the certificate's own evidence, on its key, and on a connection.
"""

from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from attestation import (
    CMW_EXTENSION,
    AgentClaims,
    Binding,
    Evidence,
    Expectation,
    KeyOrigin,
    SimulatedTee,
    evidence_extension,
    for_connection,
    in_user_data,
    read_certificate,
)
from tests.attestation.enclaves import (
    AGENT,
    EXPORTER,
    NOW,
    OTHER_EXPORTER,
    TEE,
    Authority,
    policy,
    refusal,
    spki_of,
    verdict,
)

STORED = {"freshness": {"max_age": "30m"}}
OWNER = {"ca": "ca.pem", "name": "app.example.com"}
RELEASED = replace(AGENT, key_origin=KeyOrigin.RELEASED)
IMPORTED = replace(AGENT, key_origin=KeyOrigin.IMPORTED)
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _extension(evidence: Evidence) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier(CMW_EXTENSION), evidence_extension(evidence)
    )


def _stored(key: ec.EllipticCurvePrivateKey, tee: SimulatedTee = TEE) -> Evidence:
    return tee.evidence(in_user_data(spki_of(key), AGENT), NOW)


def test_a_certificate_that_signs_itself_inside() -> None:
    """Its evidence speaks of its key; nobody vouches for its name."""
    inside = Authority()
    encoded = inside.leaf(inside.key, extensions=(_extension(_stored(inside.key)),))
    found = read_certificate(encoded, Binding.CLAIMS_BUFFER)
    assert found.evidence is not None
    here = Expectation(certificate=encoded, spki=found.spki)
    assert refusal(found.evidence, policy(**STORED), here) == ""
    owned = policy({"ca.pem": Authority().pem}, **STORED, ownership=OWNER)
    assert refusal(found.evidence, owned, here) == "ownership"


def _sign_request(parent: Authority, request: x509.CertificateSigningRequest) -> bytes | None:
    """Act as a parent: no leaf without evidence that is good, and for the key of the request."""
    value = request.extensions.get_extension_for_oid(x509.ObjectIdentifier(CMW_EXTENSION)).value
    assert isinstance(value, x509.UnrecognizedExtension)
    carried = read_certificate(
        Authority().leaf(ec.generate_private_key(ec.SECP256R1()), extensions=(value,)),
        Binding.CLAIMS_BUFFER,
    ).evidence
    spki = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert carried is not None
    if not request.is_signature_valid:
        return None
    if not verdict(carried, policy(**STORED), Expectation(spki=spki)).accepted:
        return None
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return parent.leaf_for(key, extensions=(value,))


def _request(key: ec.EllipticCurvePrivateKey, evidence: Evidence) -> x509.CertificateSigningRequest:
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(_extension(evidence), critical=False)
        .sign(key, hashes.SHA256())
    )


def test_a_certificate_that_a_parent_signs() -> None:
    """The parent checks the evidence of the request; the leaf has owner and configuration."""
    parent, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    encoded = _sign_request(parent, _request(key, _stored(key)))
    assert encoded is not None
    found = read_certificate(encoded, Binding.CLAIMS_BUFFER)
    assert found.evidence is not None
    asked = policy({"ca.pem": parent.pem}, **STORED, ownership=OWNER, manifest={"service": "app"})
    result = verdict(found.evidence, asked, Expectation(certificate=encoded, spki=found.spki))
    assert result.accepted
    assert result.owner == "app.example.com"
    assert result.configuration is not None


def test_a_parent_refuses_evidence_of_another_key_or_image() -> None:
    """A request with borrowed evidence gets no leaf."""
    parent, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    borrowed = _stored(ec.generate_private_key(ec.SECP256R1()))
    assert _sign_request(parent, _request(key, borrowed)) is None
    assert _sign_request(parent, _request(key, _stored(key, SimulatedTee(b"other")))) is None


@pytest.mark.parametrize("agent", [RELEASED, IMPORTED])
def test_a_certificate_from_outside_needs_the_connection(agent: AgentClaims) -> None:
    """Who holds the key too can end the connection and pass questions on; not the exporter."""
    owner, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    encoded = owner.leaf(key)
    here = Expectation(certificate=encoded, spki=spki_of(key), exporter=EXPORTER)
    asked = policy(
        {"ca.pem": owner.pem},
        ownership=OWNER,
        freshness={"mode": "exporter"},
        key_origin=["released", "imported"],
    )
    fresh = TEE.evidence(for_connection(spki_of(key), agent, EXPORTER), NOW)
    assert refusal(fresh, asked, here) == ""
    # The holder outside has a connection of its own with the client, and another with the enclave.
    assert refusal(fresh, asked, replace(here, exporter=OTHER_EXPORTER)) == "exporter"
    relayed = TEE.evidence(in_user_data(spki_of(key), agent, b"the client's nonce"), NOW)
    by_nonce = policy(freshness={"mode": "nonce"})
    question = Expectation(spki=spki_of(key), nonce=b"the client's nonce")
    assert refusal(relayed, by_nonce, question) == "key_origin"


@dataclass(frozen=True)
class _Kms:
    """A key service that decrypts only to a recipient key in good evidence."""

    secret: bytes

    def release(self, evidence: Evidence) -> bytes | None:
        """Return the secret, encrypted to the document's public key; None if it is refused."""
        result = verdict(evidence, policy(), Expectation(live=False))
        if not result.accepted or result.claims is None or result.claims.public_key is None:
            return None
        recipient = load_der_public_key(result.claims.public_key)
        assert isinstance(recipient, rsa.RSAPublicKey)
        return recipient.encrypt(self.secret, OAEP)


def test_a_key_is_released_to_the_measured_image_alone() -> None:
    """The recipient key stands in the evidence; another image, or none, gets nothing."""
    kms, recipient = _Kms(b"the certificate's key"), rsa.generate_private_key(65537, 2048)
    spki = recipient.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def ask(tee: SimulatedTee, key: bytes | None) -> bytes | None:
        return kms.release(Evidence("simulated", tee.document(NOW, public_key=key), {}))

    sealed = ask(TEE, spki)
    assert sealed is not None
    assert recipient.decrypt(sealed, OAEP) == kms.secret
    assert ask(SimulatedTee(b"another image"), spki) is None
    assert ask(TEE, None) is None
