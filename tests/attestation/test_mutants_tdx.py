"""Mutants of one good TDX quote and its collateral: each refused, each for a reason of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.checks import Check, Outcome, first_failure
from attestation.evidence import Evidence
from attestation.tdx import Tdx
from tests.attestation.tdx_builder import (
    DAY,
    MR_TD,
    NOW,
    PLATFORM,
    Collateral,
    Quote,
    Template,
    fingerprint,
    platform,
    root,
    sgx_extension,
)

GOOD = Quote()
PINS: Mapping[str, object] = MappingProxyType({"mr_td": MR_TD.hex(), "allow_unknown_tcb": True})
STATUS: Mapping[str, object] = MappingProxyType({"mr_td": MR_TD.hex(), "tcb_status": ["UpToDate"]})


def judge(evidence: Evidence, demands: Mapping[str, object], now: float) -> tuple[Check, ...]:
    """Every check of the evidence under a set of demands, as far as it gets."""
    kind = Tdx(frozenset({fingerprint()}))
    verified = kind.verify(evidence, now)
    appraised = kind.demands(demands, ()).appraise(verified.claims) if verified.claims else ()
    return (*verified.checks, *appraised)


def reason(
    evidence: Evidence, demands: Mapping[str, object] = PINS, now: float = NOW
) -> str | None:
    """Why it is refused; None when it is accepted."""
    failure = first_failure(judge(evidence, demands, now))
    return None if failure is None else str(failure)


def _document(spoil: Callable[[bytes], bytes]) -> Evidence:
    return Evidence("tdx", spoil(GOOD.make()), {})


def _chain(*chain: bytes) -> Evidence:
    return replace(GOOD, chain=chain).evidence()


def _leaf(**changes: object) -> bytes:
    return replace(Template(), **changes).make()  # type: ignore[arg-type]  # by name


def _platform(**changes: object) -> bytes:
    ca = Template(PLATFORM, "Intel SGX Root CA", "platform", "root", ca=True, sgx=None)
    return replace(ca, **changes).make()  # type: ignore[arg-type]  # by name


def _with(**changes: object) -> Evidence:
    collateral = replace(Collateral(), **changes)  # type: ignore[arg-type]  # by name
    return GOOD.evidence(collateral.make())


FORM: Mapping[str, Callable[[], Evidence]] = {
    "empty": lambda: _document(lambda _: b""),
    "1 MiB": lambda: _document(lambda good: good.ljust(1024 * 1024, b"\0")),
    "cut in the report": lambda: _document(lambda good: good[:600]),
    "cut in the signature data": lambda: _document(lambda good: good[:-1]),
    "a byte behind": lambda: _document(lambda good: good + b"\0\1"),
    "version 3": lambda: replace(GOOD, header={0: b"\3"}).evidence(),
    "version 6": lambda: replace(GOOD, header={0: b"\6"}).evidence(),
    "an SGX quote": lambda: replace(GOOD, header={4: b"\0"}).evidence(),
    "a P-384 key": lambda: replace(GOOD, header={2: b"\3"}).evidence(),
    "another vendor": lambda: replace(GOOD, header={12: b"\0"}).evidence(),
    "an SGX body": lambda: replace(GOOD, version=5, scars={48: b"\1"}).evidence(),
    "a body's size of another": lambda: replace(GOOD, version=5, scars={50: b"\x48"}).evidence(),
    "no QE report": lambda: replace(GOOD, certification=5).evidence(),
    "no PEM": lambda: replace(GOOD, inner_certification=3).evidence(),
    "bytes inside": lambda: replace(GOOD, inside=b"x").evidence(),
}
CHAIN: Mapping[str, Callable[[], Evidence]] = {
    "two certificates": lambda: _chain(_leaf(), platform()),
    "four certificates": lambda: _chain(_leaf(), platform(), root(), root()),
    "no certificate": lambda: _chain(b"\x30\x00", platform(), root()),
    "another root of the same name": lambda: _chain(_leaf(), platform(), root("preproduction")),
    "self-made CA": lambda: _chain(_leaf(), _platform(signer="mine"), root()),
    "self-made PCK": lambda: _chain(_leaf(signer="mine"), platform(), root()),
    "CA that is none": lambda: _chain(_leaf(), _platform(ca=False), root()),
    "PCK that is a CA": lambda: _chain(_leaf(ca=True), platform(), root()),
    "order turned": lambda: _chain(platform(), _leaf(), root()),
    "expired PCK": lambda: _chain(_leaf(end=NOW - 1), platform(), root()),
    "PCK of tomorrow": lambda: _chain(_leaf(start=NOW + 1), platform(), root()),
    "expired CA": lambda: _chain(_leaf(), _platform(end=NOW - 1), root()),
    "certificate of another use": lambda: _chain(
        _leaf(subject="Intel SGX TCB Signing"), platform(), root()
    ),
    "no platform": lambda: _chain(_leaf(sgx=None), platform(), root()),
    "a platform's name cut short": lambda: _chain(
        _leaf(sgx=sgx_extension(fmspc=b"\1\2")), platform(), root()
    ),
    "a platform without a name": lambda: _chain(_leaf(sgx=b"\x30\x00"), platform(), root()),
    "P-384 PCK": lambda: _chain(_leaf(key="large", curve=ec.SECP384R1), platform(), root()),
}
SIGNED: Mapping[str, Callable[[], Evidence]] = {
    "QE report of another PCK": lambda: replace(GOOD, qe_signer="mine").evidence(),
    "QE in debug mode": lambda: replace(GOOD, qe={"flags": 0x17}).evidence(),
    "QE of another signer": lambda: replace(GOOD, qe={"signer": b"m" * 32}).evidence(),
    "another enclave of Intel": lambda: replace(GOOD, qe={"product": 1}).evidence(),
    "QE report of another key": lambda: replace(GOOD, bound=b"k" * 64).evidence(),
    "no point": lambda: replace(GOOD, attestation_key=b"\1" * 64).evidence(),
    "one bit of report_data": lambda: replace(GOOD, scars={568: b"\xdb"}).evidence(),
}
COLLATERAL: Mapping[str, Callable[[], Evidence]] = {
    "64 KiB and more": lambda: GOOD.evidence(b" " * 70_000),
    "no JSON": lambda: GOOD.evidence(b"x"),
    "no text": lambda: GOOD.evidence(b"\xff"),
    "expired": lambda: _with(end=NOW - 1),
    "of tomorrow": lambda: _with(start=NOW + 1),
    "expired lists": lambda: _with(crl_end=NOW - 1),
    "revoked PCK": lambda: _with(revoked=(0x1234,)),
    "self-made": lambda: _with(signer="mine"),
    "of another platform": lambda: _with(tcb_info={"fmspc": "00" * 6}),
    "of SGX": lambda: _with(tcb_info={"id": "SGX"}),
    "below every level": lambda: _with(svn=6),
    "revoked platform": lambda: _with(status="Revoked"),
    "of another enclave": lambda: _with(identity={"isvprodid": 1}),
    "of another signer": lambda: _with(identity={"mrsigner": "00" * 32}),
    "out of date": lambda: _with(status="OutOfDate"),
}
MUTANTS = {**FORM, **CHAIN, **SIGNED}

DEMANDS: Mapping[str, Mapping[str, object]] = {
    "another mr_td": {"mr_td": "ff" * 48},
    "an mr_td of zeros": {"mr_td": "00" * 48},
    "another rtmr": {**PINS, "rtmr": {3: "ab" * 48}},
    "another configuration": {**PINS, "mr_config_id": "ab" * 48},
    "another owner": {**PINS, "mr_owner": "ab" * 48},
    "a service TD": {**PINS, "mr_service_td": "ab" * 48},
    "other platforms": {**PINS, "fmspcs": ["ab" * 6]},
    "other chips": {**PINS, "chip_ids": ["ab" * 16, "cd" * 16]},
}
BODIES: Mapping[str, Quote] = {
    "#VE": Quote(patches={0x7B: b"\0"}),
    "migratable": Quote(patches={0x7B: b"\x30"}),
    "reserved": Quote(patches={0x7A: b"\1"}),
    "SEAM of another": Quote(patches={0x40: b"\1"}),
    "SEAM with attributes": Quote(patches={0x70: b"\1"}),
    "service TD": Quote(version=5, patches={0x258: b"\1"}),
}


def test_the_good_one_is_accepted() -> None:
    """Without collateral every check but that one is made and passed."""
    checks = judge(GOOD.evidence(), PINS, NOW)
    assert {check.name for check in checks if check.outcome is not Outcome.PASSED} == {"tcb"}


@pytest.mark.parametrize("make", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_mutant_is_refused(make: Callable[[], Evidence]) -> None:
    """It fails a check, and says nothing of what it holds."""
    verified = Tdx(frozenset({fingerprint()})).verify(make(), NOW)
    assert verified.claims is None
    assert first_failure(verified.checks) is not None


def test_every_reason_is_its_own() -> None:
    """No two mutants are refused with the same words."""
    reasons = [reason(make()) for make in MUTANTS.values()]
    reasons += [reason(GOOD.evidence(), demands) for demands in DEMANDS.values()]
    reasons += [reason(quote.evidence()) for quote in BODIES.values()]
    reasons += [
        reason(GOOD.evidence(), now=NOW + 60 * DAY),
        reason(GOOD.evidence(), now=NOW - 2 * DAY),
    ]
    assert None not in reasons
    assert len(set(reasons)) == len(reasons) >= 50


def test_every_reason_of_collateral_is_its_own() -> None:
    """No two faults of collateral are told with the same words."""
    pytest.importorskip("dcap_qvl", reason="the extra tdx is not installed")
    reasons = [reason(make()) for make in COLLATERAL.values()]
    assert None not in reasons
    assert len(set(reasons)) == len(reasons)


def test_collateral_makes_the_last_check() -> None:
    """With it every check is made, and a demand of its status is met."""
    pytest.importorskip("dcap_qvl", reason="the extra tdx is not installed")
    for quote in (GOOD, Quote(version=5), Quote(version=5, body_type=2)):
        checks = judge(quote.evidence(Collateral().make()), STATUS, NOW)
        assert {check.outcome for check in checks} == {Outcome.PASSED}


def test_a_status_that_nobody_knows_does_not_meet_a_demand() -> None:
    """To leave the collateral out is no way round it, whether the policy names statuses or not."""
    for demands in (STATUS, {"mr_td": MR_TD.hex()}):
        checks = judge(GOOD.evidence(), demands, NOW)
        left = [check for check in checks if check.name == "tcb_status"]
        assert [check.outcome for check in left] == [Outcome.NOT_MADE]


@pytest.mark.parametrize("tud", [1, 2, 0x80])
def test_debug_is_told(tud: int) -> None:
    """A guest under debug is genuine, and says that it is none to trust."""
    quote = replace(GOOD, patches={0x78: bytes([tud])})
    verified = Tdx(frozenset({fingerprint()})).verify(quote.evidence(), NOW)
    assert verified.claims
    assert verified.claims.debug


@pytest.mark.parametrize(
    "chain",
    [
        (_leaf(end=NOW + 90 * DAY, serial=9), platform(), root()),
        (_leaf(), _platform(end=NOW + 90 * DAY), root()),
    ],
    ids=["PCK", "CA"],
)
def test_a_renewed_certificate_is_accepted(chain: tuple[bytes, ...]) -> None:
    """The same key with a new certificate is the same key."""
    assert reason(_chain(*chain)) is None


def test_zeros_behind_the_quote_are_nothing() -> None:
    """Some platforms hand out their whole buffer."""
    assert reason(replace(GOOD, behind=bytes(3065)).evidence()) is None
