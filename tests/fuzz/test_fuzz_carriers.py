"""The fuzz target of carriers holds on a small corpus and on what a fuzzer tries first."""

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given

from attestation import CMW_EXTENSION, Evidence, encode_cmw, evidence_extension
from attestation.claims_buffer import build_claims_buffer
from tests.attestation.enclaves import AGENT, MANIFEST, NONCE, SPKI, Authority, on_connection
from tests.fuzz.fuzz_carriers import check
from tests.fuzz.mutations import mutations

SMALL = Evidence("nitro", b"document", {"vcek": b"key"}, b"claims", b"agent", b"manifest")
EXTENSION = x509.UnrecognizedExtension(
    x509.ObjectIdentifier(CMW_EXTENSION), evidence_extension(SMALL)
)
CORPUS = [
    b"",
    build_claims_buffer(SPKI, nonce=NONCE, agent_claims=AGENT.encode()),
    AGENT.encode(),
    MANIFEST.encode(),
    encode_cmw(SMALL),
    encode_cmw(on_connection()),
    cbor2.dumps(cbor2.CBORTag(60000, [b"quote", build_claims_buffer(SPKI)])),
    cbor2.dumps(["application/aws-nitro-document", b"document", 4]),
    Authority().leaf(ec.generate_private_key(ec.SECP256R1()), extensions=(EXTENSION,)),
]


@pytest.mark.parametrize("data", CORPUS)
def test_the_corpus_holds(data: bytes) -> None:
    """Each input of the corpus keeps the promises."""
    check(data)


@given(mutations(CORPUS, within=120))
def test_mutations_hold(data: bytes) -> None:
    """Inputs with bytes changed, cut out or put in keep the promises."""
    check(data)
