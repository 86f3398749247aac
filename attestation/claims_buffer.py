"""The claims buffer of interoperable RA-TLS: what evidence says of the TLS key, in CBOR.

Nitro signs the buffer itself; the others sign its SHA-256. It is hashed as it was received, so it
need not be in our own form. See docs of CCC-Attestation/interoperable-ra-tls.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from cbor2 import dumps

from attestation.cbor import load_cbor
from attestation.cbor_maps import load_map
from attestation.errors import MalformedEvidence

MAX_CLAIMS_BUFFER: Final = 4096
"""Bytes of a claims buffer: ours has 51 to 200, Nitro has room for 512."""

MAX_NONCE: Final = 512
"""Bytes of a nonce: what Nitro's own nonce field holds."""

PUBLIC_KEY_HASH: Final = "pubkey-hash"
NONCE: Final = "nonce"
AGENT_CLAIMS: Final = "agent-claims"


class KeyHash(IntEnum):
    """How the key is hashed: identifiers of IANA's "Named Information Hash Algorithm" registry."""

    SHA256 = 1
    SHA384 = 7
    SHA512 = 8

    def digest(self, data: bytes) -> bytes:
        """Return the hash of `data`: 32, 48 or 64 bytes."""
        return hashlib.new(self.name, data).digest()


_HASHES = frozenset(KeyHash)


@dataclass(frozen=True, slots=True)
class ClaimsBuffer:
    """A parsed claims buffer.

    Attributes:
        key_hash: How the key was hashed.
        key_digest: The hash of the SubjectPublicKeyInfo in DER, as it stands in the certificate.
        nonce: The verifier's nonce, where it holds one.
        agent_claims: SHA-256 of the agent claims beside it, where it holds one.
        others: Every other claim, as it stands.

    """

    key_hash: KeyHash
    key_digest: bytes
    nonce: bytes | None
    agent_claims: bytes | None
    others: Mapping[str, object]

    def is_for(self, spki: bytes) -> bool:
        """Say whether it speaks of this key."""
        return hmac.compare_digest(self.key_hash.digest(spki), self.key_digest)


def build_claims_buffer(
    spki: bytes, *, nonce: bytes | None = None, agent_claims: bytes | None = None
) -> bytes:
    """Return the claims buffer for a key: 51 bytes if there is nothing else to say.

    Args:
        spki: The SubjectPublicKeyInfo in DER, as it stands in the certificate.
        nonce: The verifier's nonce, where the evidence has no field of its own for it.
        agent_claims: The encoded agent claims; their digest goes in.

    """
    digest = KeyHash.SHA256.digest(spki)
    claims = {PUBLIC_KEY_HASH: dumps([KeyHash.SHA256.value, digest])}
    if nonce is not None:
        claims[NONCE] = nonce
    if agent_claims is not None:
        claims[AGENT_CLAIMS] = hashlib.sha256(agent_claims).digest()
    return dumps(claims)


def parse_claims_buffer(data: bytes) -> ClaimsBuffer:
    """Return what a claims buffer holds; claims that are not ours to read are kept as they stand.

    Raises:
        MalformedEvidence: It is over 4,096 bytes, no plain CBOR map with text keys, or it holds no
            hash of a key in one of the three algorithms.

    """
    others = load_map(data, MAX_CLAIMS_BUFFER, "claims buffer")
    key_hash, key_digest = _key_digest(others.pop(PUBLIC_KEY_HASH, None))
    nonce = _bytes(others.pop(NONCE, None), NONCE, range(1, MAX_NONCE + 1))
    agent = _bytes(others.pop(AGENT_CLAIMS, None), AGENT_CLAIMS, range(32, 33))
    return ClaimsBuffer(key_hash, key_digest, nonce, agent, MappingProxyType(others))


def _key_digest(found: object) -> tuple[KeyHash, bytes]:
    """Read `bstr .cbor [hash id, digest]`."""
    what = f"claims buffer: {PUBLIC_KEY_HASH}"
    if not isinstance(found, bytes):
        raise MalformedEvidence(f"{what}: found {type(found).__name__}, expected bytes")
    match load_cbor(found, what):
        case [identifier, bytes(digest)] if type(identifier) is int and identifier in _HASHES:
            key_hash = KeyHash(identifier)
        case _:
            raise MalformedEvidence(f"{what}: expected [1, 7 or 8, digest]")
    if len(digest) != hashlib.new(key_hash.name).digest_size:
        raise MalformedEvidence(f"{what}: found {len(digest)} bytes of {key_hash.name}")
    return key_hash, digest


def _bytes(found: object, name: str, sizes: range) -> bytes | None:
    if found is None:
        return None
    if not isinstance(found, bytes) or len(found) not in sizes:
        wanted = f"{sizes.start} to {sizes.stop - 1}"
        raise MalformedEvidence(f"claims buffer: {name} is not {wanted} bytes")
    return found
