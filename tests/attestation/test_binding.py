"""Binding: for this key, for this connection, for this question, to the last byte."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import Claims, Expectation, Policy, build_claims_buffer, parse_claims_buffer
from attestation.binding import bind, bound_by_exporter
from attestation.checks import Outcome
from attestation.statement import Statement, report_data
from tests.attestation.enclaves import (
    EXPORTER,
    NONCE,
    OTHER_EXPORTER,
    OTHER_SPKI,
    SPKI,
    policy,
)

CERTIFICATE = b"a certificate"
CLAIMS = Claims("nitro", {}, b"", 0.0)
NITRIDING = b"\x12\x20" + hashlib.sha256(CERTIFICATE).digest() + b"\x12\x20" + bytes(32)
AGE = {"max_age": "30m"}
BUFFER = Statement(parse_claims_buffer(build_claims_buffer(SPKI)))
WITH_NONCE = Statement(parse_claims_buffer(build_claims_buffer(SPKI, nonce=NONCE)))
WITH_OLD_NONCE = Statement(parse_claims_buffer(build_claims_buffer(SPKI, nonce=b"old")))
HERE = Expectation(spki=SPKI, certificate=CERTIFICATE, exporter=EXPORTER)


def _outcomes(
    claims: Claims, statement: Statement, asked: Policy, expectation: Expectation
) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in bind(claims, statement, asked, expectation)}


@pytest.mark.parametrize(
    ("binding", "bound"),
    [
        ("spki", hashlib.sha256(SPKI).digest()),
        ("spki", report_data(SPKI)),
        ("evervault", SPKI),
        ("dstack", hashlib.sha512(b"ratls-cert:" + SPKI).digest()),
        ("nitriding", NITRIDING),
    ],
)
def test_each_convention_binds_to_its_key(binding: str, bound: bytes) -> None:
    """A mode accepts its own form for this key, and refuses every change of it."""
    asked = policy(binding=binding, freshness=AGE)

    def outcome(data: bytes, expectation: Expectation = HERE) -> Outcome:
        claims = replace(CLAIMS, bound_data=data)
        return _outcomes(claims, Statement(), asked, expectation)["key_binding"]

    assert outcome(bound) is Outcome.PASSED
    for wrong in (b"", bound[:-1], bound + b"\x00", b"\x00" + bound[1:], bytes(len(bound))):
        assert outcome(wrong) is Outcome.FAILED
    other = Expectation(spki=OTHER_SPKI, certificate=b"another certificate")
    assert outcome(bound, other) is Outcome.FAILED
    assert outcome(bound, Expectation()) is Outcome.NOT_MADE


def test_no_convention_takes_the_form_of_another() -> None:
    """One mode is compared, never all."""
    forms = {
        "spki": report_data(SPKI),
        "evervault": SPKI,
        "dstack": hashlib.sha512(b"ratls-cert:" + SPKI).digest(),
        "nitriding": NITRIDING,
    }
    for binding in forms:
        for name, bound in forms.items():
            claims = replace(CLAIMS, bound_data=bound)
            asked = policy(binding=binding, freshness=AGE)
            outcome = _outcomes(claims, Statement(), asked, HERE)["key_binding"]
            assert (outcome is Outcome.PASSED) is (name == binding)


def test_a_digest_before_other_bytes_binds_nothing() -> None:
    """Without an exporter the second half is zeros."""
    claims = replace(CLAIMS, bound_data=report_data(SPKI, EXPORTER))
    asked = policy(binding="spki", freshness=AGE)
    assert _outcomes(claims, Statement(), asked, HERE)["key_binding"] is Outcome.FAILED


def test_nitriding_needs_the_certificate() -> None:
    """It signs the certificate's digest, so a key alone answers nothing."""
    claims = replace(CLAIMS, bound_data=NITRIDING)
    asked = policy(binding="nitriding", freshness=AGE)
    found = _outcomes(claims, Statement(), asked, Expectation(spki=SPKI))
    assert found["key_binding"] is Outcome.NOT_MADE


def test_a_claims_buffer_binds_to_its_key() -> None:
    """The key's hash stands in the buffer."""
    asked = policy(freshness=AGE)
    assert _outcomes(CLAIMS, BUFFER, asked, HERE)["key_binding"] is Outcome.PASSED
    there = Expectation(spki=OTHER_SPKI)
    assert _outcomes(CLAIMS, BUFFER, asked, there)["key_binding"] is Outcome.FAILED


@pytest.mark.parametrize("binding", ["spki", "claims-buffer"])
def test_a_key_and_an_exporter_fill_report_data(binding: str) -> None:
    """SHA-256 of the key, then the exporter: both halves must be this connection's."""
    asked = policy(binding=binding)
    passed = {"key_binding": Outcome.PASSED, "exporter": Outcome.PASSED}
    ours = replace(CLAIMS, bound_data=report_data(SPKI, EXPORTER))
    assert _outcomes(ours, Statement(), asked, HERE) == passed
    elsewhere = replace(CLAIMS, bound_data=report_data(SPKI, OTHER_EXPORTER))
    assert _outcomes(elsewhere, Statement(), asked, HERE) == passed | {"exporter": Outcome.FAILED}
    other_key = replace(CLAIMS, bound_data=report_data(OTHER_SPKI, EXPORTER))
    found = _outcomes(other_key, Statement(), asked, HERE)
    assert found == passed | {"key_binding": Outcome.FAILED}


@pytest.mark.parametrize("exporter", [None, b"", bytes(32), EXPORTER[:31], EXPORTER + b"x"])
def test_a_connection_without_an_exporter_is_not_made(exporter: bytes | None) -> None:
    """Zeros are no exporter: what a certificate carries must not pass for a connection's."""
    claims = replace(CLAIMS, bound_data=report_data(SPKI))
    expectation = replace(HERE, exporter=exporter)
    found = _outcomes(claims, Statement(), policy(binding="spki"), expectation)
    assert found["exporter"] is Outcome.NOT_MADE


def test_a_buffer_has_no_room_for_an_exporter() -> None:
    """User data that is a claims buffer is bound to no connection."""
    claims = replace(CLAIMS, bound_data=build_claims_buffer(SPKI))
    assert _outcomes(claims, BUFFER, policy(), HERE)["exporter"] is Outcome.FAILED


@pytest.mark.parametrize(
    ("own", "statement", "outcome"),
    [
        (NONCE, Statement(), Outcome.PASSED),
        (None, WITH_NONCE, Outcome.PASSED),
        (NONCE, WITH_NONCE, Outcome.PASSED),
        (None, Statement(), Outcome.FAILED),
        (None, BUFFER, Outcome.FAILED),
        (b"", BUFFER, Outcome.FAILED),
        (NONCE[:-1], Statement(), Outcome.FAILED),
        (NONCE + b"n", Statement(), Outcome.FAILED),
        (b"old" + NONCE, WITH_NONCE, Outcome.FAILED),
        (NONCE, WITH_OLD_NONCE, Outcome.FAILED),
    ],
)
def test_every_nonce_that_is_signed_is_the_one(
    own: bytes | None, statement: Statement, outcome: Outcome
) -> None:
    """In the document's field or in the claims buffer; in both, then both."""
    asked = policy(freshness={"mode": "nonce"})
    expectation = Expectation(spki=SPKI, nonce=NONCE)
    claims = replace(CLAIMS, nonce=own)
    assert _outcomes(claims, statement, asked, expectation)["nonce"] is outcome


@pytest.mark.parametrize("nonce", [None, b""])
def test_no_question_has_no_answer(nonce: bytes | None) -> None:
    """A nonce that nobody asked for shows nothing."""
    asked = policy(freshness={"mode": "nonce"})
    found = _outcomes(replace(CLAIMS, nonce=b""), BUFFER, asked, Expectation(nonce=nonce))
    assert found["nonce"] is Outcome.NOT_MADE


def test_values_can_be_expected_outright() -> None:
    """User data, report data and the public key of a file, each to the byte."""
    asked = policy()
    claims = replace(CLAIMS, bound_data=b"data", public_key=b"key")
    right = Expectation(bound_data=b"data", public_key=b"key", live=False)
    found = _outcomes(claims, Statement(), asked, right)
    assert (found["bound_data"], found["public_key"]) == (Outcome.PASSED, Outcome.PASSED)
    wrong = Expectation(bound_data=b"dat", public_key=b"", live=False)
    found = _outcomes(replace(claims, public_key=None), Statement(), asked, wrong)
    assert (found["bound_data"], found["public_key"]) == (Outcome.FAILED, Outcome.FAILED)


def test_a_file_has_an_exporter_only_if_somebody_says_so() -> None:
    """The form with an exporter is asked of connections, by a policy, or by a value."""
    of_file = Expectation(live=False)
    assert not bound_by_exporter(policy(), of_file)
    assert bound_by_exporter(policy(), Expectation())
    assert bound_by_exporter(policy(freshness={"mode": "exporter"}), of_file)
    assert bound_by_exporter(policy(), replace(of_file, exporter=EXPORTER))
    assert not bound_by_exporter(policy(freshness=AGE), Expectation(exporter=EXPORTER))


@given(st.binary(max_size=70), st.sampled_from(["spki", "claims-buffer"]))
def test_any_bytes_are_bound_to_nothing(bound: bytes, binding: str) -> None:
    """No bytes that a TEE was not asked to sign bind to this key."""
    found = bind(replace(CLAIMS, bound_data=bound), Statement(), policy(binding=binding), HERE)
    assert all(check.outcome is Outcome.FAILED for check in found)
