"""What is asked of evidence on the command line, from a file or from a live backend."""

import argparse
import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from attestation import (
    AttestationError,
    AttestationResult,
    Binding,
    Evidence,
    Expectation,
    FreshnessMode,
    Kinds,
    judge,
)
from l4proxy.cli.arguments import Place
from l4proxy.cli.evidence_file import Unusable, read_evidence, read_shown
from l4proxy.cli.verdicts import examine
from l4proxy.config import ConfigError, EvidenceSource
from l4proxy.control.attesting.fetch import Manner, fetch
from l4proxy.control.tickets.visit import Approach
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy
from routing import Address
from sni import BadServerName, ServerName

OUR_MANNER: Final = Manner(EvidenceSource.WELL_KNOWN, Binding.CLAIMS_BUFFER, FreshnessMode.EXPORTER)
"""How evidence is had where no policy says it: as our own agent gives it, for the connection."""

UNUSABLE: Final = (AttestationError, ConfigError, Unusable)
"""What says that there can be no verdict: a file, an argument or a plug-in is of no use."""


@dataclass(frozen=True, slots=True)
class FileQuestion:
    """What a file of evidence is to be judged by; None where it was not said.

    Attributes:
        file: The evidence.
        kind: What it is: a kind of TEE, or `cmw`.
        endorsements: A folder of what belongs to it.
        certificate: The server's, to compare its key with.
        policy: What is accepted.
        nonce: What must be signed.
        bound_data: What the user data or report data must be.
        public_key: What the document's own key field must be.

    """

    file: Path
    kind: str
    endorsements: Path | None = None
    certificate: Path | None = None
    policy: Path | None = None
    nonce: bytes | None = None
    bound_data: bytes | None = None
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A live backend.

    Attributes:
        place: Where it is.
        server_name: What is asked for in the handshake; None: nothing.
        timeout: Seconds for the whole visit.

    """

    place: Place
    server_name: ServerName | None
    timeout: float


class NoEvidence(Exception):
    """A backend gave none; the text says why."""


def target_of(place: Place, arguments: argparse.Namespace) -> Target:
    """Return the backend that the arguments of `add_target` speak of."""
    name: ServerName | None = arguments.server_name
    if name is None:
        with contextlib.suppress(BadServerName):
            name = ServerName.parse(place.host)
    return Target(place, name, arguments.timeout)


def judge_file(question: FileQuestion, now: float) -> AttestationResult:
    """Return what a file is worth at `now`, seconds UTC.

    Raises:
        Unusable, ConfigError, AttestationError: A file or a plug-in cannot be used.

    """
    kinds = installed_kinds()
    evidence = read_evidence(question.file, question.kind, question.endorsements)
    known(evidence, kinds)
    expectation = _expectation(question)
    if question.policy is None:
        return examine(evidence, kinds[evidence.kind], expectation, now)
    policy = load_policy(question.policy, kinds)
    return judge(evidence, policy, kinds, expectation, now)


def judge_backend(target: Target, policy_file: Path, shown: str) -> AttestationResult:
    """Return what a live backend is worth now.

    Args:
        target: The backend.
        policy_file: What is accepted.
        shown: Where it shows its evidence, as the configuration says it.

    Raises:
        Unusable, ConfigError, AttestationError: The policy or a plug-in cannot be used.
        NoEvidence: It gave none.

    """
    kinds = installed_kinds()
    policy = load_policy(policy_file, kinds)
    source, mode = EvidenceSource(shown), policy.freshness.mode
    if source is EvidenceSource.CERTIFICATE and mode is not FreshnessMode.MAX_AGE:
        expected = "well-known, for a certificate was made before anybody connected"
        raise Unusable(f"{policy_file}: asks for freshness by {mode}: expected {expected}")
    evidence, expectation = visit(target, Manner.by(policy, source))
    return judge(evidence, policy, kinds, expectation, time.time())


def visit(target: Target, manner: Manner) -> tuple[Evidence, Expectation]:
    """Return the evidence that one visit brings, and what is known of its connection.

    Raises:
        NoEvidence: There was none.

    """
    fetched = asyncio.run(fetch(_approach(target), manner))
    if fetched.evidence is None or fetched.expectation is None:
        detail = f": {fetched.detail}" if fetched.detail else ""
        raise NoEvidence(f"{target.place}: {fetched.fault or 'no evidence'}{detail}")
    return fetched.evidence, fetched.expectation


def known(evidence: Evidence, kinds: Kinds) -> None:
    """Return if evidence is of a kind that is installed.

    Raises:
        Unusable: It is not.

    """
    if evidence.kind not in kinds:
        expected = ", ".join([*kinds, "cmw"])
        raise Unusable(f"found the kind {evidence.kind[:40]!r}, expected one of {expected}")


def _expectation(question: FileQuestion) -> Expectation:
    expected = Expectation(
        nonce=question.nonce,
        bound_data=question.bound_data,
        public_key=question.public_key,
        live=False,
    )
    if question.certificate is None:
        return expected
    if question.policy is None:
        raise Unusable("--certificate: expected --policy beside it, which names the binding")
    shown = read_shown(question.certificate)
    return replace(expected, certificate=shown.certificate, chain=shown.chain, spki=shown.spki)


def _approach(target: Target) -> Approach:
    host, port = target.place
    if port:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NoEvidence(f"{target.place}: {error.strerror}") from error
        host = str(found[0][4][0])
    return Approach(Address(host, port), target.server_name, timeout=target.timeout)
