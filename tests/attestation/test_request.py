"""Requests: what an agent asks for is what a verifier takes."""

import pytest

from attestation import Claims, Evidence, Expectation, in_report_data
from attestation.binding import bind
from attestation.checks import Outcome
from attestation.request import Request, for_connection, in_user_data
from attestation.statement import read_statement
from tests.attestation.enclaves import AGENT, EXPORTER, NONCE, OTHER_SPKI, SPKI, policy


@pytest.mark.parametrize(
    ("request_", "mode"),
    [
        (in_user_data(SPKI, AGENT, NONCE), "nonce"),
        (in_report_data(SPKI, AGENT, NONCE), "nonce"),
        (for_connection(SPKI, AGENT, EXPORTER), "exporter"),
    ],
)
def test_what_is_asked_for_is_what_is_taken(request_: Request, mode: str) -> None:
    """Each form is bound to the key and to the question or the connection, and covers the agent."""
    claims = Claims("nitro", {}, request_.bound_data, 0.0, nonce=request_.nonce)
    evidence = Evidence("nitro", b"", {}, request_.claims_buffer, request_.agent_claims)
    statement = read_statement(evidence, claims, by_exporter=mode == "exporter")
    assert statement.agent == AGENT
    asked = policy(freshness={"mode": mode})
    expectation = Expectation(spki=SPKI, nonce=NONCE, exporter=EXPORTER)
    if mode == "exporter":
        expectation = Expectation(spki=SPKI, exporter=EXPORTER)
    checks = bind(claims, statement, asked, expectation)
    assert [check.outcome for check in checks] == [Outcome.PASSED] * 2
    there = Expectation(spki=OTHER_SPKI, nonce=b"other", exporter=NONCE)
    checks = bind(claims, statement, asked, there)
    assert {check.outcome for check in checks} == {Outcome.FAILED}


def test_each_fits_into_its_tee() -> None:
    """Nitro takes 512 bytes of user data, the others 64 bytes of report data."""
    assert len(in_user_data(SPKI, AGENT, NONCE).bound_data) <= 512
    assert len(in_report_data(SPKI, AGENT, NONCE).bound_data) == 64
    assert len(for_connection(SPKI, AGENT, EXPORTER).bound_data) == 64
