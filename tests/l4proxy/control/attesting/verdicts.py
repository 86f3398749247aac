"""Verdicts for tests that need none of their own."""

from attestation import (
    AttestationResult,
    Expectation,
    Policy,
    SimulatedTee,
    in_user_data,
    judge,
)
from tests.l4proxy.control.attesting.enclave import AGENT, KINDS, TEE, policy

NOW = 1_800_000_000.0
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NONCE = b"n" * 32
BY_NONCE = policy(freshness={"mode": "nonce"})


def verdict(
    tee: SimulatedTee = TEE, asked: Policy = BY_NONCE, *, nonce: bytes = NONCE, at: float = NOW
) -> AttestationResult:
    """A verdict on evidence that was made at `NOW`."""
    evidence = tee.evidence(in_user_data(b"0Y-key", AGENT, NONCE), NOW)
    return judge(evidence, asked, KINDS, Expectation(spki=b"0Y-key", nonce=nonce or None), at)
