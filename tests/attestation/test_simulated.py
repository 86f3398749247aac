"""The kind `simulated`: verified as Nitro's, under a root that proves nothing, and says so."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from attestation import Evidence, PolicyError, SimulatedTee
from attestation.nitro import Nitro
from attestation.simulated import QUOTE_SECONDS, ROOT, ROOT_SEED, Simulated
from tests.attestation.enclaves import NOW, TEE, measured

KIND = Simulated()
EVIDENCE = Evidence("simulated", TEE.document(NOW, user_data=b"data", nonce=b"nonce"), {})


def test_its_claims_say_that_there_is_no_tee() -> None:
    """Always, whatever the document says."""
    claims = KIND.verify(EVIDENCE, NOW).claims
    assert claims is not None
    assert claims.simulated
    assert (claims.kind, claims.bound_data, claims.nonce) == ("simulated", b"data", b"nonce")
    assert claims.signed_at == NOW


def test_it_is_no_nitro() -> None:
    """The real kind does not know its root."""
    found = Nitro().verify(Evidence("nitro", EVIDENCE.document, {}), NOW)
    assert found.claims is None
    assert found.checks[-1].name == "chain_root"


def test_its_root_is_public() -> None:
    """Everybody can derive the private key, so that nobody takes it for one."""
    scalar = int.from_bytes(hashlib.sha256(ROOT_SEED).digest())
    key = ec.derive_private_key(scalar, ec.SECP384R1())
    assert x509.load_der_x509_certificate(ROOT).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("later", "genuine"), [(-1, False), (0, True), (10_800, True), (10_801, False)]
)
def test_a_document_lives_three_hours(later: float, genuine: bool) -> None:
    """As its signer's certificate does."""
    assert (KIND.verify(EVIDENCE, NOW + later).claims is not None) is genuine


def test_every_flipped_bit_is_found() -> None:
    """Nothing in a document can be changed, wherever it stands."""
    for at in range(0, len(EVIDENCE.document), 97):
        changed = bytearray(EVIDENCE.document)
        changed[at] ^= 1
        assert KIND.verify(Evidence("simulated", bytes(changed), {}), NOW).claims is None


@given(st.binary(max_size=100))
def test_any_bytes_are_a_verdict(data: bytes) -> None:
    """Nothing is raised, and nothing is genuine."""
    found = KIND.verify(Evidence("simulated", data, {}), NOW)
    assert found.claims is None
    assert found.checks


def test_its_sets_are_those_of_nitro() -> None:
    """PCRs by number, and zeros known for what they are."""
    own = KIND.demands(measured(TEE)["simulated"], ())
    assert own.kind == "simulated"
    assert not own.allows_debug_values
    zeros = KIND.demands({"pcrs": {0: "00" * 48}}, ())
    assert zeros.allows_debug_values
    debug = KIND.verify(
        Evidence("simulated", SimulatedTee(b"image", debug=True).document(NOW), {}), NOW
    ).claims
    assert debug is not None
    assert debug.debug
    with pytest.raises(PolicyError):
        KIND.demands({}, ())


def test_it_is_a_kind_like_the_others() -> None:
    """Its documents carry a time and have a limit; a quote takes as long as a real one."""
    assert KIND.name == "simulated"
    assert KIND.signs_time
    assert len(EVIDENCE.document) < KIND.limit
    assert QUOTE_SECONDS == 0.05
