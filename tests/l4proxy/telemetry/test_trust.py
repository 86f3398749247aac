"""The metrics of attestation: bounded in number, and nothing of pools that ask for no proof."""

from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.revocation import Revocation, Revoked
from l4proxy.telemetry.trust import trust_metrics
from routing import PoolName
from tests.l4proxy.control.attesting.enclave import KINDS
from tests.l4proxy.control.attesting.verdicts import BY_NONCE
from tests.l4proxy.telemetry.fake import FakeBalancer

APP, GONE = PoolName("app"), PoolName("gone")
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(balancer: FakeBalancer) -> Samples:
    """Every sample, by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in trust_metrics(balancer)
        for sample in family.samples
    }


def test_nothing_is_said_of_pools_that_ask_for_no_proof() -> None:
    """There is no guess."""
    assert samples(FakeBalancer()) == {("l4proxy_revocations", ()): 0}


def test_every_state_is_shown() -> None:
    """1 for the one that is, 0 for the others; and what the operator has made of it."""
    balancer = FakeBalancer()
    attestor = balancer.roster.attestor
    rules = AttestationRules(BY_NONCE, KINDS, enforced=False)
    attestor.watch({APP: balancer.roster.members(APP)[:1]}, {APP: rules})
    attestor.revoke([Revocation(Revoked.KEY, b"k" * 32)])
    attestor.outcomes.update({(APP, "accepted"): 2, (APP, "pcr0"): 1, (GONE, "timeout"): 9})
    assert samples(balancer) == {
        ("l4proxy_pool_attestation_enforced", ("app",)): 0,
        ("l4proxy_backend_trust", ("app", "a", "untested")): 1,
        ("l4proxy_backend_trust", ("app", "a", "trusted")): 0,
        ("l4proxy_backend_trust", ("app", "a", "refuted")): 0,
        ("l4proxy_backend_trust", ("app", "a", "expired")): 0,
        ("l4proxy_backend_simulated", ("app", "a")): 0,
        ("l4proxy_attestations_total", ("app", "accepted")): 2,
        ("l4proxy_attestations_total", ("app", "pcr0")): 1,
        ("l4proxy_revocations", ()): 1,
    }
