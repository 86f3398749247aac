"""The claims buffer of interoperable RA-TLS, byte by byte."""

import hashlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.claims_buffer import (
    MAX_CLAIMS_BUFFER,
    KeyHash,
    build_claims_buffer,
    parse_claims_buffer,
)
from attestation.errors import MalformedEvidence
from tests.attestation.enclaves import OTHER_SPKI, SPKI


def test_the_smallest_buffer_is_that_of_the_specification() -> None:
    """A key alone takes 51 bytes, in the form that Gramine writes."""
    head = bytes.fromhex("a16b7075626b65792d68617368582482015820")
    assert build_claims_buffer(SPKI) == head + hashlib.sha256(SPKI).digest()
    assert len(build_claims_buffer(SPKI)) == 51


def test_a_nonce_follows_the_key() -> None:
    """The nonce is the second claim, as the profile orders them."""
    built = build_claims_buffer(SPKI, nonce=b"12345678")
    assert built[0] == 0xA2
    assert built.endswith(bytes.fromhex("656e6f6e636548") + b"12345678")


@given(st.binary(max_size=100), st.none() | st.binary(min_size=1, max_size=64), st.binary())
def test_what_is_built_is_what_is_read(spki: bytes, nonce: bytes | None, agent: bytes) -> None:
    """A buffer speaks of its key, its nonce and its agent claims."""
    found = parse_claims_buffer(build_claims_buffer(spki, nonce=nonce, agent_claims=agent))
    assert found.is_for(spki)
    assert not found.is_for(spki + b"x")
    assert found.nonce == nonce
    assert found.agent_claims == hashlib.sha256(agent).digest()
    assert found.others == {}


@pytest.mark.parametrize("key_hash", KeyHash)
def test_three_hashes_are_read(key_hash: KeyHash) -> None:
    """SHA-256, SHA-384 and SHA-512 by their registered numbers; other claims are kept."""
    inner = cbor2.dumps([key_hash.value, key_hash.digest(SPKI)])
    found = parse_claims_buffer(cbor2.dumps({"x": [1], "pubkey-hash": inner, "y": b"2"}))
    assert found.is_for(SPKI)
    assert not found.is_for(OTHER_SPKI)
    assert found.others == {"x": [1], "y": b"2"}


def _inner(*items: object) -> dict[str, object]:
    return {"pubkey-hash": cbor2.dumps(list(items))}


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({}, "found NoneType, expected bytes"),
        ({"pubkey-hash": "text"}, "found str, expected bytes"),
        ({"pubkey-hash": b"\xff"}, "pubkey-hash"),
        (_inner(2, bytes(32)), "expected \\[1, 7 or 8, digest\\]"),
        (_inner(True, bytes(32)), "expected \\[1, 7 or 8, digest\\]"),
        (_inner(1, "text"), "expected \\[1, 7 or 8, digest\\]"),
        (_inner(1, bytes(32), 0), "expected \\[1, 7 or 8, digest\\]"),
        (_inner(1, bytes(31)), "found 31 bytes of SHA256"),
        (_inner(8, bytes(48)), "found 48 bytes of SHA512"),
        (_inner(1, bytes(32)) | {"nonce": b""}, "nonce is not 1 to 512 bytes"),
        (_inner(1, bytes(32)) | {"nonce": bytes(513)}, "nonce is not 1 to 512 bytes"),
        (_inner(1, bytes(32)) | {"nonce": "text"}, "nonce is not"),
        (_inner(1, bytes(32)) | {"agent-claims": bytes(31)}, "agent-claims is not 32 to 32"),
    ],
)
def test_a_wrong_claim_is_named(claims: dict[str, object], fault: str) -> None:
    """A buffer without a good hash of a key binds nothing, and is refused."""
    with pytest.raises(MalformedEvidence, match=fault):
        parse_claims_buffer(cbor2.dumps(claims))


def test_a_claim_that_stands_twice_is_refused() -> None:
    """Two readers must not see two keys."""
    once = build_claims_buffer(SPKI)
    with pytest.raises(MalformedEvidence, match="uplicate"):
        parse_claims_buffer(b"\xa2" + once[1:] + build_claims_buffer(OTHER_SPKI)[1:])


@given(st.binary(max_size=80))
def test_any_bytes_are_a_buffer_or_an_error(data: bytes) -> None:
    """Hostile bytes raise nothing but MalformedEvidence."""
    with pytest.raises(MalformedEvidence):
        parse_claims_buffer(data)


def test_too_many_bytes_are_refused_unread() -> None:
    """The limit comes before the parser."""
    with pytest.raises(MalformedEvidence, match="at most 4096"):
        parse_claims_buffer(bytes(MAX_CLAIMS_BUFFER + 1))
