"""The statement: nothing beside evidence is believed before the evidence covers it."""

import hashlib
from dataclasses import replace

import cbor2
import pytest

from attestation import Claims, Evidence, build_claims_buffer
from attestation.checks import Outcome
from attestation.statement import Statement, read_statement, report_data
from tests.attestation.enclaves import AGENT, EXPORTER, SPKI

AGENT_BYTES = AGENT.encode()
BUFFER = build_claims_buffer(SPKI, agent_claims=AGENT_BYTES)
EVIDENCE = Evidence("sev-snp", b"", {}, BUFFER, AGENT_BYTES)
CLAIMS = Claims("sev-snp", {}, report_data(BUFFER), 0.0)


def _read(evidence: Evidence, bound: bytes, *, by_exporter: bool = False) -> Statement:
    return read_statement(evidence, replace(CLAIMS, bound_data=bound), by_exporter=by_exporter)


def _fault(evidence: Evidence, bound: bytes, *, by_exporter: bool = False) -> str:
    checks = _read(evidence, bound, by_exporter=by_exporter).checks
    return next((check.name for check in checks if check.outcome is Outcome.FAILED), "")


def test_report_data_covers_the_buffer_beside_it() -> None:
    """SHA-256 of the buffer, then zeros."""
    found = _read(EVIDENCE, report_data(BUFFER))
    assert found.agent == AGENT
    assert found.buffer is not None
    assert found.buffer.is_for(SPKI)


def test_user_data_is_the_buffer_itself() -> None:
    """Without a buffer beside it the signed bytes are the buffer, as Nitro has room for it."""
    assert _read(replace(EVIDENCE, claims_buffer=None), BUFFER).agent == AGENT


def test_a_connection_stands_behind_the_digest() -> None:
    """The exporter takes the place of the zeros; it is compared by the binding."""
    bound = report_data(BUFFER, EXPORTER)
    assert _read(EVIDENCE, bound, by_exporter=True).agent == AGENT


def test_a_connection_and_a_key_alone_say_nothing_more() -> None:
    """Without a buffer the digest is of the key, and the agent has said nothing."""
    bare = replace(EVIDENCE, claims_buffer=None, agent_claims=None)
    found = _read(bare, report_data(SPKI, EXPORTER), by_exporter=True)
    assert (found.buffer, found.agent) == (None, None)
    assert found.checks[0].outcome is Outcome.NOT_MADE
    with_claims = replace(EVIDENCE, claims_buffer=None)
    assert _fault(with_claims, report_data(SPKI, EXPORTER), by_exporter=True) == "agent_claims"


def test_agent_claims_may_be_absent() -> None:
    """What is not sent is not made, and not believed."""
    found = _read(replace(EVIDENCE, agent_claims=None), report_data(BUFFER))
    assert found.agent is None
    assert found.checks[-1].outcome is Outcome.NOT_MADE


@pytest.mark.parametrize(
    "bound",
    [
        b"",
        report_data(BUFFER)[:32],
        report_data(BUFFER)[:63],
        report_data(BUFFER) + b"\x00",
        report_data(BUFFER)[:63] + b"\x01",
        report_data(BUFFER, EXPORTER),
        hashlib.sha512(BUFFER).digest(),
        report_data(BUFFER + b"x"),
        BUFFER,
    ],
)
def test_other_report_data_covers_nothing(bound: bytes) -> None:
    """Equality, to the last byte: no prefix, no rest, no other digest."""
    assert _fault(EVIDENCE, bound) == "claims_buffer"


@pytest.mark.parametrize("bound", [report_data(BUFFER)[:32], report_data(SPKI, EXPORTER)])
def test_a_connection_needs_the_digest_too(bound: bytes) -> None:
    """An exporter behind the wrong digest covers nothing."""
    assert _fault(EVIDENCE, bound, by_exporter=True) == "claims_buffer"


@pytest.mark.parametrize("bound", [b"", b"\xa0", bytes(64), BUFFER + b"\x00"])
def test_user_data_that_is_no_buffer_is_refused(bound: bytes) -> None:
    """What Nitro signs must be a claims buffer, all of it."""
    assert _fault(replace(EVIDENCE, claims_buffer=None), bound) == "claims_buffer"


def test_agent_claims_are_those_of_the_digest() -> None:
    """Others, changed ones, broken ones and ones that nobody covers are refused."""
    other = replace(AGENT, instance="enclave-b").encode()
    assert _fault(replace(EVIDENCE, agent_claims=other), report_data(BUFFER)) == "agent_claims"
    silent = build_claims_buffer(SPKI)
    uncovered = replace(EVIDENCE, claims_buffer=silent)
    assert _fault(uncovered, report_data(silent)) == "agent_claims"
    broken = build_claims_buffer(SPKI, agent_claims=b"\xff")
    covered = replace(EVIDENCE, claims_buffer=broken, agent_claims=b"\xff")
    assert _fault(covered, report_data(broken)) == "agent_claims"


def test_a_claim_cannot_stand_in_both_places() -> None:
    """Two places could say two things."""
    claims = cbor2.loads(BUFFER)
    buffer = cbor2.dumps(claims | {"service": "other"})
    evidence = replace(EVIDENCE, claims_buffer=buffer)
    assert _fault(evidence, report_data(buffer)) == "agent_claims"
