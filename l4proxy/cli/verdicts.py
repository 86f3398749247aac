"""Verdicts on evidence, as commands tell them: lines for people, JSON for scripts."""

import json
import sys
from collections.abc import Mapping
from enum import StrEnum

from rich.console import Console
from rich.text import Text

from attestation import (
    AttestationResult,
    Check,
    Evidence,
    EvidenceKind,
    Expectation,
    Json,
    as_document,
    as_lines,
    failed,
    first_failure,
    not_made,
    passed,
    verify,
)
from l4proxy.cli.command import Exit

_NO_POLICY = "no policy was given"


class Verdict(StrEnum):
    """What is said of evidence. Only a policy accepts; genuine alone is no reason to trust."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    GENUINE = "genuine"
    NOT_GENUINE = "not_genuine"


_GOOD = frozenset({Verdict.ACCEPTED, Verdict.GENUINE})
_HEADS = {
    Verdict.GENUINE: "genuine; not accepted, as no policy says what is acceptable",
    Verdict.NOT_GENUINE: "not genuine",
}
_STYLES = {"ok": "green", "FAILED": "bold red", "not made": "yellow", "SIMULATED": "bold yellow"}


def examine(
    evidence: Evidence, kind: EvidenceKind, expectation: Expectation, now: float
) -> AttestationResult:
    """Return what can be said without a policy: whether it is genuine, and as expected.

    It is never accepted; what only a policy can ask is among the checks as not made.
    """
    verified = verify(evidence, kind, now)
    checks = list(verified.checks)
    claims = verified.claims
    if claims is not None:
        expected = {
            "nonce": (claims.nonce, expectation.nonce),
            "bound_data": (claims.bound_data, expectation.bound_data),
            "public_key": (claims.public_key, expectation.public_key),
        }
        checks += [_same(name, *pair) for name, pair in expected.items() if pair[1] is not None]
        debug = "on: its operator can read its memory" if claims.debug else "off"
        checks += [
            not_made("measurements", f"{_NO_POLICY}: what it runs is not compared with anything"),
            not_made("debug", f"{_NO_POLICY}: it is {debug}"),
            not_made("key_binding", f"{_NO_POLICY}: it may be another server's"),
            not_made("freshness", f"{_NO_POLICY}: it may be an old one"),
        ]
    return AttestationResult(
        accepted=False,
        reason=first_failure(checks),
        checks=tuple(checks),
        kind=evidence.kind,
        claims=claims,
        agent=None,
        trust_until=None,
        configuration=None,
        owner=None,
        accepted_set=None,
        resumption=False,
        policy=b"",
    )


def verdict_of(result: AttestationResult) -> Verdict:
    """Return what a result says, with a policy or without."""
    if result.policy:
        return Verdict.ACCEPTED if result.accepted else Verdict.REFUSED
    genuine = result.claims is not None and result.reason is None
    return Verdict.GENUINE if genuine else Verdict.NOT_GENUINE


def tell(result: AttestationResult, about: Mapping[str, Json], *, as_json: bool) -> Exit:
    """Print a result, and return the exit status that says the same.

    Args:
        result: As `judge` or `examine` gave it.
        about: What was judged, by whom it was asked: stands before the rest of the document.
        as_json: One JSON document, or lines.

    """
    verdict = verdict_of(result)
    if as_json:
        print(json.dumps({"verdict": verdict, **about, **as_document(result)}, indent=2))
    else:
        _print(result, verdict)
    return Exit.FINE if verdict in _GOOD else Exit.FAILED


def unusable(error: Exception) -> Exit:
    """Say on standard error why there is no verdict."""
    for line in str(error).splitlines():
        print(f"l4proxy: {line}", file=sys.stderr)
    return Exit.UNUSABLE


def no_evidence(error: Exception, *, as_json: bool) -> Exit:
    """Say that a backend has shown nothing to judge, which refuses it."""
    if as_json:
        print(json.dumps({"verdict": Verdict.REFUSED, "reason": str(error)}, indent=2))
    else:
        print(f"l4proxy: {error}", file=sys.stderr)
    return Exit.FAILED


def _print(result: AttestationResult, verdict: Verdict) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    head, *lines = as_lines(result)
    if not result.policy:
        reason = "" if result.reason is None else f": {result.reason}"
        head = _HEADS[verdict] + reason
        # What it runs and whose it is are answers to a policy.
        lines = [line for line in lines if not line.startswith(("what it runs", "whose it is"))]
    console.print(Text(head, "bold green" if verdict in _GOOD else "bold red"))
    for line in lines:
        console.print(Text(line, _style(line)))
    if result.claims is not None and not result.policy:
        _print_measurements(console, result.claims.measurements)


def _print_measurements(console: Console, measurements: Mapping[str, bytes]) -> None:
    """Show what it says that it runs, for an eye to compare; registers of zeros are left out."""
    for name, value in measurements.items():
        if any(value):
            console.print(Text(f"  says     {name}: {value.hex()}"))


def _style(line: str) -> str:
    words = line.strip()
    return next((style for mark, style in _STYLES.items() if words.startswith(mark)), "")


def _same(name: str, found: bytes | None, expected: bytes | None) -> Check:
    if found == expected:
        return passed(name)
    return failed(name, _hex(found), _hex(expected))


def _hex(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes {data[:32].hex()}"
