"""One visit to a backend for its evidence: one connection, and all of it from there.

The certificate is that of this connection, and the evidence comes over it or stands in it; so the
key that it must speak of is the one that the backend has just used. A backend may be hostile:
bytes, memory and time are bounded, and whatever it sends comes to an outcome.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from attestation import (
    Binding,
    Evidence,
    Expectation,
    FreshnessMode,
    MalformedEvidence,
    Policy,
    read_certificate,
)
from attestation.x509 import load_certificate
from l4proxy.config import EvidenceSource
from l4proxy.control.attesting.ask import BadEvidenceAnswer, Stream, ask, take
from l4proxy.control.attesting.secure_line import BrokenTls, SecureLine
from l4proxy.control.line import GOODBYE_SECONDS, LOCAL_ERRORS, Line, TooLong
from l4proxy.control.tickets.visit import Approach
from l4proxy.evidence_wire import (
    ALPN,
    FRAME_HEADER,
    MAX_ANSWER,
    Answer,
    Question,
    frame_size,
    parse_answer,
)

NONCE_BYTES: Final = 32
"""Bytes of a nonce: nobody guesses them, and every kind of TEE has room for them."""


class FetchFault(StrEnum):
    """Why a visit has brought no evidence; labels of status and metrics."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"

    TLS_FAILED = "tls_failed"
    """It broke the handshake off, closed too early, or does not speak TLS as we do."""

    TOO_LONG = "too_long"
    """It sent more than anybody reads."""

    NO_ANSWER = "no_answer"
    """It did not answer as an evidence endpoint does."""

    NO_EVIDENCE = "no_evidence"
    """Its certificate carries none."""

    MALFORMED = "malformed_evidence"
    """What it sent in place of evidence is none."""

    LOCAL = "local"
    """This machine is short of descriptors, memory or ports; it says nothing of the backend."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How evidence is had, and what it is to be bound to.

    Attributes:
        source: Where it is.
        binding: How it names the key.
        freshness: What shows that it is not an old one.
    """

    source: EvidenceSource
    binding: Binding
    freshness: FreshnessMode

    @property
    def protocols(self) -> tuple[str, ...]:
        """What is offered by ALPN: beside HTTP that of a proof of the connection, if it will do."""
        proved = self.freshness is FreshnessMode.EXPORTER
        wanted = proved and self.source is EvidenceSource.WELL_KNOWN
        return (ALPN, "http/1.1") if wanted else ("http/1.1",)

    @classmethod
    def by(cls, policy: Policy, source: EvidenceSource) -> "Manner":
        """Return the manner that a policy asks for."""
        return cls(source, policy.binding, policy.freshness.mode)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a visit.

    Attributes:
        fault: Why there is no evidence; None: there is.
        detail: More about the fault; short, printable.
        certificate: Of the connection, in DER; empty if there was no handshake.
        evidence: Hostile until it is judged.
        expectation: What this end of the connection knows; None if there was no handshake.
    """

    fault: FetchFault | None = None
    detail: str = ""
    certificate: bytes = b""
    evidence: Evidence | None = None
    expectation: Expectation | None = None


async def fetch(approach: Approach, manner: Manner) -> Fetched:
    """Visit a backend once for its evidence.

    It takes no longer than the timeout, the goodbye included, and raises only if cancelled.
    """
    deadline = _now() + approach.timeout
    try:
        with Line(approach.address) as line:
            async with asyncio.timeout_at(deadline):
                await line.connect()
            return await _fetch_on(line, approach, manner, deadline)
    except TimeoutError:
        return Fetched(FetchFault.TIMEOUT)
    except OSError as error:
        ours = error.errno in LOCAL_ERRORS
        fault = FetchFault.LOCAL if ours else FetchFault.UNREACHABLE
        return Fetched(fault, error.strerror or "")


async def _fetch_on(line: Line, approach: Approach, manner: Manner, deadline: float) -> Fetched:
    over = SecureLine(line, approach.server_name, manner.protocols)
    try:
        async with asyncio.timeout_at(deadline):
            await line.send(approach.preamble)
            await over.greet()
            fetched = await _collect(over, approach, manner)
    except (MalformedEvidence, BadEvidenceAnswer) as error:
        malformed = isinstance(error, MalformedEvidence)
        fault = FetchFault.MALFORMED if malformed else FetchFault.NO_ANSWER
        fetched = Fetched(fault, str(error), over.certificate)
    except TimeoutError:
        fetched = Fetched(FetchFault.TIMEOUT, "", over.certificate)
    except TooLong:
        fetched = Fetched(FetchFault.TOO_LONG, "", over.certificate)
    except (OSError, BrokenTls) as error:
        fetched = Fetched(FetchFault.TLS_FAILED, str(error), over.certificate)
    # Whatever happens from here, the backend has shown what it had to show.
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout_at(min(deadline, _now() + GOODBYE_SECONDS)):
            await over.leave()
    return fetched


async def _collect(over: SecureLine, approach: Approach, manner: Manner) -> Fetched:
    if manner.source is EvidenceSource.CERTIFICATE:
        key = read_certificate(over.certificate, manner.binding)
        here = Expectation(over.certificate, over.chain, key.spki)
        fault = FetchFault.NO_EVIDENCE if key.evidence is None else None
        return Fetched(fault, "", over.certificate, key.evidence, here)
    # What else may stand in the certificate is not asked for, and so no cause to refuse it.
    known = Expectation(over.certificate, over.chain, load_certificate(over.certificate).spki)
    if manner.freshness is not FreshnessMode.EXPORTER:
        nonce = secrets.token_bytes(NONCE_BYTES)
        answer = await _asked(over, approach, Question(nonce))
        here = replace(known, nonce=answer.signed(nonce))
    elif over.exporter is not None:
        framed = over.protocol == ALPN
        answer = await (_framed(over) if framed else _asked(over, approach, Question(None)))
        here = replace(known, exporter=answer.signed(over.exporter))
    else:
        raise BadEvidenceAnswer("TLS before 1.3, which has no exporter value for a policy")
    return Fetched(None, "", over.certificate, answer.evidence, here)


async def _asked(over: Stream, approach: Approach, question: Question) -> Answer:
    host = str(approach.server_name or approach.address)
    return parse_answer(await ask(over, host, question.target, MAX_ANSWER))


async def _framed(over: Stream) -> Answer:
    """Return the answer that comes unasked where another protocol than HTTP is spoken behind."""
    heard = await take(over, b"", FRAME_HEADER)
    size = FRAME_HEADER + frame_size(heard[:FRAME_HEADER])
    return parse_answer((await take(over, heard, size))[FRAME_HEADER:size])


def _now() -> float:
    return asyncio.get_running_loop().time()
