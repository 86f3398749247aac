"""COSE_Sign1: one form of message, one algorithm, one form of signature."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from attestation.cose import ES384_HEADER, Sign1, load_sign1, verify_sign1
from attestation.errors import MalformedEvidence
from tests.attestation.nitro_documents import H, Wish, issue, signer

PAYLOAD = b"payload"
MESSAGE = H.sign(PAYLOAD)
SIGNATURE = cbor2.loads(MESSAGE)[3]
SPKI = H.chain[-1].parsed.spki


@pytest.mark.parametrize("tag", [b"", b"\xd2"])
def test_a_message_keeps_its_parts(tag: bytes) -> None:
    """Each part is the bytes that were received; a tag changes nothing of it."""
    message = load_sign1(tag + MESSAGE)
    assert message == Sign1(ES384_HEADER, PAYLOAD, SIGNATURE)
    verify_sign1(message, SPKI)


def test_every_prefix_is_refused() -> None:
    """A message that is cut short anywhere is refused."""
    for size in range(len(MESSAGE)):
        with pytest.raises(MalformedEvidence, match="COSE"):
            load_sign1(MESSAGE[:size])


@given(st.binary(max_size=120))
def test_noise_is_refused(noise: bytes) -> None:
    """Bytes that are no message are refused."""
    with pytest.raises(MalformedEvidence):
        load_sign1(noise)


@pytest.mark.parametrize(
    "message",
    [
        Sign1(ES384_HEADER, b"other", SIGNATURE),
        Sign1(ES384_HEADER, PAYLOAD, SIGNATURE[48:] + SIGNATURE[:48]),
        Sign1(b"", PAYLOAD, SIGNATURE),
    ],
    ids=["payload", "signature", "header"],
)
def test_each_part_is_signed(message: Sign1) -> None:
    """A signature covers the header and the payload as they stand."""
    with pytest.raises(MalformedEvidence, match="not the signer's"):
        verify_sign1(message, SPKI)


def test_the_key_counts() -> None:
    """Another key's signature is refused, and a key of another kind."""
    message = load_sign1(MESSAGE)
    with pytest.raises(MalformedEvidence, match="not the signer's"):
        verify_sign1(message, H.chain[0].parsed.spki)
    other = issue(Wish("leaf", signer(), curve=ec.SECP256R1())).parsed
    with pytest.raises(MalformedEvidence, match="not P-384"):
        verify_sign1(message, other.spki)
    with pytest.raises(MalformedEvidence, match="public key"):
        verify_sign1(message, b"no key")
