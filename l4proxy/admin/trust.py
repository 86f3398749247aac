"""Trust in JSON documents: how each backend stands, until when, and why; and what to beware of."""

from collections.abc import Iterator
from typing import TypedDict

from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.attesting.trust import Trust
from l4proxy.telemetry.balancer import Balancer


class AttestationDocument(TypedDict):
    """What one backend has proved.

    The last three are null where nothing of the kind was proved: what it runs (the digest of its
    manifest), whose it is (a DNS name), and which set of the policy it meets.
    """

    state: str
    enforced: bool
    simulated: bool
    reason: str | None
    since: float
    expires: float | None
    key: str | None
    kind: str | None
    resumption: bool
    configuration: str | None
    owner: str | None
    accepted_set: int | None


def attestation_document(trust: Trust, rules: AttestationRules, now: float) -> AttestationDocument:
    """Return what is held of a backend.

    Args:
        trust: How it stands.
        rules: What it must prove.
        now: Seconds since the epoch, UTC; `since` and `expires` are seconds before and after it.
    """
    result = trust.result
    return {
        "state": trust.state.value,
        "enforced": rules.enforced,
        "simulated": trust.simulated,
        "reason": trust.reason or None,
        "since": round(max(0.0, now - trust.since), 1),
        "expires": None if trust.until is None else round(max(0.0, trust.until - now), 1),
        "key": trust.key.hex() or None,
        "kind": None if result is None else result.kind,
        "resumption": trust.admits and result is not None and result.resumption,
        "configuration": None if result is None else result.configuration,
        "owner": None if result is None else result.owner,
        "accepted_set": None if result is None else result.accepted_set,
    }


def trust_warnings(balancer: Balancer) -> Iterator[str]:
    """Yield a sentence for everything by which trust is less than it looks."""
    for pool in balancer.snapshot.pools.pools:
        rules = balancer.roster.attestor.rules(pool)
        if rules is None:
            continue
        if not rules.enforced:
            yield f"pool {pool}: attestation is observed only, NOT enforced"
        if rules.policy.allow_simulated:
            yield f"pool {pool}: SIMULATED evidence is accepted, which proves nothing"
        if rules.policy.allow_debug:
            yield f"pool {pool}: enclaves in DEBUG are accepted, which hide nothing"
