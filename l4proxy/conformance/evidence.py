"""What every kind of TEE has to promise, as a test that its author runs on genuine evidence.

    from l4proxy.conformance import Sample, check_evidence_kind

    def test_our_kind_keeps_its_promises() -> None:
        check_evidence_kind(OurTee(), Sample(evidence, now, demands={...}, others={...}))

The built-in kinds pass the same test. It says nothing of whether the cryptography is right: only an
author's own tests, of evidence that was forged in every place, can say that.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from attestation import (
    AttestationError,
    Claims,
    Evidence,
    EvidenceKind,
    Expectation,
    MeasurementSet,
    Outcome,
    PolicyError,
    Verified,
    first_failure,
    judge,
    read_policy,
    register,
)
from attestation.demands import INSECURE_ANY_MEASUREMENT
from l4proxy.conformance.faults import NotConforming

MOST_PLACES: Final = 64
"""Places of a document that are cut off and changed: each costs a whole verification."""

_NEVER: Final = 100 * 365 * 86_400.0
_PATH = ("accept", 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """Genuine evidence, and what a policy may ask of it.

    Attributes:
        evidence: With all that it takes to verify it.
        now: When it was genuine, seconds since the epoch, UTC.
        demands: A set of a policy's `accept` list that it meets.
        others: The same with another measurement, which it does not meet.

    """

    evidence: Evidence
    now: float
    demands: Mapping[str, object]
    others: Mapping[str, object]


def check_evidence_kind(kind: EvidenceKind, sample: Sample) -> None:
    """Return if a kind keeps every promise of `EvidenceKind`.

    Some hundred documents that are cut short, changed, too long or out of date are put to it, so
    it takes as long as that many verifications.

    Raises:
        NotConforming: It breaks some; all that were found.

    """
    faults = [fault for promise in _PROMISES for fault in _faults(promise, kind, sample)]
    if faults:
        raise NotConforming(faults)


_Promise = Callable[[EvidenceKind, Sample], Iterator[str]]


def _faults(promise: _Promise, kind: EvidenceKind, sample: Sample) -> list[str]:
    try:
        return list(promise(kind, sample))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be found out
        return [f"{promise.__name__.strip('_')}: raised {type(error).__name__}: {error}"]


def _described(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    try:
        register([kind])
    except AttestationError as error:
        yield f"name: {error}"
    if sample.evidence.kind != kind.name:
        yield f"name: {kind.name!r}, but the sample's evidence is of {sample.evidence.kind!r}"
    if len(sample.evidence.document) > kind.limit:
        yield f"limit: {kind.limit} bytes, but the sample has {len(sample.evidence.document)}"


def _genuine(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    verified = kind.verify(sample.evidence, sample.now)
    claims = verified.claims
    if claims is None:
        yield f"verify: the sample is refused: {first_failure(verified.checks)}"
        return
    if claims.kind != kind.name:
        yield f"claims: of the kind {claims.kind!r}, expected {kind.name!r}"
    if kind.signs_time != (claims.signed_at is not None):
        yield f"signs_time: {kind.signs_time}, but signed_at is {claims.signed_at}"
    if not claims.measurements:
        yield "claims: there are no measurements, so that no policy can pin any"
    if kind.verify(sample.evidence, sample.now) != verified:
        yield "verify: asked again, it answers otherwise; its arguments alone have to decide"


def _bounded_in_time(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    claims = kind.verify(sample.evidence, sample.now).claims
    if claims is None:
        return
    if claims.valid_until < sample.now:
        yield "valid_until: it lies before the time of verification"
    if claims.valid_until > sample.now + _NEVER:
        yield "valid_until: over a hundred years on: evidence has to end"
    for what, now in (("after valid_until", claims.valid_until + 1), ("in 1970", 0.0)):
        if kind.verify(sample.evidence, now).claims is not None:
            yield f"verify: {what} it is still genuine; `now` has to count"


def _refuses_changes(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    genuine = kind.verify(sample.evidence, sample.now).claims
    for what, document in _changed(sample.evidence.document, kind.limit):
        try:
            verified = kind.verify(replace(sample.evidence, document=document), sample.now)
        except Exception as error:  # noqa: BLE001 - as above
            yield f"verify: {what} raises {type(error).__name__}: {error}"
            continue
        fault = _contradiction(verified, genuine)
        if verified.claims is not None and len(document) <= len(sample.evidence.document) // 2:
            fault = "is genuine, though half of it is missing"
        if fault:
            yield f"verify: {what} {fault}"


def _contradiction(verified: Verified, genuine: Claims | None) -> str:
    """Return what is wrong with the answer to a changed document; nothing if it is sound."""
    refused = first_failure(verified.checks) is not None
    if verified.claims is None:
        return "" if refused else "is refused, but no check says why"
    if refused:
        return "has claims although a check failed"
    # Not every byte of a document is signed, as padding behind it; what it says has to be.
    return "" if verified.claims == genuine else "is genuine, and says something else"


def _changed(document: bytes, limit: int) -> Iterator[tuple[str, bytes]]:
    yield "no bytes at all", b""
    yield "a document over the limit", document.ljust(limit + 1, b"\0")
    step = max(1, len(document) // MOST_PLACES)
    for at in range(0, len(document), step):
        yield f"a document cut off at byte {at}", document[:at]
        changed = bytearray(document)
        changed[at] ^= 1 << at % 8
        yield f"a document with byte {at} changed", bytes(changed)


def _meets_demands(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    claims = kind.verify(sample.evidence, sample.now).claims
    if claims is None:
        return
    met, unmet = kind.demands(sample.demands, _PATH), kind.demands(sample.others, _PATH)
    if met.kind != kind.name:
        yield f"demands: of the kind {met.kind!r}, expected {kind.name!r}"
    if not _is_met(met, claims):
        yield "demands: those of the sample are not met"
    if _is_met(unmet, claims):
        yield "demands: the others are met too"
    if not kind.demands({INSECURE_ANY_MEASUREMENT: True}, _PATH).appraise(claims):
        yield f"demands: {INSECURE_ANY_MEASUREMENT} makes no check, so that it accepts nothing"


def _refuses_demands(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    wrong: Mapping[str, object] = {
        "nothing": None,
        "a list": [],
        "no measurement": {},
        "an unknown key": {**sample.demands, "no-such-key": 1},
        f"{INSECURE_ANY_MEASUREMENT}: false": {INSECURE_ANY_MEASUREMENT: False},
    }
    for what, found in wrong.items():
        try:
            kind.demands(found, _PATH)
        except PolicyError as error:
            if error.path[: len(_PATH)] != _PATH:
                yield f"demands: {what}: the path {error.path} does not begin with the given one"
        else:
            yield f"demands: {what} is taken, expected a PolicyError"


def _is_met(one: MeasurementSet, claims: Claims) -> bool:
    checks = one.appraise(claims)
    return bool(checks) and all(check.outcome is Outcome.PASSED for check in checks)


def _judged(kind: EvidenceKind, sample: Sample) -> Iterator[str]:
    """The whole way: a policy that names the kind accepts the sample, and only by its demands."""
    kinds = register([kind])
    # What travels beside a document binds it to a connection, and here is none.
    bare = replace(sample.evidence, claims_buffer=None, agent_claims=None, manifest=None)
    for demands, expected in ((sample.demands, True), (sample.others, False)):
        found = {"accept": [{kind.name: demands}], "allow_debug": True, "allow_simulated": True}
        policy = read_policy(found, kinds, _no_file)
        result = judge(bare, policy, kinds, Expectation(live=False), sample.now)
        if result.accepted is not expected:
            yield f"judge: accepted is {result.accepted}, by {result.reason}, expected {expected}"


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


_PROMISES: Final = (
    _described,
    _genuine,
    _bounded_in_time,
    _refuses_changes,
    _meets_demands,
    _refuses_demands,
    _judged,
)
