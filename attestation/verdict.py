"""The verdict on evidence: genuine, acceptable, for this key; and whose it is, beside what it runs.

Evidence is accepted when every check that the policy asks for was made and passed, and none failed.
Nothing else accepts, and whatever cannot be found out refuses.
"""

from dataclasses import dataclass, field
from typing import Final

from attestation import appraise as appraisal
from attestation import binding
from attestation.agent_claims import MAX_AGENT_CLAIMS, AgentClaims
from attestation.appraise import appraise, ticket_keys_trusted
from attestation.checks import Check, Outcome, failed, first_failure, not_made
from attestation.claims import Claims
from attestation.claims_buffer import MAX_CLAIMS_BUFFER
from attestation.cmw import MAX_ENDORSEMENTS
from attestation.evidence import Evidence, EvidenceKind, Verified
from attestation.expectation import Expectation
from attestation.manifest import MAX_MANIFEST
from attestation.ownership import OWNERSHIP, Owned, check_ownership
from attestation.policy import Binding, FreshnessMode, Kinds, Policy
from attestation.statement import Statement, read_statement

MAX_ENDORSEMENT_BYTES: Final = 256 * 1024
"""Bytes of them all: a set of TDX collateral has 20 to 60 KiB."""

_FRESHNESS = {
    FreshnessMode.EXPORTER: binding.EXPORTER_CHECK,
    FreshnessMode.NONCE: binding.NONCE,
    FreshnessMode.MAX_AGE: appraisal.AGE,
}


@dataclass(frozen=True, slots=True)
class AttestationResult:
    """The verdict, and all that it rests on.

    Attributes:
        accepted: Whether it may be trusted, until `trust_until`.
        reason: The check that refused it; None if it was accepted.
        checks: Every check, in the order in which they were made; those not made are among them.
        kind: What the evidence says that it is.
        claims: What the TEE says; None unless it is genuine.
        agent: What the agent inside says; None unless the evidence covers it.
        trust_until: When this verdict ends, seconds since the epoch, UTC; None if it is refused.
        configuration: The manifest's digest that the register holds, as `sha256:` and hex; None
            unless that was found to be so. What it runs.
        owner: The DNS name that the named authority gave; None unless that was found to be so.
            Whose it is.
        accepted_set: Index of the set of measurements that is met; None if none is.
        resumption: Whether its session tickets may be trusted, as nobody else holds their keys.
        policy: The policy's digest: 32 bytes.

    """

    accepted: bool
    reason: Check | None
    checks: tuple[Check, ...]
    kind: str
    claims: Claims | None
    agent: AgentClaims | None
    trust_until: float | None
    configuration: str | None
    owner: str | None
    accepted_set: int | None
    resumption: bool
    policy: bytes

    @property
    def simulated(self) -> bool:
        """Whether there is no TEE at all: to be shown wherever the verdict is shown."""
        return self.claims is not None and self.claims.simulated


@dataclass(frozen=True, slots=True)
class _Findings:
    """What was found out, step by step; later steps have nothing where an earlier one failed."""

    verified: Verified
    statement: Statement = field(default_factory=Statement)
    accepted_set: int | None = None
    checks: tuple[Check, ...] = ()
    owned: Owned | None = None


def judge(
    evidence: Evidence, policy: Policy, kinds: Kinds, expectation: Expectation, now: float
) -> AttestationResult:
    """Return the verdict on evidence. Never raises, whatever the evidence is.

    Args:
        evidence: As it came; hostile.
        policy: What is accepted.
        kinds: The kinds that the policy was read with.
        expectation: What the verifier knows of the connection, or of the file.
        now: Seconds since the epoch, UTC.

    """
    try:
        found = _find(evidence, policy, kinds, expectation, now)
    except Exception as error:  # noqa: BLE001 - the boundary: claims of a plug-in that are none
        found = _Findings(_raised(error))
    checks = (*found.verified.checks, *found.statement.checks, *found.checks)
    if found.owned is not None:
        checks = (*checks, found.owned.check)
    reason = _refusal(checks, asked(policy, expectation))
    claims = found.verified.claims
    if reason is None and claims is None:
        reason = failed("genuine", "a verifier that names no reason", "every check passed")
    accepted = reason is None
    agent = found.statement.agent
    return AttestationResult(
        accepted=accepted,
        reason=reason,
        checks=checks,
        kind=evidence.kind,
        claims=claims,
        agent=agent,
        trust_until=_until(claims, found.owned, policy) if accepted and claims else None,
        configuration=_passed(checks, appraisal.MANIFEST),
        owner=_passed(checks, OWNERSHIP),
        accepted_set=found.accepted_set,
        resumption=accepted and ticket_keys_trusted(agent, policy),
        policy=policy.digest,
    )


def asked(policy: Policy, expectation: Expectation) -> frozenset[str]:
    """Return the names of the checks that must have been made, and passed.

    On a connection: its key, its freshness and where its key comes from, whatever the policy names.
    Of a file: what the policy names, and what is expected by value.
    """
    live, named = expectation.live, policy.named
    wanted = (
        (binding.KEY, live or "binding" in named or expectation.spki is not None),
        (_FRESHNESS[policy.freshness.mode], live or "freshness" in named),
        (binding.NONCE, expectation.nonce is not None),
        (binding.BOUND_DATA, expectation.bound_data is not None),
        (binding.PUBLIC_KEY, expectation.public_key is not None),
        (appraisal.KEY_ORIGIN, live or "key_origin" in named),
        (appraisal.TICKET_KEYS, policy.ticket_keys_inside),
        (OWNERSHIP, policy.ownership is not None),
    )
    names = {name for name, is_asked in wanted if is_asked}
    names |= {appraisal.MEASUREMENTS, "debug"}
    names |= {appraisal.CLAIM + name for name in policy.claims}
    if policy.manifest is not None:
        names |= {appraisal.MANIFEST}
        names |= {f"{appraisal.MANIFEST}_{name}" for name in policy.manifest.fields}
    return frozenset(names)


def verify(evidence: Evidence, kind: EvidenceKind, now: float) -> Verified:
    """Say whether evidence is genuine, and nothing of whether it is acceptable. Never raises.

    Args:
        evidence: As it came; hostile.
        kind: The kind that it says it is of.
        now: Seconds since the epoch, UTC.

    """
    refused = _limits(evidence, kind)
    if refused is not None:
        return Verified(None, (refused,))
    try:
        verified = kind.verify(evidence, now)
        claims, failure = verified.claims, first_failure(verified.checks)
        if claims is not None and claims.kind != evidence.kind:
            found = f"claims of kind {claims.kind[:40]!r}"
            return Verified(None, (*verified.checks, failed("kind", found, evidence.kind)))
    except Exception as error:  # noqa: BLE001 - the boundary: a plug-in fails, not the rest
        return _raised(error)
    return verified if failure is None else Verified(None, verified.checks)


def _raised(error: Exception) -> Verified:
    found = f"{type(error).__name__}: {error}"[:120]
    return Verified(None, (failed("verifier", found, "a verifier that does not raise"),))


def _find(
    evidence: Evidence, policy: Policy, kinds: Kinds, expectation: Expectation, now: float
) -> _Findings:
    accepted = sorted({one.kind for one in policy.accept})
    if evidence.kind not in accepted or evidence.kind not in kinds:
        refused = failed("kind", repr(evidence.kind[:40]), f"one of {', '.join(accepted)}")
        return _Findings(Verified(None, (refused,)))
    verified = verify(evidence, kinds[evidence.kind], now)
    claims = verified.claims
    if claims is None:
        return _Findings(verified)
    statement = _statement(evidence, claims, policy, expectation)
    appraised = appraise(claims, statement, evidence.manifest, policy, now)
    checks = appraised.checks
    if first_failure(statement.checks) is None:
        checks = (*checks, *binding.bind(claims, statement, policy, expectation))
    owned = None
    if policy.ownership is not None:
        owned = check_ownership(policy.ownership, expectation, now)
    return _Findings(verified, statement, appraised.accepted_set, checks, owned)


def _limits(evidence: Evidence, kind: EvidenceKind) -> Check | None:
    """Refuse, before anything is parsed, what is too much."""
    limits = (
        ("document_size", evidence.document, kind.limit),
        ("claims_buffer_size", evidence.claims_buffer or b"", MAX_CLAIMS_BUFFER),
        ("agent_claims_size", evidence.agent_claims or b"", MAX_AGENT_CLAIMS),
        ("manifest_size", evidence.manifest or b"", MAX_MANIFEST),
    )
    for name, data, limit in limits:
        if len(data) > limit:
            return failed(name, f"{len(data)} bytes", f"at most {limit}")
    count = len(evidence.endorsements)
    size = sum(map(len, evidence.endorsements.values()))
    if count > MAX_ENDORSEMENTS or size > MAX_ENDORSEMENT_BYTES:
        expected = f"at most {MAX_ENDORSEMENTS} of {MAX_ENDORSEMENT_BYTES} bytes in all"
        return failed("endorsements_size", f"{count} of {size} bytes", expected)
    return None


def _statement(
    evidence: Evidence, claims: Claims, policy: Policy, expectation: Expectation
) -> Statement:
    """Read what travels beside evidence, if the policy's convention has it."""
    if policy.binding is not Binding.CLAIMS_BUFFER:
        return Statement()
    names = asked(policy, expectation)
    beside = evidence.claims_buffer is not None or evidence.agent_claims is not None
    needed = {binding.KEY, appraisal.KEY_ORIGIN, appraisal.TICKET_KEYS} & names
    if not (beside or needed or policy.claims):
        return Statement(checks=(not_made("claims_buffer", "nothing that is asked for needs it"),))
    by_exporter = binding.bound_by_exporter(policy, expectation)
    return read_statement(evidence, claims, by_exporter=by_exporter)


def _refusal(checks: tuple[Check, ...], names: frozenset[str]) -> Check | None:
    """Return the first check that failed; else the first that was asked for and not made."""
    refused = first_failure(checks)
    if refused is not None:
        return refused
    for check in checks:
        if check.outcome is Outcome.NOT_MADE and check.name in names:
            return check
    missing = sorted(names - {check.name for check in checks})
    return not_made(missing[0], "nothing was found that answers it") if missing else None


def _until(claims: Claims, owned: Owned | None, policy: Policy) -> float:
    """Return the first end: of the certificates, of the age allowed, of the owner's name."""
    ends = [claims.valid_until]
    if policy.freshness.max_age is not None and claims.signed_at is not None:
        ends.append(claims.signed_at + policy.freshness.max_age)
    if owned is not None:
        ends.append(owned.valid_until)
    return min(ends)


def _passed(checks: tuple[Check, ...], name: str) -> str | None:
    """Return what a check found, if it passed."""
    for check in checks:
        if check.name == name and check.outcome is Outcome.PASSED:
            return check.found
    return None
