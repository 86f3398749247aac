"""Drafts of policies that are known to work: each has accepted what it was made from."""

import time
from pathlib import Path

from attestation import Evidence, Expectation, Kinds, judge, verify
from l4proxy.cli.draft import MAX_BUILD_BYTES, Draft, NoDraft, from_build, from_evidence
from l4proxy.cli.evidence_file import Unusable, read_evidence, read_file
from l4proxy.cli.judging import OUR_MANNER, NoEvidence, Target, known, visit
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import parse_policy


def for_build(path: Path) -> str:
    """Return the policy for an image, from the file that its build printed.

    Raises:
        Unusable, ConfigError: The file is none of that kind, or its values are no measurements.

    """
    try:
        draft = from_build(read_file(path, MAX_BUILD_BYTES))
    except NoDraft as error:
        raise Unusable(f"{path}: {error}") from error
    text = draft.text(f"the build {path.name}")
    parse_policy(text, path, installed_kinds())
    return text


def for_evidence(path: Path, kind: str, endorsements: Path | None, now: float) -> str:
    """Return the policy that accepts the evidence in a file, genuine at `now`, seconds UTC.

    Raises:
        Unusable, ConfigError, AttestationError: A file or a plug-in cannot be used.
        NoEvidence: It is not genuine, or says nothing that can be pinned.

    """
    kinds = installed_kinds()
    evidence = read_evidence(path, kind, endorsements)
    known(evidence, kinds)
    return _accepting(evidence, kinds, Expectation(live=False), now, f"the evidence {path.name}")


def for_backend(target: Target) -> str:
    """Return the policy that accepts a live backend as it is now.

    Raises:
        AttestationError: A plug-in cannot be used.
        NoEvidence: It gave none, or none that is genuine and bound to its connection.

    """
    kinds = installed_kinds()
    evidence, expectation = visit(target, OUR_MANNER)
    if evidence.kind not in kinds:
        raise NoEvidence(f"{target.place}: found the kind {evidence.kind[:40]!r}, of no TEE here")
    # Read behind the visit: what is signed during it may begin at its second.
    return _accepting(evidence, kinds, expectation, time.time(), f"the backend {target.place}")


def _accepting(
    evidence: Evidence, kinds: Kinds, expectation: Expectation, now: float, where: str
) -> str:
    """Return the text of a draft by which the evidence that it was made from is accepted."""
    verified = verify(evidence, kinds[evidence.kind], now)
    if verified.claims is None:
        reason = verified.checks[-1] if verified.checks else "nothing was checked"
        raise NoEvidence(f"{where}: not genuine: {reason}")
    try:
        draft: Draft = from_evidence(verified.claims, evidence)
    except NoDraft as error:
        raise NoEvidence(f"{where}: {error}") from error
    text = draft.text(where)
    result = judge(evidence, parse_policy(text, Path(where), kinds), kinds, expectation, now)
    if not result.accepted:
        raise NoEvidence(f"{where}: its own policy would refuse it: {result.reason}")
    return text
