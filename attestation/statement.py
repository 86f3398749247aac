"""The statement: the claims that travel beside evidence, once the evidence is seen to cover them.

Nothing here is believed before its digest was found in the signed bytes, or before those who sign
were verified.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from attestation.agent_claims import AgentClaims, parse_agent_claims
from attestation.checks import Check, failed, not_made, passed
from attestation.claims import Claims
from attestation.claims_buffer import ClaimsBuffer, parse_claims_buffer
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence
from attestation.expectation import EXPORTER

REPORT_DATA: Final = 64
"""Bytes of `report_data`: a digest, then zeros or the exporter."""

_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Statement:
    """What evidence covers beside itself.

    Attributes:
        buffer: The claims buffer; None where the convention has none, or it does not hold.
        agent: The agent's claims; None where there are none, or they do not hold.
        checks: How that was found out.

    """

    buffer: ClaimsBuffer | None = None
    agent: AgentClaims | None = None
    checks: tuple[Check, ...] = ()


def report_data(covered: bytes, exporter: bytes = bytes(EXPORTER)) -> bytes:
    """Return the 64 bytes that a TEE signs: SHA-256 of what is covered, then the exporter or zeros.

    Args:
        covered: The claims buffer, or the SubjectPublicKeyInfo where there is no buffer.
        exporter: The connection's exporter value; zeros bind to no connection.

    """
    return hashlib.sha256(covered).digest() + exporter


def read_statement(evidence: Evidence, claims: Claims, *, by_exporter: bool) -> Statement:
    """Return the claims buffer and the agent claims that genuine evidence covers.

    A buffer beside the evidence must have its digest in the signed bytes; without one the signed
    bytes are the buffer (Nitro). Bound to a connection, the signed bytes are a digest and the
    exporter; the digest is then of the buffer beside it, or of the key alone, and nothing is said.
    """
    buffer, bound = evidence.claims_buffer, claims.bound_data
    if buffer is None and by_exporter:
        return Statement(checks=_nothing(evidence))
    if buffer is not None and not _covers(bound, buffer, by_exporter=by_exporter):
        expected = "SHA-256 of the claims buffer, then " + ("exporter" if by_exporter else "zeros")
        return Statement(checks=(failed("claims_buffer", _start(bound), expected),))
    try:
        parsed = parse_claims_buffer(bound if buffer is None else buffer)
    except MalformedEvidence as error:
        return Statement(checks=(failed("claims_buffer", str(error), "a claims buffer"),))
    agent, check = _agent(parsed, evidence.agent_claims)
    return Statement(parsed, agent, (passed("claims_buffer"), check))


def _covers(bound: bytes, buffer: bytes, *, by_exporter: bool) -> bool:
    if len(bound) != REPORT_DATA:
        return False
    # The exporter itself is compared where the connection is known.
    tail = bound[_DIGEST:] if by_exporter else bytes(EXPORTER)
    return hmac.compare_digest(bound, report_data(buffer, tail))


def _agent(buffer: ClaimsBuffer, beside: bytes | None) -> tuple[AgentClaims | None, Check]:
    name = "agent_claims"
    if beside is None:
        return None, not_made(name, "none came with the evidence")
    if buffer.agent_claims is None:
        return None, failed(name, "claims beside evidence that says nothing of them", "a digest")
    if not hmac.compare_digest(hashlib.sha256(beside).digest(), buffer.agent_claims):
        return None, failed(name, "other claims", f"digest {buffer.agent_claims.hex()}")
    try:
        agent = parse_agent_claims(beside)
    except MalformedEvidence as error:
        return None, failed(name, str(error), "agent claims")
    twice = sorted(agent.claims.keys() & buffer.others.keys())
    if twice:
        return None, failed(name, f"{twice[0]!r} twice", "each claim once, in one place")
    return agent, passed(name)


def _nothing(evidence: Evidence) -> tuple[Check, ...]:
    if evidence.agent_claims is None:
        return (not_made("agent_claims", "no claims buffer came with the evidence"),)
    return (failed("agent_claims", "claims beside evidence without a claims buffer", "none"),)


def _start(data: bytes) -> str:
    return f"{len(data)} bytes {data[:_DIGEST].hex()}" if data else "nothing"
