"""COSE_Sign1 as Nitro writes it: one signature, one algorithm, no choice (RFC 9052 §4.2)."""

from typing import Final, NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attestation.cbor import load_cbor
from attestation.errors import MalformedEvidence
from attestation.x509 import load_public_key

ES384_HEADER: Final = bytes.fromhex("a1013822")
"""The protected header {1: -35}: ECDSA with SHA-384 (RFC 9053 §2.1); part of the signed bytes."""

SIGNATURE_SIZE: Final = 96
"""Bytes of a signature: r and s of P-384, 48 each, big-endian; never DER (RFC 9053 §2.1)."""

# The order n of P-384's group (SEC 2 §2.5.1): r and s are from 1 to n - 1.
_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)

# Tag 18 (RFC 9052 §2): a COSE message may say what it is. Genuine documents do not.
_TAG = b"\xd2"
# Major type 6: any tag at all.
_ANY_TAG = range(0xC0, 0xE0)


class Sign1(NamedTuple):
    """A message in parts, each as it was received, none of them trusted yet."""

    protected: bytes
    payload: bytes
    signature: bytes


def load_sign1(encoded: bytes) -> Sign1:
    """Return the parts of a COSE_Sign1, with tag 18 or without one.

    Raises:
        MalformedEvidence: It is another message, or any part is not as Nitro writes it.

    """
    if encoded[:1] and encoded[0] in _ANY_TAG and not encoded.startswith(_TAG):
        raise MalformedEvidence(f"COSE: found a tag {encoded[:3].hex()}, expected none or 18")
    item = load_cbor(encoded.removeprefix(_TAG), "COSE")
    match item:
        case [
            bytes() as protected,
            dict() as unprotected,
            bytes() as payload,
            bytes() as signature,
        ]:
            pass
        case list():
            raise MalformedEvidence("COSE: expected [bytes, map, bytes, bytes]")
        case _:
            raise MalformedEvidence(f"COSE: found {type(item).__name__}, expected an array of four")
    if protected != ES384_HEADER:
        found = protected[:16].hex() or "nothing"
        raise MalformedEvidence(f"COSE: protected header {found}, expected {{1: -35}} (ES384)")
    if unprotected:
        raise MalformedEvidence("COSE: found unprotected headers, expected none")
    if len(signature) != SIGNATURE_SIZE:
        raise MalformedEvidence(f"COSE: a signature of {len(signature)} bytes, expected 96")
    return Sign1(protected, payload, signature)


def verify_sign1(message: Sign1, spki: bytes) -> None:
    """Return if the key in `spki` (DER) signed the message.

    Raises:
        MalformedEvidence: It did not, or it is no P-384 key.

    """
    key = load_public_key(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise MalformedEvidence("COSE: the signer's key is not P-384")
    half = SIGNATURE_SIZE // 2
    r, s = (int.from_bytes(part) for part in (message.signature[:half], message.signature[half:]))
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise MalformedEvidence("COSE: r or s of the signature is 0 or too large")
    signed = cbor2.dumps(["Signature1", message.protected, b"", message.payload])
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA384()))
    except InvalidSignature as error:
        raise MalformedEvidence("COSE: the signature is not the signer's") from error
