"""The simulated TEE: measures what it was given, signs what it was asked."""

from attestation import SimulatedTee, built_in_kinds, in_user_data, register
from attestation.manifest import digest, register_value
from tests.attestation.enclaves import AGENT, MANIFEST, NOW, SPKI, TEE


def test_measurements_are_those_of_the_image() -> None:
    """Equal images measure alike, others do not; each register has a value of its own."""
    ours, again = TEE.registers(), SimulatedTee(b"image").registers()
    other = SimulatedTee(b"another image").registers()
    for index in (0, 1, 2):
        assert ours[index] == again[index] != other[index]
    assert len({ours[index] for index in (0, 1, 2)}) == 3


def test_debug_measures_zeros() -> None:
    """As with Nitro: the image's registers, and only those."""
    pcrs = SimulatedTee(b"image", debug=True).registers()
    assert not any(any(pcrs[index]) for index in (0, 1, 2))
    assert any(pcrs[4])


def test_the_manifest_is_extended_before_user_code() -> None:
    """PCR16 holds what one extension makes; without a manifest it is unset."""
    assert TEE.registers()[16] == register_value(digest(MANIFEST.encode()), 48)
    assert not any(SimulatedTee(b"image").registers()[16])


def test_evidence_carries_what_was_asked() -> None:
    """The request goes into the document, and its other parts beside it."""
    asked = in_user_data(SPKI, AGENT, b"nonce")
    evidence = TEE.evidence(asked, NOW)
    assert evidence.agent_claims == AGENT.encode()
    assert evidence.manifest == MANIFEST.encode()
    claims = register(built_in_kinds())["simulated"].verify(evidence, NOW).claims
    assert claims is not None
    assert (claims.bound_data, claims.nonce) == (asked.bound_data, b"nonce")


def test_a_public_key_has_its_own_field() -> None:
    """As a KMS asks for it."""
    evidence = TEE.evidence(in_user_data(SPKI, AGENT), NOW)
    document = TEE.document(NOW, public_key=b"recipient")
    assert b"recipient" in document
    assert b"recipient" not in evidence.document


def test_its_key_is_not_shown() -> None:
    """A key is not in what is printed."""
    assert "key=" not in repr(TEE)
