"""The trust of a backend as a document."""

from dataclasses import replace

from attestation import Policy, read_policy
from l4proxy.admin.trust import attestation_document, trust_warnings
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import Trust
from routing import PoolName
from tests.l4proxy.control.attesting.enclave import KINDS, WRONG, policy
from tests.l4proxy.control.attesting.verdicts import BY_NONCE, KEY, NOW, verdict
from tests.l4proxy.telemetry.fake import FakeBalancer

RULES = AttestationRules(BY_NONCE, KINDS)
TRUSTED = Trust().judged(verdict(), KEY, NOW)


def test_who_is_trusted_is_shown_with_its_end() -> None:
    """And what it has proved, simulated or not."""
    assert attestation_document(TRUSTED, RULES, NOW + 60) == {
        "state": "trusted",
        "enforced": True,
        "simulated": True,
        "reason": None,
        "since": 60.0,
        "expires": 10_740.0,
        "key": KEY.hex(),
        "kind": "simulated",
        "resumption": True,
        "configuration": None,
        "owner": None,
        "accepted_set": 0,
    }


def test_who_is_not_is_shown_with_the_check_that_failed() -> None:
    """By name, with what was found and expected."""
    refuted = TRUSTED.judged(verdict(WRONG), KEY, NOW + 60)
    found = attestation_document(refuted, replace(RULES, enforced=False), NOW + 61)
    assert (found["state"], found["enforced"], found["expires"]) == ("refuted", False, None)
    assert (found["reason"] or "").startswith("pcr0: found ")
    assert (found["since"], found["resumption"], found["accepted_set"]) == (1.0, False, None)


def test_who_has_not_answered_yet_has_proved_nothing() -> None:
    """Every field is there."""
    found = attestation_document(Trust(since=NOW), RULES, NOW)
    assert (found["state"], found["key"], found["kind"]) == ("untested", None, None)


def test_what_makes_trust_less_than_it_looks_is_told() -> None:
    """Of each attested pool; strict ones, and those that ask for nothing, give no cause."""
    balancer = FakeBalancer()
    assert list(trust_warnings(balancer)) == []
    lax = policy(allow_debug=True, freshness={"mode": "nonce"})
    rules = {
        PoolName("app"): AttestationRules(lax, KINDS),
        PoolName("api"): AttestationRules(strict(), KINDS),
    }
    balancer.roster.attestor.watch({}, rules)
    assert list(trust_warnings(balancer)) == [
        "pool app: SIMULATED evidence is accepted, which proves nothing",
        "pool app: enclaves in DEBUG are accepted, which hide nothing",
    ]


def strict() -> Policy:
    """A policy for real enclaves."""
    accept = [{"nitro": {"pcrs": dict.fromkeys((0, 1, 2), "ab" * 48)}}]
    return read_policy({"accept": accept}, KINDS, lambda _name: b"")
