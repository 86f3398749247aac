"""Claims: what is not said is said to be nothing, never something."""

import dataclasses

import pytest

from attestation.claims import Claims


def test_what_evidence_does_not_say_is_left_out() -> None:
    """Nothing that a kind leaves out reads as a statement."""
    claims = Claims("nitro", {"pcr0": b"\x01"}, b"", 1.0)
    assert claims.debug is claims.simulated is False
    silent = ("signed_at", "nonce", "public_key", "manifest_register", "chip_id", "tcb_status")
    assert all(getattr(claims, name) is None for name in silent)
    assert (dict(claims.tcb), dict(claims.fields), dict(claims.details)) == ({}, {}, {})


def test_claims_do_not_change() -> None:
    """What was verified stays what was verified, its defaults shared by all included."""
    claims = Claims("nitro", {}, b"", 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        claims.debug = True  # type: ignore[misc]  # what is to be refused
    with pytest.raises(TypeError):
        claims.tcb["snp"] = 255  # type: ignore[index]  # what is to be refused
