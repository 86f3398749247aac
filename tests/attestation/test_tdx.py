"""The kind tdx: what a genuine quote says, and that no bytes make it raise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.checks import first_failure
from attestation.errors import PolicyError
from attestation.evidence import EvidenceKind
from attestation.tdx import Tdx
from attestation.tdx_quote import QUOTE_BYTES
from tests.attestation.tdx_builder import (
    DAY,
    FMSPC,
    MR_TD,
    NOW,
    PPID,
    Collateral,
    Quote,
    fingerprint,
)

GOOD = Quote().evidence()


def _kind() -> Tdx:
    return Tdx(frozenset({fingerprint()}))


def test_it_is_a_kind() -> None:
    """What a registry asks of it."""
    kind: EvidenceKind = Tdx()
    assert (kind.name, kind.signs_time, kind.limit) == ("tdx", False, QUOTE_BYTES)
    with pytest.raises(PolicyError, match="no measurement"):
        kind.demands({}, ("accept", 0, "tdx"))


@pytest.mark.parametrize(
    "quote", [Quote(), Quote(version=5, body_type=2), Quote(version=5)], ids=["v4", "1.0", "1.5"]
)
def test_a_genuine_quote_says_what_it_holds(quote: Quote) -> None:
    """Each version and body."""
    claims = _kind().verify(quote.evidence(), NOW).claims
    assert claims
    assert (claims.kind, claims.product, claims.chip_id) == ("tdx", FMSPC.hex(), PPID)
    assert claims.measurements["mr_td"] == MR_TD
    assert (claims.bound_data, claims.debug, claims.simulated) == (b"\xda" * 64, False, False)
    assert (claims.signed_at, claims.manifest_register, claims.tcb_status) == (None, None, None)
    assert ("mr_service_td" in claims.measurements) is (quote.body_type == 3 and quote.version == 5)
    assert claims.valid_until == NOW + 30 * DAY


def test_collateral_says_how_long_it_is_good_for() -> None:
    """Evidence ends with the first of its certificates and its collateral."""
    pytest.importorskip("dcap_qvl", reason="the extra tdx is not installed")
    claims = _kind().verify(Quote().evidence(Collateral(end=NOW + 9).make()), NOW).claims
    assert claims
    assert (claims.tcb_status, claims.valid_until) == ("UpToDate", NOW + 9)
    assert claims.details["advisories"] == "INTEL-SA-00001"


def test_rtmr3_is_the_manifests_register() -> None:
    """It can be extended, never set."""
    claims = _kind().verify(Quote(patches={0x1D8: b"m" * 48}).evidence(), NOW).claims
    assert claims
    assert claims.manifest_register == b"m" * 48


def test_a_vendors_root_is_pinned() -> None:
    """A made-up Intel is believed by nobody who does not name it."""
    failure = first_failure(Tdx().verify(GOOD, NOW).checks)
    assert failure
    assert (failure.name, failure.expected) == ("chain_root", "a pinned root")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_quote_never_raises(data: st.DataObject) -> None:
    """Whichever bytes change, the answer is a list of checks; it says what it said, or nothing."""
    spoilt = bytearray(GOOD.document)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at] ^= data.draw(st.integers(1, 255))
    verified = _kind().verify(replace(GOOD, document=bytes(spoilt)), NOW)
    assert verified.claims is None or verified.claims.measurements["mr_td"] == MR_TD
    assert verified.claims is not None or first_failure(verified.checks)


@given(st.binary(max_size=1300), st.dictionaries(st.text(max_size=8), st.binary(max_size=64)))
def test_any_bytes_are_answered(document: bytes, endorsements: dict[str, bytes]) -> None:
    """Nothing escapes, whatever is handed in."""
    evidence = replace(GOOD, document=document, endorsements=endorsements)
    assert first_failure(_kind().verify(evidence, NOW).checks)
