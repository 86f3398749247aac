"""The verdict: everything that is asked for was made and passed, or it is refused by name."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import (
    Claims,
    Evidence,
    Expectation,
    KeyOrigin,
    MeasurementSet,
    SimulatedTee,
    Verified,
    for_connection,
    in_report_data,
    in_user_data,
    judge,
    read_policy,
    verify,
)
from attestation.checks import Check, Outcome, failed, passed
from attestation.manifest import digest
from attestation.simulated import Simulated
from attestation.verdict import MAX_ENDORSEMENT_BYTES, asked
from tests.attestation.enclaves import (
    AGENT,
    CONNECTION,
    EXPORTER,
    FILE,
    KINDS,
    MANIFEST,
    NONCE,
    NOW,
    OTHER_EXPORTER,
    QUESTION,
    SPKI,
    TEE,
    Authority,
    measured,
    on_connection,
    policy,
    refusal,
    spki_of,
    verdict,
)

BY_NONCE = {"mode": "nonce"}
BY_AGE = {"max_age": "30m"}
PINNED = "sha256:" + digest(MANIFEST.encode()).hex()
AUTHORITY = Authority()
OWNER = {"ca": "ca.pem", "name": "app.example.com"}


def test_good_evidence_is_accepted() -> None:
    """On its connection, with every key of a policy at once."""
    found = verdict(
        on_connection(),
        policy(
            ticket_keys="inside", claims={"service": "app"}, manifest=PINNED, key_origin=["inside"]
        ),
    )
    assert found.accepted
    assert found.reason is None
    assert found.agent == AGENT
    assert found.configuration == PINNED
    assert found.accepted_set == 0
    assert found.resumption
    assert found.simulated
    assert found.trust_until == NOW + 10_800


@pytest.mark.parametrize("size", ["user data", "report data"])
def test_an_answer_to_a_question_is_accepted(size: str) -> None:
    """With a nonce in the document's field, or in the claims buffer."""
    make = in_user_data if size == "user data" else in_report_data
    evidence = TEE.evidence(make(SPKI, AGENT, NONCE), NOW)
    assert refusal(evidence, policy(freshness=BY_NONCE), QUESTION) == ""


def test_a_renewed_certificate_with_the_same_key_is_accepted() -> None:
    """The key is bound, not the certificate around it."""
    key = ec.generate_private_key(ec.SECP256R1())
    evidence = TEE.evidence(for_connection(spki_of(key), AGENT, EXPORTER), NOW)
    for _ in range(2):
        here = Expectation(certificate=AUTHORITY.leaf(key), spki=spki_of(key), exporter=EXPORTER)
        asked_for = policy({"ca.pem": AUTHORITY.pem}, ownership=OWNER)
        found = verdict(evidence, asked_for, here)
        assert found.accepted
        assert found.owner == "app.example.com"
        assert found.trust_until == NOW + 7200


def test_configuration_and_owner_stand_side_by_side() -> None:
    """Each is shown where it was proved, also when the other refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    here = Expectation(certificate=AUTHORITY.leaf(key), spki=SPKI, exporter=EXPORTER)
    asked_for = policy({"ca.pem": AUTHORITY.pem}, ownership=OWNER, manifest=PINNED)
    found = verdict(on_connection(), asked_for, here)
    assert (found.configuration, found.owner) == (PINNED, None)
    assert found.reason is not None
    assert found.reason.name == "ownership"
    missing = verdict(on_connection(), asked_for, CONNECTION)
    assert missing.reason is not None
    assert (missing.reason.name, missing.reason.outcome) == ("ownership", Outcome.NOT_MADE)


IMPORTED = replace(AGENT, key_origin=KeyOrigin.IMPORTED)
BEFORE = SimulatedTee(b"the image before")
FRESH = Expectation(spki=SPKI)


def test_an_imported_key_is_accepted_on_its_connection_alone() -> None:
    """Where the policy says so, with the exporter."""
    asked_for = policy(key_origin=["imported"], freshness={"mode": "exporter"})
    assert refusal(on_connection(IMPORTED), asked_for) == ""
    elsewhere = replace(CONNECTION, exporter=OTHER_EXPORTER)
    assert refusal(on_connection(IMPORTED), asked_for, elsewhere) == "exporter"


def test_resumption_is_refused_where_ticket_keys_are_not_stated() -> None:
    """The backend may be trusted; its tickets are not."""
    found = verdict(on_connection(replace(AGENT, ticket_keys=None)), policy())
    assert found.accepted
    assert not found.resumption


def test_two_sets_carry_a_rolling_upgrade() -> None:
    """Old and new are accepted, each by its own set; trust ends with the age that is allowed."""
    both = policy(accept=[measured(TEE), measured(BEFORE)], freshness=BY_AGE)
    evidence = BEFORE.evidence(in_user_data(SPKI, AGENT), NOW - 60)
    found = verdict(evidence, both, FRESH)
    assert found.accepted_set == 1
    assert found.trust_until == NOW - 60 + 1800


def test_a_file_is_judged_by_what_is_named() -> None:
    """Without a connection only what the policy or the caller names is asked for."""
    bare = Evidence("simulated", TEE.document(NOW, nonce=NONCE, user_data=b"raw"), {})
    assert refusal(bare, policy(), FILE) == ""
    assert refusal(bare, policy(), replace(FILE, nonce=NONCE, bound_data=b"raw")) == ""
    assert refusal(bare, policy(), replace(FILE, nonce=b"other")) == "nonce"
    assert refusal(bare, policy(), replace(FILE, bound_data=b"other")) == "bound_data"
    assert refusal(bare, policy(), replace(FILE, public_key=b"key")) == "public_key"
    assert refusal(bare, policy(), replace(FILE, spki=SPKI)) == "claims_buffer"
    assert refusal(bare, policy(freshness={"mode": "exporter"}), FILE) == "exporter"
    assert refusal(bare, policy(binding="claims-buffer"), FILE) == "claims_buffer"
    assert refusal(bare, policy(key_origin=["inside"]), FILE) == "claims_buffer"
    named = policy(binding="claims-buffer")
    covered = TEE.evidence(in_user_data(SPKI, AGENT), NOW)
    assert refusal(covered, named, FILE) == "key_binding"
    assert refusal(covered, named, replace(FILE, spki=SPKI)) == ""


def test_a_connection_asks_for_its_key_whatever_the_policy_names() -> None:
    """To say little in a policy asks for more, never for less."""
    always = {"key_binding", "exporter", "key_origin", "measurements", "debug"}
    assert asked(policy(), CONNECTION) == always
    assert asked(policy(), FILE) == {"measurements", "debug"}
    assert "nonce" in asked(policy(), QUESTION)
    assert "age" in asked(policy(freshness=BY_AGE), CONNECTION)


class _Plugin(Simulated):
    """A kind whose answer is given."""

    def __init__(self, answer: Verified | Exception | None) -> None:
        super().__init__()
        self._answer = answer

    def verify(self, evidence: Evidence, now: float) -> Verified:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[return-value]  # None too: a plug-in may not be typed


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (RuntimeError("a plug-in's fault"), "verifier"),
        (None, "verifier"),
        (Verified("claims", ()), "verifier"),  # type: ignore[arg-type]  # a plug-in may not be typed
        (Verified(Claims("simulated", {}, None, NOW), ()), "verifier"),  # type: ignore[arg-type]  # so
        (Verified(None, None), "verifier"),  # type: ignore[arg-type]  # so too
        (Verified(None, ()), "debug"),
        (Verified(None, (passed("form"),)), "debug"),
        (Verified(Claims("nitro", {}, b"", NOW), (passed("form"),)), "kind"),
        (Verified(Claims("simulated", {}, b"", NOW), (failed("form", "a", "b"),)), "form"),
    ],
)
def test_a_faulty_plug_in_accepts_nothing(answer: Verified | Exception | None, name: str) -> None:
    """One that raises, answers nothing or contradicts itself refuses its evidence alone."""
    kinds = {**KINDS, "simulated": _Plugin(answer)}
    found = judge(on_connection(), policy(), kinds, CONNECTION, NOW)
    assert not found.accepted
    assert found.reason is not None
    assert found.reason.name == name
    assert found.claims is None


def test_a_plug_in_cannot_answer_for_the_others() -> None:
    """One that passes our own checks in our own words, without claims, accepts nothing."""
    answer = Verified(None, (passed("debug"), passed("measurements")))
    found = judge(on_connection(), policy(), {**KINDS, "simulated": _Plugin(answer)}, FILE, NOW)
    assert not found.accepted
    assert found.reason is not None
    assert found.reason.name == "genuine"


def test_a_kind_that_is_gone_accepts_nothing() -> None:
    """A policy that was read with a plug-in is of no use without it."""
    found = judge(on_connection(), policy(), {}, CONNECTION, NOW)
    assert found.reason is not None
    assert found.reason.name == "kind"


def test_the_limit_of_endorsements_is_the_last_that_passes() -> None:
    """The bound itself belongs to it."""
    full = replace(on_connection(), endorsements={"x": bytes(MAX_ENDORSEMENT_BYTES)})
    assert refusal(full, policy()) == ""


@settings(max_examples=50)
@given(
    document=st.binary(max_size=100),
    beside=st.tuples(*[st.none() | st.binary(max_size=60)] * 3),
    kind=st.sampled_from(["simulated", "nitro", "sev-snp", "tdx", "else"]),
)
def test_any_bytes_are_refused(
    document: bytes, beside: tuple[bytes | None, bytes | None, bytes | None], kind: str
) -> None:
    """Nothing is raised and nothing accepted, whatever arrives."""
    accept = [
        measured(TEE),
        {"nitro": {"pcrs": {0: "11" * 48}}},
        {"sev-snp": {"measurement": "11" * 48}},
        {"tdx": {"mr_td": "11" * 48}},
    ]
    found = verdict(Evidence(kind, document, {}, *beside), policy(accept=accept))
    assert not found.accepted
    assert found.reason is not None


class _Demanding(Simulated):
    """A kind whose demands raise."""

    def demands(self, found: object, path: tuple[str | int, ...]) -> MeasurementSet:
        return _Raising()


class _Raising:
    kind = "simulated"
    allows_debug_values = False

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        raise ZeroDivisionError(claims.kind)


def test_demands_that_raise_refuse() -> None:
    """A plug-in's fault after the verification is a refusal too, with its name."""
    kinds = {**KINDS, "simulated": _Demanding()}
    found = {"accept": [{"simulated": {}}], "allow_simulated": True}
    raising = read_policy(found, kinds, lambda _: b"")
    result = judge(on_connection(), raising, kinds, CONNECTION, NOW)
    assert not result.accepted
    assert "ZeroDivisionError: simulated" in str(result.reason)


def test_genuine_is_a_question_of_its_own() -> None:
    """Without a policy it is said whether evidence is genuine, within the same limits."""
    kind = KINDS["simulated"]
    assert verify(on_connection(), kind, NOW).claims is not None
    assert verify(on_connection(), kind, NOW + 86_400).claims is None
    long = replace(on_connection(), document=bytes(kind.limit + 1))
    assert [check.name for check in verify(long, kind, NOW).checks] == ["document_size"]
    raising = _Plugin(RuntimeError("a plug-in's fault"))
    assert [check.name for check in verify(on_connection(), raising, NOW).checks] == ["verifier"]
