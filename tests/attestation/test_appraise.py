"""Appraisal: each demand is a check; what the evidence does not say is not made."""

from dataclasses import dataclass, replace

import pytest

from attestation import AgentClaims, Claims, KeyOrigin, Manifest, Policy, TicketKeys
from attestation.appraise import MAX_CLOCK_SKEW, appraise, ticket_keys_trusted
from attestation.checks import Check, Outcome, failed, not_made, passed
from attestation.claims_buffer import ClaimsBuffer, KeyHash
from attestation.manifest import digest, register_value
from attestation.statement import Statement
from tests.attestation.enclaves import AGENT, MANIFEST, NOW, policy

CLAIMS = Claims("simulated", {}, b"", NOW + 60, signed_at=NOW)
PINNED = digest(MANIFEST.encode())
SHA256 = f"sha256:{PINNED.hex()}"


@dataclass(frozen=True)
class _Set:
    """A set of measurements whose checks are given."""

    checks: tuple[Check, ...]
    kind: str = "simulated"
    allows_debug_values: bool = False

    def appraise(self, _: Claims) -> tuple[Check, ...]:
        return self.checks


GOOD = _Set((passed("pcr0"),))
BAD = _Set((failed("pcr0", "one", "two"),))
WORSE = _Set((failed("pcr0", "one", "three"), not_made("pcr1", "absent")))


def _policy(*accept: _Set, **keys: object) -> Policy:
    return replace(policy(**keys), accept=accept or (GOOD,))


def _checks(
    asked: Policy,
    claims: Claims = CLAIMS,
    agent: AgentClaims | None = AGENT,
    manifest: bytes | None = None,
) -> dict[str, Check]:
    found = appraise(claims, Statement(agent=agent), manifest, asked, NOW)
    return {check.name: check for check in found.checks}


def _outcomes(asked: Policy, claims: Claims = CLAIMS) -> dict[str, Outcome]:
    return {name: check.outcome for name, check in _checks(asked, claims).items()}


def test_the_first_set_that_is_met_wins() -> None:
    """Two sets carry a rolling upgrade: one is enough, and the others leave no trace."""
    found = appraise(CLAIMS, Statement(), None, _policy(BAD, GOOD, GOOD), NOW)
    assert found.accepted_set == 1
    assert Outcome.FAILED not in {check.outcome for check in found.checks}


def test_what_is_missing_is_shown_for_every_set() -> None:
    """The nearest set comes first, and each check names the set that asked for it."""
    found = appraise(CLAIMS, Statement(), None, _policy(WORSE, BAD), NOW)
    assert found.accepted_set is None
    missing = [check for check in found.checks if "accept." in check.expected]
    assert [check.expected for check in missing] == [
        "two (accept.1)",
        "three (accept.0)",
        "absent (accept.0)",
    ]


def test_a_set_that_checks_nothing_accepts_nothing() -> None:
    """A plug-in that returns no check has not measured."""
    assert _outcomes(_policy(_Set(())))["measurements"] is Outcome.FAILED


def test_a_check_that_was_not_made_meets_no_set() -> None:
    """A demand that could not be checked is not met."""
    assert _outcomes(_policy(_Set((not_made("tcb", "no collateral"),))))["tcb"] is Outcome.NOT_MADE
    assert _outcomes(_policy(_Set((not_made("tcb", "-"),))))["measurements"] is Outcome.FAILED


def test_sets_of_other_kinds_are_not_asked() -> None:
    """Claims of one kind meet sets of that kind alone."""
    assert _outcomes(_policy(replace(GOOD, kind="nitro")))["kind"] is Outcome.FAILED


AGED = replace(CLAIMS, signed_at=NOW - 1801)
OLDEST = replace(CLAIMS, signed_at=NOW - 1800)
AHEAD = replace(CLAIMS, signed_at=NOW + MAX_CLOCK_SKEW)


@pytest.mark.parametrize(
    ("good", "bad", "keys", "name"),
    [
        (CLAIMS, replace(CLAIMS, debug=True), {}, "debug"),
        (AHEAD, replace(CLAIMS, signed_at=NOW + MAX_CLOCK_SKEW + 1), {}, "signed_time"),
        (OLDEST, AGED, {"freshness": {"max_age": "30m"}}, "age"),
        (OLDEST, AGED, {"freshness": {"mode": "nonce", "max_age": "30m"}}, "age"),
    ],
)
def test_one_fault_fails_one_check(
    good: Claims, bad: Claims, keys: dict[str, object], name: str
) -> None:
    """Debug, a time in the future, old age: each by its own name, one step past its bound."""
    asked = _policy(**keys)
    passing, failing = _outcomes(asked, good), _outcomes(asked, bad)
    assert passing[name] is Outcome.PASSED
    assert [check for check, outcome in failing.items() if outcome is Outcome.FAILED] == [name]


def test_no_tee_at_all_is_refused_unless_a_policy_allows_it() -> None:
    """Also where a plug-in's set lets it in."""
    asked = replace(_policy(), allow_simulated=False)
    assert _outcomes(asked, replace(CLAIMS, simulated=True))["simulated"] is Outcome.FAILED
    assert "simulated" not in _outcomes(asked, CLAIMS)


def test_what_is_allowed_passes_and_shows() -> None:
    """Debug and simulated TEEs that a policy allows are still named."""
    claims = replace(CLAIMS, debug=True, simulated=True)
    found = _checks(_policy(allow_debug=True), claims)
    assert found["debug"] == passed("debug", "on")
    assert found["simulated"].outcome is Outcome.PASSED


def test_an_age_without_a_time_is_not_made() -> None:
    """Nothing says when it was signed, so nothing says that it is young."""
    timeless = replace(CLAIMS, signed_at=None)
    assert _outcomes(_policy(freshness={"max_age": "30m"}), timeless)["age"] is Outcome.NOT_MADE
    beside = _policy(freshness={"mode": "nonce", "max_age": "30m"})
    assert "age" not in _outcomes(beside, timeless)


@pytest.mark.parametrize(
    ("origin", "outcome"),
    [
        (KeyOrigin.INSIDE, Outcome.PASSED),
        (KeyOrigin.RELEASED, Outcome.FAILED),
        (KeyOrigin.IMPORTED, Outcome.FAILED),
        (KeyOrigin.UNSTATED, Outcome.NOT_MADE),
    ],
)
def test_only_keys_made_inside_pass_unless_a_policy_says_more(
    origin: KeyOrigin, outcome: Outcome
) -> None:
    """Whoever else holds the key can end the connection, evidence or not."""
    agent = replace(AGENT, key_origin=origin)
    assert _checks(_policy(), agent=agent)["key_origin"].outcome is outcome
    more = replace(_policy(), key_origins=frozenset(KeyOrigin))
    assert _checks(more, agent=agent)["key_origin"].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("stated", "shared", "trusted"),
    [
        (None, False, False),
        (TicketKeys.INSIDE, False, True),
        (TicketKeys.SHARED, False, False),
        (TicketKeys.SHARED, True, True),
    ],
)
def test_tickets_are_trusted_where_nobody_else_holds_their_keys(
    stated: TicketKeys | None, shared: bool, trusted: bool
) -> None:
    """Demanded, it is a check; else it only decides on resumption."""
    agent = replace(AGENT, ticket_keys=stated)
    asked = replace(_policy(ticket_keys="inside"), shared_ticket_keys=shared)
    assert ticket_keys_trusted(agent, asked) is trusted
    outcome = _checks(asked, agent=agent)["ticket_keys"].outcome
    assert (outcome is Outcome.PASSED) is trusted
    lax = replace(asked, ticket_keys_inside=False)
    assert _checks(lax, agent=agent)["ticket_keys"].outcome is not Outcome.FAILED
    assert not ticket_keys_trusted(None, asked)


@pytest.mark.parametrize(
    ("stated", "outcome"),
    [
        ({}, Outcome.NOT_MADE),
        ({"replicas": 1}, Outcome.PASSED),
        ({"replicas": True}, Outcome.FAILED),
        ({"replicas": "1"}, Outcome.FAILED),
        ({"replicas": 2}, Outcome.FAILED),
    ],
)
def test_a_claim_has_a_value_and_a_type(stated: dict[str, int | str], outcome: Outcome) -> None:
    """True is no 1, and what is not stated is not made."""
    agent = replace(AGENT, claims=stated)
    assert (
        _checks(_policy(claims={"replicas": 1}), agent=agent)["claim_replicas"].outcome is outcome
    )


def test_a_claim_may_stand_in_the_buffer() -> None:
    """Other writers of claims buffers put theirs beside the key."""
    buffer = ClaimsBuffer(KeyHash.SHA256, b"", None, None, {"service": "app"})
    found = appraise(CLAIMS, Statement(buffer), None, _policy(claims={"service": "app"}), NOW)
    assert passed("claim_service", "'app'") in found.checks


@pytest.mark.parametrize("size", [32, 48])
def test_the_manifest_counts_where_later_code_cannot_write(size: int) -> None:
    """The register decides: host_data, or a register that was extended once."""
    claims = replace(CLAIMS, manifest_register=register_value(PINNED, size))
    assert _outcomes(_policy(manifest=SHA256), claims)["manifest"] is Outcome.PASSED
    other = replace(CLAIMS, manifest_register=register_value(bytes(32), size))
    assert _outcomes(_policy(manifest=SHA256), other)["manifest"] is Outcome.FAILED
    odd = replace(CLAIMS, manifest_register=bytes(20))
    assert _outcomes(_policy(manifest=SHA256), odd)["manifest"] is Outcome.FAILED


def test_a_digest_in_user_data_alone_is_not_made() -> None:
    """Any process in the enclave can have it signed."""
    agent = replace(AGENT, manifest=PINNED)
    found = _checks(_policy(manifest=SHA256), agent=agent, manifest=MANIFEST.encode())["manifest"]
    assert found.outcome is Outcome.NOT_MADE
    assert "any process inside can forge" in found.expected
    silent = _checks(_policy(manifest=SHA256))["manifest"]
    assert silent.outcome is Outcome.NOT_MADE
    assert "no register" in silent.expected


def test_a_claim_that_the_register_denies_is_refused() -> None:
    """An agent that names another manifest than the one that was extended is not believed."""
    claims = replace(CLAIMS, manifest_register=register_value(PINNED, 48))
    forged = replace(AGENT, manifest=bytes(32))
    assert _checks(_policy(manifest=SHA256), claims, forged)["manifest_claim"].outcome is (
        Outcome.FAILED
    )
    honest = replace(AGENT, manifest=PINNED)
    assert "manifest_claim" not in _checks(_policy(manifest=SHA256), claims, honest)


def test_fields_are_read_from_the_document_that_the_register_names() -> None:
    """Another document is refused, whatever it says; without one nothing is made."""
    claims = replace(CLAIMS, manifest_register=register_value(PINNED, 48))
    asked = _policy(manifest={"digest": SHA256, "service": "app", "ports": [8443]})
    found = _checks(asked, claims, manifest=MANIFEST.encode())
    assert found["manifest_service"].outcome is Outcome.PASSED
    assert found["manifest_ports"].outcome is Outcome.PASSED
    without = _checks(asked, claims)
    assert without["manifest"].outcome is Outcome.PASSED
    assert without["manifest_service"].outcome is Outcome.NOT_MADE
    other = Manifest("app", {}, {}, (8443,), ()).encode()
    assert _checks(asked, claims, manifest=other)["manifest_service"].outcome is Outcome.FAILED


def test_a_field_with_another_value_is_refused() -> None:
    """By name, also where any manifest will do that has the fields."""
    claims = replace(CLAIMS, manifest_register=register_value(PINNED, 48))
    asked = _policy(manifest={"service": "app", "ports": [9443]})
    found = _checks(asked, claims, manifest=MANIFEST.encode())
    assert found["manifest"].outcome is Outcome.PASSED
    assert found["manifest_ports"].outcome is Outcome.FAILED
    assert _checks(asked, claims)["manifest"].outcome is Outcome.NOT_MADE


def test_a_manifest_that_cannot_be_read_is_refused() -> None:
    """Its digest may be right; what it says is unknown."""
    claims = replace(CLAIMS, manifest_register=register_value(digest(b"{}"), 48))
    found = _checks(_policy(manifest={"service": "app"}), claims, manifest=b"{}")
    assert found["manifest_service"].outcome is Outcome.FAILED
