"""What the configuration says of attestation."""

from pathlib import Path

import pytest

from l4proxy.config import AttestationSettings, EvidenceSource, TrustMode, effective
from l4proxy.config.attestation import MAX_REVOKED
from l4proxy.revocation import Revocation, Revoked
from routing import PoolName
from tests.l4proxy.config.texts import messages_of, parse, with_pool


def attestation_of(text: str) -> AttestationSettings | None:
    """What a pool asks of its backends."""
    return parse(text).pools[PoolName("app")].attestation


def test_a_policy_is_enough() -> None:
    """Everything else has a default, the strict one."""
    found = attestation_of(with_pool("attestation: {policy: policies/app.yaml}"))
    assert found is not None
    assert found.policy == Path("policies/app.yaml")
    assert (found.every, found.evidence) == (300.0, EvidenceSource.WELL_KNOWN)
    assert (found.mode, found.revoked) == (TrustMode.ENFORCE, ())


@pytest.mark.parametrize("text", ["", "attestation: off"])
def test_no_proof_is_asked_for_unless_somebody_says_so(text: str) -> None:
    """Left out, or switched off."""
    assert attestation_of(with_pool(text)) is None


def test_all_of_it_can_be_said() -> None:
    """Every key has a value of its own, and what is written out is the same again."""
    text = with_pool(
        "attestation:\n  policy: /etc/app.yaml\n  every: 1m\n  evidence: certificate\n"
        "  mode: observe\n  revoked: ['measurement:0A0B0C0D', 'chip:00112233']"
    )
    found = attestation_of(text)
    assert found is not None
    assert found.revoked == (
        Revocation(Revoked.MEASUREMENT, bytes.fromhex("0a0b0c0d")),
        Revocation(Revoked.CHIP, bytes.fromhex("00112233")),
    )
    assert attestation_of(effective(parse(text))) == found


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{}", "pools.app.attestation.policy: is missing"),
        ("{policy: 5}", "expected the path of a policy"),
        ("{policy: policies/}", "expected the path of a policy"),
        (f"{{policy: {'x' * 4_096}}}", "at most 4095 bytes"),
        ("{policy: x, every: 1s}", "expected a duration from 5s to 24h"),
        ("{policy: x, evidence: file}", "expected well-known or certificate"),
        ("{policy: x, mode: obsrve}", "did you mean observe?"),
        ("{policy: x, revoked: [5]}", "expected key:HEX, measurement:HEX or chip:HEX"),
        ("{policy: x, revoked: ['key:00']}", "expected key:HEX, measurement:HEX or chip:HEX"),
        ("{policy: x, polices: y}", "did you mean policy?"),
        ("on", "expected a mapping {policy, every, evidence, …}, or off"),
    ],
)
def test_mistakes_are_told(block: str, said: str) -> None:
    """Nothing is accepted that would do nothing."""
    assert said in messages_of(with_pool(f"attestation: {block}"))


def test_revocations_are_bounded() -> None:
    """One more than the bound is a mistake."""
    many = ", ".join(["'chip:00112233'"] * (MAX_REVOKED + 1))
    said = messages_of(with_pool(f"attestation: {{policy: x, revoked: [{many}]}}"))
    assert f"found {MAX_REVOKED + 1}, expected at most {MAX_REVOKED}" in said
