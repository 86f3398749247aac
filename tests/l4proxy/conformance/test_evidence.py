"""The conformance test for authors of plug-ins: the built-in kinds pass, every broken one fails."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from attestation import (
    Claims,
    Evidence,
    EvidenceKind,
    MeasurementSet,
    Verified,
    failed,
    passed,
)
from attestation.sev_snp import SevSnp
from attestation.simulated import Simulated
from attestation.tdx import Tdx
from l4proxy.conformance import NotConforming, Sample, check_evidence_kind
from tests.attestation import nitro_documents, snp_builder, tdx_builder
from tests.attestation.enclaves import KINDS, NOW, TEE, measured, on_connection

Path = tuple[str | int, ...]


def demands_of(found: Mapping[str, object]) -> Mapping[str, object]:
    """The set of a policy that names one kind."""
    (demands,) = found.values()
    assert isinstance(demands, dict)
    return demands


SAMPLE = Sample(on_connection(), NOW, demands_of(measured(TEE)), {"pcrs": {0: "11" * 48}})


NITRO = Sample(
    nitro_documents.evidence(nitro_documents.GOOD),
    nitro_documents.NOW,
    {"pcrs": {index: pcr.hex() for index, pcr in nitro_documents.PCRS.items()}},
    {"pcrs": {0: "11" * 48}},
)
SNP = Sample(
    snp_builder.Recipe().evidence(),
    snp_builder.NOW,
    {"measurement": snp_builder.MEASUREMENT.hex()},
    {"measurement": "11" * 48},
)
TDX = Sample(
    tdx_builder.Quote().evidence(),
    tdx_builder.NOW,
    {"mr_td": tdx_builder.MR_TD.hex(), "allow_unknown_tcb": True},
    {"mr_td": "11" * 48},
)


@pytest.mark.parametrize(
    ("kind", "sample"),
    [
        (nitro_documents.H.kind, NITRO),
        (SevSnp(frozenset({snp_builder.fingerprint()})), SNP),
        (Tdx(frozenset({tdx_builder.fingerprint()})), TDX),
        (KINDS["simulated"], SAMPLE),
    ],
    ids=["nitro", "sev-snp", "tdx", "simulated"],
)
def test_the_built_in_kinds_conform(kind: EvidenceKind, sample: Sample) -> None:
    """Ours keep the promises that we ask of others."""
    check_evidence_kind(kind, sample)


class _Changed(Simulated):
    """A kind whose answers a test changes."""

    def __init__(self, change: Callable[[Verified, Evidence, float], Verified]) -> None:
        super().__init__()
        self._change = change

    def verify(self, evidence: Evidence, now: float) -> Verified:
        return self._change(super().verify(evidence, now), evidence, now)


GENUINE = Simulated().verify(SAMPLE.evidence, NOW)
assert GENUINE.claims is not None
CLAIMS = GENUINE.claims


def claiming(**fields: object) -> Callable[[Verified, Evidence, float], Verified]:
    """Answers with other claims, where there are any."""

    def change(found: Verified, _: Evidence, __: float) -> Verified:
        if found.claims is None:
            return found
        return replace(found, claims=replace(found.claims, **fields))  # type: ignore[arg-type]  # a test's own fields

    return change


def trusting(_: Verified, __: Evidence, ___: float) -> Verified:
    """Takes anything for genuine."""
    return GENUINE


def silent(found: Verified, _: Evidence, __: float) -> Verified:
    """Refuses without a word."""
    return found if found.claims else Verified(None, ())


def careless(found: Verified, _: Evidence, __: float) -> Verified:
    """Gives claims beside a check that failed."""
    return Verified(CLAIMS, (*found.checks, failed("form", "a", "b")))


def raising(found: Verified, evidence: Evidence, _: float) -> Verified:
    """Raises on nothing at all."""
    if not evidence.document:
        raise IndexError("no byte")
    return found


def credulous(found: Verified, evidence: Evidence, _: float) -> Verified:
    """Believes what a document says, signed or not."""
    if found.claims is None and evidence.document[:1] != b"\0":
        return Verified(replace(CLAIMS, bound_data=evidence.document[:8]), (passed("form"),))
    return found


def fickle() -> Callable[[Verified, Evidence, float], Verified]:
    """Never answers twice alike."""
    count = 0

    def change(found: Verified, _: Evidence, __: float) -> Verified:
        nonlocal count
        count += 1
        return replace(found, checks=(*found.checks, passed("count", str(count))))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (trusting, "no bytes at all is genuine, though half of it is missing"),
        (trusting, "after valid_until it is still genuine"),
        (trusting, "in 1970 it is still genuine"),
        (silent, "is refused, but no check says why"),
        (careless, "has claims although a check failed"),
        (raising, "no bytes at all raises IndexError: no byte"),
        (credulous, "is genuine, and says something else"),
        (fickle(), "its arguments alone have to decide"),
        (claiming(kind="nitro"), "of the kind 'nitro'"),
        (claiming(signed_at=None), "but signed_at is None"),
        (claiming(measurements={}), "there are no measurements"),
        (claiming(valid_until=NOW - 1), "before the time of verification"),
        (claiming(valid_until=float("inf")), "evidence has to end"),
        (lambda *_: Verified(None, (failed("form", "a", "b"),)), "the sample is refused"),
    ],
)
def test_a_broken_verifier_is_found(
    change: Callable[[Verified, Evidence, float], Verified], said: str
) -> None:
    """Each promise that is broken is told in words that name it."""
    with pytest.raises(NotConforming) as caught:
        check_evidence_kind(_Changed(change), SAMPLE)
    assert any(said in fault for fault in caught.value.faults)


class _Set:
    """Demands that a test has made."""

    allows_debug_values = False

    def __init__(self, kind: str, outcome: tuple[bool, ...]) -> None:
        self.kind = kind
        self._outcome = outcome

    def appraise(self, _: Claims) -> tuple[object, ...]:
        return tuple(passed("a") if good else failed("a", "b", "c") for good in self._outcome)


class _Demanding(Simulated):
    """A kind that takes any demands for the same."""

    def __init__(self, one: _Set) -> None:
        super().__init__()
        self._one = one

    def demands(self, found: object, path: Path) -> MeasurementSet:
        return self._one  # type: ignore[return-value]  # as an untyped plug-in might


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (_Set("nitro", (True,)), "demands: of the kind 'nitro'"),
        (_Set("simulated", (False,)), "those of the sample are not met"),
        (_Set("simulated", ()), "makes no check"),
        (_Set("simulated", (True,)), "the others are met too"),
        (_Set("simulated", (True,)), "no measurement is taken, expected a PolicyError"),
        (_Set("simulated", (True,)), "an unknown key is taken"),
        (_Set("simulated", (True,)), "judge: accepted is True"),
    ],
)
def test_broken_demands_are_found(one: _Set, said: str) -> None:
    """A kind that does not compare, or takes what it does not know, is told so."""
    with pytest.raises(NotConforming) as caught:
        check_evidence_kind(_Demanding(one), SAMPLE)
    assert any(said in fault for fault in caught.value.faults)


class _Misplaced(Simulated):
    def demands(self, found: object, path: Path) -> MeasurementSet:
        return super().demands(found, ())


def test_a_mistake_without_its_place_is_found() -> None:
    """Errors begin with the path that was given, so that they get a line and a column."""
    with pytest.raises(NotConforming, match="does not begin with the given one"):
        check_evidence_kind(_Misplaced(), SAMPLE)


class _Named(Simulated):
    name = "No Name"
    limit = 10


def test_a_wrong_description_is_found() -> None:
    """Its name, the sample's kind and the limit are looked at."""
    with pytest.raises(NotConforming) as caught:
        check_evidence_kind(_Named(), SAMPLE)
    told = str(caught.value)
    assert "expected a-z, 0-9 and -" in told
    assert "the sample's evidence is of 'simulated'" in told
    assert "limit: 10 bytes" in told
