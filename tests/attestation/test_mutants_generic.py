"""Ways in which good evidence of any kind can be wrong: each refused, in words of its own."""

from dataclasses import replace

import pytest

from attestation import (
    AgentClaims,
    Evidence,
    Expectation,
    KeyOrigin,
    Manifest,
    SimulatedTee,
    TicketKeys,
    for_connection,
    in_report_data,
    in_user_data,
)
from attestation.checks import Outcome
from attestation.manifest import digest
from tests.attestation.enclaves import (
    AGENT,
    CONNECTION,
    EXPORTER,
    MANIFEST,
    NONCE,
    NOW,
    OTHER_EXPORTER,
    OTHER_SPKI,
    QUESTION,
    SPKI,
    TEE,
    THIRD_SPKI,
    on_connection,
    on_question,
    policy,
    verdict,
)

BY_NONCE = {"mode": "nonce"}
BY_AGE = {"max_age": "30m"}
PINNED = "sha256:" + digest(MANIFEST.encode()).hex()


def _forged() -> Evidence:
    """A process inside, loaded later, has a manifest signed that was never extended."""
    wanted = digest(MANIFEST.encode())
    agent = replace(AGENT, manifest=wanted)
    evidence = on_connection(agent, SimulatedTee(b"image", None))
    return replace(evidence, manifest=MANIFEST.encode())


def _forged_over_another() -> Evidence:
    other = Manifest("app", {}, {}, (), ()).encode()
    agent = replace(AGENT, manifest=digest(MANIFEST.encode()))
    evidence = on_connection(agent, SimulatedTee(b"image", other))
    return replace(evidence, manifest=MANIFEST.encode())


def _by_nonce(agent: AgentClaims) -> Evidence:
    return TEE.evidence(in_user_data(SPKI, agent, NONCE), NOW)


def _aged(seconds: float) -> Evidence:
    return TEE.evidence(in_user_data(SPKI, AGENT), NOW - seconds)


def _flipped(evidence: Evidence) -> Evidence:
    document = evidence.document
    return replace(evidence, document=document[:-1] + bytes([document[-1] ^ 1]))


IMPORTED = replace(AGENT, key_origin=KeyOrigin.IMPORTED)
RELEASED = replace(AGENT, key_origin=KeyOrigin.RELEASED)
DEBUG = SimulatedTee(b"image", debug=True)
BEFORE = SimulatedTee(b"the image before")
FRESH = Expectation(spki=SPKI)

# What is wrong, the evidence, the policy's keys, what is expected, and the check that refuses it.
MUTANTS: list[tuple[str, Evidence, dict[str, object], Expectation, str]] = [
    ("wrong key", on_connection(), {}, replace(CONNECTION, spki=OTHER_SPKI), "key_binding"),
    (
        "evidence of B presented by A",
        TEE.evidence(for_connection(OTHER_SPKI, AGENT, EXPORTER), NOW),
        {},
        CONNECTION,
        "key_binding",
    ),
    (
        "certificate swapped after a good attestation",
        on_question(),
        {"freshness": BY_NONCE},
        replace(QUESTION, spki=THIRD_SPKI),
        "key_binding",
    ),
    (
        "exporter of another connection",
        on_connection(),
        {},
        replace(CONNECTION, exporter=OTHER_EXPORTER),
        "exporter",
    ),
    (
        "evidence for a certificate on a connection",
        TEE.evidence(in_report_data(SPKI, AGENT), NOW),
        {},
        CONNECTION,
        "exporter",
    ),
    (
        "user data on a connection",
        TEE.evidence(in_user_data(SPKI, AGENT), NOW),
        {},
        CONNECTION,
        "agent_claims",
    ),
    ("no exporter on the connection", on_connection(), {}, FRESH, "exporter"),
    (
        "replayed nonce",
        on_question(),
        {"freshness": BY_NONCE},
        replace(QUESTION, nonce=b"m" * 32),
        "nonce",
    ),
    (
        "nonce that only begins alike",
        on_question(),
        {"freshness": BY_NONCE},
        replace(QUESTION, nonce=NONCE + b"n"),
        "nonce",
    ),
    (
        "no nonce in the evidence",
        TEE.evidence(in_user_data(SPKI, AGENT), NOW),
        {"freshness": BY_NONCE},
        QUESTION,
        "nonce",
    ),
    ("no nonce asked", on_question(), {"freshness": BY_NONCE}, FRESH, "nonce"),
    ("too old", _aged(1801), {"freshness": BY_AGE}, FRESH, "age"),
    ("from the future", _aged(-301), {"freshness": BY_AGE}, FRESH, "certificate_validity"),
    ("expired", _aged(10_801), {"freshness": BY_AGE}, FRESH, "certificate_validity"),
    ("debug", on_connection(tee=DEBUG), {}, CONNECTION, "debug"),
    ("measurement of another image", on_connection(tee=BEFORE), {}, CONNECTION, "pcr0"),
    (
        "not the kind that is accepted",
        on_connection(),
        {"accept": [{"nitro": {"pcrs": {0: "11" * 48}}}]},
        CONNECTION,
        "kind",
    ),
    (
        "imported key where released ones are accepted",
        on_connection(IMPORTED),
        {"freshness": {"mode": "exporter"}, "key_origin": ["inside", "released"]},
        CONNECTION,
        "key_origin",
    ),
    (
        "imported key with a nonce",
        _by_nonce(IMPORTED),
        {"freshness": BY_NONCE},
        QUESTION,
        "key_origin",
    ),
    (
        "released key with a nonce",
        _by_nonce(RELEASED),
        {"freshness": BY_NONCE},
        QUESTION,
        "key_origin",
    ),
    ("origin not stated", on_connection(AgentClaims()), {}, CONNECTION, "key_origin"),
    (
        "ticket keys not stated",
        on_connection(replace(AGENT, ticket_keys=None)),
        {"ticket_keys": "inside"},
        CONNECTION,
        "ticket_keys",
    ),
    (
        "ticket keys shared",
        on_connection(replace(AGENT, ticket_keys=TicketKeys.SHARED)),
        {"ticket_keys": "inside"},
        CONNECTION,
        "ticket_keys",
    ),
    (
        "another service",
        on_connection(replace(AGENT, claims={"service": "other"})),
        {"claims": {"service": "app"}},
        CONNECTION,
        "claim_service",
    ),
    (
        "service not stated",
        on_connection(replace(AGENT, claims={})),
        {"claims": {"service": "app"}},
        CONNECTION,
        "claim_service",
    ),
    ("manifest in user data alone", _forged(), {"manifest": PINNED}, CONNECTION, "manifest"),
    (
        "manifest claimed over another",
        _forged_over_another(),
        {"manifest": PINNED},
        CONNECTION,
        "manifest",
    ),
    (
        "manifest claimed, another extended",
        on_connection(replace(AGENT, manifest=bytes(32))),
        {"manifest": PINNED},
        CONNECTION,
        "manifest_claim",
    ),
    (
        "other manifest sent",
        replace(on_connection(), manifest=b"{}"),
        {"manifest": {"digest": PINNED, "service": "app"}},
        CONNECTION,
        "manifest_service",
    ),
    (
        "manifest not sent",
        replace(on_connection(), manifest=None),
        {"manifest": {"digest": PINNED, "service": "app"}},
        CONNECTION,
        "manifest_service",
    ),
    (
        "field of the manifest",
        on_connection(),
        {"manifest": {"service": "other"}},
        CONNECTION,
        "manifest_service",
    ),
    (
        "claims buffer swapped",
        replace(on_connection(), claims_buffer=in_report_data(OTHER_SPKI, AGENT).claims_buffer),
        {},
        CONNECTION,
        "claims_buffer",
    ),
    (
        "agent claims swapped",
        replace(on_connection(IMPORTED), agent_claims=AGENT.encode()),
        {},
        CONNECTION,
        "agent_claims",
    ),
    (
        "agent claims withheld",
        replace(on_connection(IMPORTED), agent_claims=None),
        {},
        CONNECTION,
        "key_origin",
    ),
    (
        "claims buffer withheld",
        replace(on_connection(), claims_buffer=None, agent_claims=None),
        {},
        CONNECTION,
        "key_binding",
    ),
    (
        "signature",
        _flipped(on_connection()),
        {},
        CONNECTION,
        "signature",
    ),
    ("nothing", replace(on_connection(), document=b""), {}, CONNECTION, "form"),
    ("1 MiB", replace(on_connection(), document=bytes(2**20)), {}, CONNECTION, "document_size"),
    (
        "endorsements of 1 MiB",
        replace(on_connection(), endorsements={"vcek": bytes(2**20)}),
        {},
        CONNECTION,
        "endorsements_size",
    ),
    (
        "a hundred endorsements",
        replace(on_connection(), endorsements={str(at): b"" for at in range(100)}),
        {},
        CONNECTION,
        "endorsements_size",
    ),
    (
        "a claims buffer of 1 MiB",
        replace(on_connection(), claims_buffer=bytes(2**20)),
        {},
        CONNECTION,
        "claims_buffer_size",
    ),
    (
        "agent claims of 1 MiB",
        replace(on_connection(), agent_claims=bytes(2**20)),
        {},
        CONNECTION,
        "agent_claims_size",
    ),
    (
        "a manifest of 1 MiB",
        replace(on_connection(), manifest=bytes(2**20)),
        {},
        CONNECTION,
        "manifest_size",
    ),
    ("a kind that nobody knows", replace(on_connection(), kind="sgx"), {}, CONNECTION, "kind"),
    ("a kind that is not it", replace(on_connection(), kind="nitro"), {}, CONNECTION, "kind"),
    (
        "another form of binding",
        on_question(),
        {"freshness": BY_NONCE, "binding": "spki", "key_origin": ["unstated"]},
        QUESTION,
        "key_binding",
    ),
    ("no connection at all", on_connection(), {}, Expectation(), "key_binding"),
]


@pytest.mark.parametrize(
    ("evidence", "keys", "expectation", "name"),
    [mutant[1:] for mutant in MUTANTS],
    ids=[mutant[0] for mutant in MUTANTS],
)
def test_a_mutant_is_refused_by_its_own_check(
    evidence: Evidence, keys: dict[str, object], expectation: Expectation, name: str
) -> None:
    """Every way in which good evidence can be wrong has a check, and the check has a reason."""
    found = verdict(evidence, policy(**keys), expectation)
    assert not found.accepted
    assert found.reason is not None
    assert found.reason.name == name
    assert str(found.reason)
    assert found.trust_until is None
    assert not found.resumption


def test_the_mutants_have_distinct_reasons() -> None:
    """No two say the same: who reads a refusal knows which it was."""
    words = [
        str(verdict(evidence, policy(**keys), expectation).reason)
        for _, evidence, keys, expectation, _ in MUTANTS
    ]
    twice = sorted({word for word in words if words.count(word) > 1})
    assert not twice


def test_a_forger_inside_is_refused() -> None:
    """A digest that any process inside can have signed is no proof of what was started."""
    found = verdict(_forged(), policy(manifest=PINNED))
    assert found.reason is not None
    assert found.reason.outcome is Outcome.NOT_MADE
    assert "any process inside can forge" in found.reason.expected
    assert found.configuration is None
