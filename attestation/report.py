"""A verdict in writing: a JSON document for programs, lines for people."""

from collections.abc import Mapping
from datetime import UTC, datetime

from attestation.agent_claims import AgentClaims
from attestation.checks import Check, Outcome
from attestation.claims import Claims
from attestation.verdict import AttestationResult

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
"""What JSON can say; bytes stand as hexadecimal digits, times as ISO 8601 in UTC."""

_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.NOT_MADE: "not made"}


def as_document(result: AttestationResult) -> dict[str, Json]:
    """Return a verdict as a JSON document: every check, what was found, whose it is."""
    return {
        "accepted": result.accepted,
        "reason": None if result.reason is None else str(result.reason),
        "kind": result.kind,
        "simulated": result.simulated,
        "trust_until": _moment(result.trust_until),
        "configuration": result.configuration,
        "owner": result.owner,
        "accepted_set": result.accepted_set,
        "resumption": result.resumption,
        "policy": result.policy.hex(),
        "checks": [_check(check) for check in result.checks],
        "claims": None if result.claims is None else _claims(result.claims),
        "agent": None if result.agent is None else _agent(result.agent),
    }


def as_lines(result: AttestationResult) -> tuple[str, ...]:
    """Return a verdict as lines of text: the verdict, what it rests on, each check."""
    head = f"accepted until {_moment(result.trust_until)}" if result.accepted else "refused"
    if result.reason is not None:
        head = f"refused by {result.reason}"
    warning = ["SIMULATED: there is no TEE, this proves nothing"] if result.simulated else []
    sides = [
        f"what it runs: {result.configuration or 'no manifest was proved'}",
        f"whose it is:  {result.owner or 'no owner was proved'}",
    ]
    checks = [f"  {_MARKS[check.outcome]:<8} {_line(check)}" for check in result.checks]
    return (head, *warning, *sides, *checks)


def _line(check: Check) -> str:
    if check.outcome is Outcome.PASSED and check.found:
        return f"{check.name}: {check.found}"
    return check.name if check.outcome is Outcome.PASSED else str(check)


def _check(check: Check) -> Json:
    return {
        "name": check.name,
        "outcome": check.outcome.value,
        "found": check.found,
        "expected": check.expected,
    }


def _claims(claims: Claims) -> Json:
    return {
        "measurements": {name: value.hex() for name, value in claims.measurements.items()},
        "fields": {name: value.hex() for name, value in claims.fields.items()},
        "bound_data": claims.bound_data.hex(),
        "debug": claims.debug,
        "valid_until": _moment(claims.valid_until),
        "signed_at": _moment(claims.signed_at),
        "nonce": _hex(claims.nonce),
        "public_key": _hex(claims.public_key),
        "manifest_register": _hex(claims.manifest_register),
        "chip_id": _hex(claims.chip_id),
        "product": claims.product,
        "tcb": dict(claims.tcb),
        "tcb_status": claims.tcb_status,
        "details": dict(claims.details),
    }


def _agent(agent: AgentClaims) -> Json:
    return {
        "instance": agent.instance,
        "key_origin": agent.key_origin.value,
        "ticket_keys": None if agent.ticket_keys is None else agent.ticket_keys.value,
        "ticket_names": _hex(agent.ticket_names),
        "manifest": _hex(agent.manifest),
        "telemetry": _hex(agent.telemetry),
        "claims": dict(agent.claims),
    }


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"
