"""Mutants of one good SEV-SNP report: each refused, each for a reason of its own."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.checks import Check, Outcome, first_failure
from attestation.evidence import Evidence
from attestation.sev_snp import SevSnp
from tests.attestation.snp_builder import (
    CHIP,
    DAY,
    MEASUREMENT,
    NOW,
    TCB,
    Recipe,
    ark,
    ask_template,
    authority,
    crl,
    ec_key,
    envelope,
    fingerprint,
    rsa_key,
    statements,
    tcb_word,
)

GOOD = Recipe()
PINS: Mapping[str, object] = MappingProxyType({"measurement": MEASUREMENT.hex()})


def judge(evidence: Evidence, demands: Mapping[str, object], now: float) -> tuple[Check, ...]:
    """Every check of the evidence under a set of demands, as far as it gets."""
    kind = SevSnp(frozenset({fingerprint()}))
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
    good = GOOD.evidence()
    return replace(good, document=spoil(good.document))


def _leaf(**changes: object) -> bytes:
    return replace(GOOD.leaf_template(), **changes).make()  # type: ignore[arg-type]  # by name


def _ask(**changes: object) -> bytes:
    return replace(ask_template(), **changes).make()  # type: ignore[arg-type]  # by name


def _stated(tcb: Mapping[str, int], chip: bytes = CHIP) -> bytes:
    return _leaf(extensions=statements(tcb, chip))


def _envelope(text: bytes, hashed: bytes, **words: int) -> Evidence:
    from_host = replace(GOOD, patches={0x50: hashlib.sha256(hashed).digest() + bytes(32)})
    return replace(GOOD.evidence(), document=envelope(from_host.report(), text, **words))


TURIN = {**TCB, "fmc": 1}
OTHER = bytes(reversed(CHIP))

FORM: Mapping[str, Callable[[], Evidence]] = {
    "empty": lambda: _document(lambda _: b""),
    "1 MiB": lambda: _document(lambda good: good.ljust(1024 * 1024, b"\0")),
    "a byte short": lambda: _document(lambda good: good[:-1]),
    "a byte long": lambda: _document(lambda good: good + b"\0"),
    "version 1": lambda: replace(GOOD, patches={0: b"\x01"}).evidence(),
    "version 6": lambda: replace(GOOD, patches={0: b"\x06"}).evidence(),
    "another algorithm": lambda: replace(GOOD, patches={0x34: b"\x02"}).evidence(),
    "bytes behind r": lambda: replace(GOOD, scars={0x2E7: b"\x01"}).evidence(),
    "reserved policy bit": lambda: replace(GOOD, patches={0x0A: b"\x01"}).evidence(),
    "signed by no key": lambda: replace(GOOD, patches={0x48: b"\x1c"}).evidence(),
    "envelope cut short": lambda: _document(lambda good: b"HCLA" + good[:1200]),
    "envelope of a TD": lambda: _envelope(b"{}", b"{}", kind=4),
    "envelope by SHA-512": lambda: _envelope(b"{}", b"{}", digest=3),
    "envelope of another text": lambda: _envelope(b"{}", b"[]"),
    "envelope with more behind": lambda: replace(
        _envelope(b"{}", b"{}"), document=envelope(GOOD.report(), b"{}") + b"x"
    ),
}
CHAIN: Mapping[str, Callable[[], Evidence]] = {
    "no VCEK": lambda: replace(GOOD, without=frozenset({"vcek"})).evidence(),
    "no VLEK": lambda: replace(GOOD, patches={0x48: b"\x04"}).evidence(),
    "no ASK": lambda: replace(GOOD, without=frozenset({"ask"})).evidence(),
    "no ARK": lambda: replace(GOOD, without=frozenset({"ark"})).evidence(),
    "too long": lambda: replace(GOOD, more={"x": bytes(33_000)}).evidence(),
    "too many": lambda: replace(GOOD, more={f"x{i}": ark() for i in range(6)}).evidence(),
    "no certificate": lambda: replace(GOOD, leaf=b"\x30\x03\x02\x01\x00").evidence(),
    "table without end": lambda: replace(GOOD, more={"auxblob": b"\x01" * 48}).evidence(),
    "self-made root": lambda: replace(GOOD, ark=ark(key="mine")).evidence(),
    "self-made ASK": lambda: replace(GOOD, ask=_ask(signer=rsa_key("mine"))).evidence(),
    "self-made VCEK": lambda: replace(GOOD, leaf=_leaf(signer=rsa_key("mine"))).evidence(),
    "ASK that is no CA": lambda: replace(GOOD, ask=_ask(extensions=())).evidence(),
    "VCEK that is a CA": lambda: replace(GOOD, leaf=_leaf(extensions=authority())).evidence(),
    "ASK by PKCS 1": lambda: replace(GOOD, ask=_ask(pss=False)).evidence(),
    "expired VCEK": lambda: replace(GOOD, leaf=_leaf(end=NOW - 1)).evidence(),
    "VCEK of tomorrow": lambda: replace(GOOD, leaf=_leaf(start=NOW + 1)).evidence(),
    "expired ASK": lambda: replace(GOOD, ask=_ask(end=NOW - 1)).evidence(),
    "ASK of another product": lambda: replace(
        GOOD, ask=_ask(subject="SEV-Genoa"), leaf=_leaf(issuer="SEV-Genoa")
    ).evidence(),
    "unreadable list": lambda: replace(GOOD, more={"crl": b"x"}).evidence(),
    "another's list": lambda: replace(GOOD, more={"crl": crl(signer="mine")}).evidence(),
    "stale list": lambda: replace(GOOD, more={"crl": crl(end=NOW - 1)}).evidence(),
    "list of tomorrow": lambda: replace(GOOD, more={"crl": crl(start=NOW + 1)}).evidence(),
    "revoked": lambda: replace(GOOD, more={"crl": crl(revoked=7)}).evidence(),
}
SIGNED: Mapping[str, Callable[[], Evidence]] = {
    "one bit of report_data": lambda: replace(GOOD, scars={0x50: b"\xdb"}).evidence(),
    "P-256 key": lambda: replace(GOOD, leaf=_leaf(key=ec_key("small", ec.SECP256R1))).evidence(),
    "key of another version": lambda: replace(GOOD, leaf=_stated({**TCB, "snp": 23})).evidence(),
    "no version in the key": lambda: replace(GOOD, leaf=_stated({"bootloader": 4})).evidence(),
    "key of another chip": lambda: replace(GOOD, leaf=_stated(TCB, OTHER)).evidence(),
    "masked chip": lambda: replace(GOOD, patches={0x1A0: bytes(64)}).evidence(),
    "committed below reported": lambda: replace(
        GOOD, patches={0x1E0: tcb_word("Milan", {**TCB, "snp": 23})}
    ).evidence(),
    "running below committed": lambda: replace(
        GOOD, patches={0x38: tcb_word("Milan", {**TCB, "microcode": 218})}
    ).evidence(),
    "CPUID of Genoa": lambda: replace(GOOD, patches={0x188: b"\x19\x11"}).evidence(),
    "CPUID of nobody": lambda: replace(GOOD, patches={0x188: b"\x17\x31"}).evidence(),
}
MUTANTS = {**FORM, **CHAIN, **SIGNED}

DEMANDS: Mapping[str, Mapping[str, object]] = {
    "another measurement": {"measurement": "ff" * 48},
    "measurement of zeros": {"measurement": "00" * 48},
    "identity key": {"id_key_digest": "ab" * 48},
    "author key": {"author_key_digest": "ab" * 48},
    "host data": {**PINS, "host_data": "ab" * 32},
    "higher version": {**PINS, "minimum_tcb": {"snp": 25}},
    "version of a part that Milan has not": {**PINS, "minimum_tcb": {"fmc": 0}},
    "other products": {**PINS, "products": ["Genoa", "Turin"]},
    "refused product": {**PINS, "refused_products": ["Milan"]},
    "other chips": {**PINS, "chip_ids": ["ab" * 64, "cd" * 64, "ef" * 64]},
    "a cloud's key": {**PINS, "csp_ids": ["CN=cloud.example"]},
}


def test_the_good_one_is_accepted() -> None:
    """What the mutants are made of has every check made and passed, but for the absent list."""
    checks = judge(GOOD.evidence(), PINS, NOW)
    assert {check.name for check in checks if check.outcome is not Outcome.PASSED} == {"revocation"}


@pytest.mark.parametrize("make", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_mutant_is_refused(make: Callable[[], Evidence]) -> None:
    """It fails a check, and says nothing of what it holds."""
    verified = SevSnp(frozenset({fingerprint()})).verify(make(), NOW)
    assert verified.claims is None
    assert first_failure(verified.checks) is not None


@pytest.mark.parametrize("demands", DEMANDS.values(), ids=DEMANDS.keys())
def test_a_demand_that_is_not_met_refuses(demands: Mapping[str, object]) -> None:
    """A genuine report that is not what the policy asks for is refused."""
    assert reason(GOOD.evidence(), demands) is not None


def test_every_reason_is_its_own() -> None:
    """No two mutants are refused with the same words."""
    reasons = [reason(make()) for make in MUTANTS.values()]
    reasons += [reason(GOOD.evidence(), demands) for demands in DEMANDS.values()]
    reasons += [
        reason(replace(GOOD, patches={0x30: b"\x01"}).evidence()),
        reason(replace(GOOD, patches={0x0A: b"\x07"}).evidence()),
        reason(GOOD.evidence(), now=NOW + 2 * DAY),
        reason(GOOD.evidence(), now=NOW - 2 * DAY),
    ]
    assert None not in reasons
    assert len(set(reasons)) == len(reasons) >= 50


def test_debug_is_told() -> None:
    """A guest whose memory the host can read is genuine, and says that it is none to trust."""
    verified = SevSnp(frozenset({fingerprint()})).verify(
        replace(GOOD, patches={0x0A: b"\x0b"}).evidence(), NOW
    )
    assert verified.claims
    assert verified.claims.debug


@pytest.mark.parametrize(
    "same",
    [
        replace(GOOD, leaf=_leaf(start=NOW - 10, end=NOW + 3 * DAY)),
        replace(GOOD, ask=_ask(end=NOW + 3 * DAY)),
        replace(GOOD, more={"crl": crl()}),
    ],
    ids=["VCEK", "ASK", "with a list"],
)
def test_a_renewed_certificate_is_accepted(same: Recipe) -> None:
    """The same key with a new certificate is the same key."""
    assert reason(same.evidence()) is None
