"""Appraisal: is what genuine evidence says acceptable to this policy?

Each demand is one check. One that could not be made, because the evidence says nothing of it, is
shown as not made; whether that refuses is for the verdict, which knows what was asked.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from attestation.agent_claims import AgentClaims, KeyOrigin, TicketKeys
from attestation.checks import Check, Outcome, failed, not_made, passed
from attestation.claims import Claims
from attestation.errors import MalformedEvidence
from attestation.evidence import MeasurementSet
from attestation.manifest import digest, parse_manifest, register_value
from attestation.policy import FreshnessMode, ManifestDemand, Policy
from attestation.statement import Statement

MAX_CLOCK_SKEW: Final = 300.0
"""Seconds that a signed time may be ahead of ours: two clocks that nobody compares differ."""

MEASUREMENTS: Final = "measurements"
SIGNED_TIME: Final = "signed_time"
AGE: Final = "age"
KEY_ORIGIN: Final = "key_origin"
TICKET_KEYS: Final = "ticket_keys"
CLAIM: Final = "claim_"
MANIFEST: Final = "manifest"
MANIFEST_CLAIM: Final = "manifest_claim"


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What a policy says of claims.

    Attributes:
        accepted_set: Index of the set of measurements that they meet; None: of none.
        checks: Each demand.

    """

    accepted_set: int | None
    checks: tuple[Check, ...]


def appraise(
    claims: Claims, statement: Statement, manifest: bytes | None, policy: Policy, now: float
) -> Appraisal:
    """Return what a policy says of genuine claims.

    Args:
        claims: What the TEE says; verified.
        statement: What the agent in it says.
        manifest: The secondary manifest, if it came; hostile until its digest is found.
        policy: What is accepted.
        now: Seconds since the epoch, UTC.

    """
    accepted_set, measured = _measurements(claims, policy)
    agent = statement.agent
    checks = [*_platform(claims, policy), *measured, *_time(claims, policy, now)]
    checks.append(_key_origin(agent, policy))
    checks.append(_ticket_keys(agent, policy))
    checks.extend(_claim(name, statement, policy) for name in policy.claims)
    if policy.manifest is not None:
        checks.extend(_manifest(claims, agent, manifest, policy.manifest))
    return Appraisal(accepted_set, tuple(checks))


def ticket_keys_trusted(agent: AgentClaims | None, policy: Policy) -> bool:
    """Say whether it is stated that nobody else can open this enclave's session tickets.

    Without that a ticket may be resumed by whoever holds its key, attested or not.
    """
    stated = None if agent is None else agent.ticket_keys
    if stated is TicketKeys.SHARED:
        return policy.shared_ticket_keys
    return stated is TicketKeys.INSIDE


def _platform(claims: Claims, policy: Policy) -> tuple[Check, ...]:
    checks = [passed("debug", "on" if claims.debug else "off")]
    if claims.debug and not policy.allow_debug:
        checks = [failed("debug", "on: its operator can read its memory", "off, or allow_debug")]
    if claims.simulated and not policy.allow_simulated:
        checks.append(failed("simulated", "no TEE at all", "a real one, or allow_simulated"))
    elif claims.simulated:
        checks.append(passed("simulated", "no TEE at all; the policy allows it"))
    return tuple(checks)


def _measurements(claims: Claims, policy: Policy) -> tuple[int | None, tuple[Check, ...]]:
    """The first set that is met in full; else what is missing from each, the nearest set first."""
    failing: list[tuple[int, int, tuple[Check, ...]]] = []
    for index, one in enumerate(policy.accept):
        if one.kind != claims.kind:
            continue
        checks = _appraised(one, claims)
        missing = tuple(check for check in checks if check.outcome is not Outcome.PASSED)
        if checks and not missing:
            return index, (passed(MEASUREMENTS, f"accept.{index}"), *checks)
        failing.append((len(missing), index, missing))
    if not failing:
        kinds = ", ".join(sorted({one.kind for one in policy.accept}))
        return None, (failed("kind", claims.kind, f"one of {kinds}"),)
    nearest_first = [
        check for _, index, missing in sorted(failing) for check in _of(index, missing)
    ]
    return None, (*nearest_first, failed(MEASUREMENTS, "no set is met", "one of `accept`"))


def _appraised(one: MeasurementSet, claims: Claims) -> tuple[Check, ...]:
    try:
        return one.appraise(claims)
    except Exception as error:  # noqa: BLE001 - the boundary: a plug-in fails, not the rest
        found = f"{type(error).__name__}: {error}"[:120]
        return (failed(MEASUREMENTS, found, "demands that do not raise"),)


def _of(index: int, missing: tuple[Check, ...]) -> tuple[Check, ...]:
    """Name the set that asked for it."""
    return tuple(
        Check(check.name, check.outcome, check.found, f"{check.expected} (accept.{index})")
        for check in missing
    )


def _time(claims: Claims, policy: Policy, now: float) -> tuple[Check, ...]:
    freshness, signed_at = policy.freshness, claims.signed_at
    if signed_at is None:
        # A kind that signs no time may stand beside others that do; alone the policy is refused.
        if freshness.mode is FreshnessMode.MAX_AGE:
            return (not_made(AGE, "the evidence carries no signed time"),)
        return ()
    age = now - signed_at
    if age < -MAX_CLOCK_SKEW:
        found = f"{-age:.0f} s in the future"
        return (failed(SIGNED_TIME, found, f"at most {MAX_CLOCK_SKEW:.0f} s ahead"),)
    checks = [passed(SIGNED_TIME)]
    if freshness.max_age is not None and age > freshness.max_age:
        checks.append(failed(AGE, f"{age:.0f} s", f"at most {freshness.max_age:.0f} s"))
    elif freshness.max_age is not None:
        checks.append(passed(AGE, f"{age:.0f} s"))
    return tuple(checks)


def _key_origin(agent: AgentClaims | None, policy: Policy) -> Check:
    origin = KeyOrigin.UNSTATED if agent is None else agent.key_origin
    if origin in policy.key_origins:
        return passed(KEY_ORIGIN, origin)
    if agent is None:
        return not_made(KEY_ORIGIN, "without agent claims nothing says where the key comes from")
    if origin is KeyOrigin.UNSTATED:
        return not_made(KEY_ORIGIN, "the agent does not state where the key comes from")
    return failed(KEY_ORIGIN, origin, " or ".join(sorted(policy.key_origins)))


def _ticket_keys(agent: AgentClaims | None, policy: Policy) -> Check:
    if agent is None or agent.ticket_keys is None:
        return not_made(TICKET_KEYS, "the evidence does not state who holds its ticket keys")
    if ticket_keys_trusted(agent, policy) or not policy.ticket_keys_inside:
        return passed(TICKET_KEYS, agent.ticket_keys)
    return failed(TICKET_KEYS, agent.ticket_keys, "inside, or shared_ticket_keys")


def _claim(name: str, statement: Statement, policy: Policy) -> Check:
    label, wanted = CLAIM + name, policy.claims[name]
    said: dict[str, object] = dict(statement.buffer.others) if statement.buffer else {}
    said |= statement.agent.claims if statement.agent else {}
    if name not in said:
        return not_made(label, "the evidence does not state it")
    found = said[name]
    # True is no 1 here: a claim has a type.
    if type(found) is type(wanted) and found == wanted:
        return passed(label, repr(wanted))
    return failed(label, repr(found)[:60], repr(wanted))


def _manifest(
    claims: Claims, agent: AgentClaims | None, document: bytes | None, demand: ManifestDemand
) -> tuple[Check, ...]:
    """The register decides. What the agent says is no proof, yet must not differ."""
    wanted = demand.digest
    if wanted is None:
        if document is None:
            return (not_made(MANIFEST, "no manifest came with the evidence"),)
        wanted = digest(document)
    register = claims.manifest_register
    if register is None:
        why = "its digest stands in no register that later code cannot write"
        if agent is not None and agent.manifest is not None:
            why = "its digest stands in user data alone, which any process inside can forge"
        return (not_made(MANIFEST, why),)
    if not hmac.compare_digest(register, register_value(wanted, len(register))):
        expected = register_value(wanted, len(register)).hex() or "32 or 48 bytes"
        return (failed(MANIFEST, f"register {register.hex()}", expected),)
    checks = [passed(MANIFEST, f"sha256:{wanted.hex()}")]
    stated = None if agent is None else agent.manifest
    if stated is not None and stated != wanted:
        checks.append(failed(MANIFEST_CLAIM, f"the agent says {stated.hex()}", wanted.hex()))
    return (*checks, *_fields(document, wanted, demand))


def _fields(document: bytes | None, wanted: bytes, demand: ManifestDemand) -> tuple[Check, ...]:
    names = [f"{MANIFEST}_{name}" for name in demand.fields]
    if not names:
        return ()
    if document is None:
        return tuple(not_made(name, "no manifest came with the evidence") for name in names)
    if not hmac.compare_digest(digest(document), wanted):
        return (failed(names[0], f"a manifest {digest(document).hex()}", wanted.hex()),)
    try:
        found = parse_manifest(document).fields()
    except MalformedEvidence as error:
        return (failed(names[0], str(error), "a manifest"),)
    return tuple(
        passed(label)
        if found[field] == value
        else failed(label, repr(found[field])[:60], repr(value)[:60])
        for label, (field, value) in zip(names, demand.fields.items(), strict=True)
    )
