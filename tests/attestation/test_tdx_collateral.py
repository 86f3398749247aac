"""Intel's word on a platform: dcap-qvl's judgement, or a clear word that there is none."""

import importlib
import math
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.checks import Outcome
from attestation.tdx_collateral import COLLATERAL_BYTES, TcbJudgement, judge_tcb
from tests.attestation.tdx_builder import DAY, NOW, Collateral, Quote, root

QUOTE = Quote().make()
GOOD = Collateral().make()


class PanicException(BaseException):
    """What a panic in Rust becomes."""


def _judge(collateral: bytes | None, quote: bytes = QUOTE, now: float = NOW) -> TcbJudgement:
    return judge_tcb(quote, root(), collateral, now)


@pytest.fixture
def _library() -> None:
    pytest.importorskip("dcap_qvl", reason="the extra tdx is not installed")


def _in_its_place(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], str]) -> None:
    """A library that answers so."""

    class Claims:
        def to_json(self) -> str:
            return answer()

    class Verifier:
        def __init__(self, root: bytes) -> None:
            self.root = root

        def verify_with_policy(self, *_: object) -> Claims:
            return Claims()

    library = SimpleNamespace(
        QuoteVerifier=Verifier,
        QuoteCollateralV3=SimpleNamespace(from_json=str),
        QuotePolicy=SimpleNamespace(claims_only=int),
    )
    monkeypatch.setattr(importlib, "import_module", lambda _: library)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("status", ["UpToDate", "SWHardeningNeeded", "OutOfDate"])
def test_a_platform_that_intel_knows_has_a_status(status: str) -> None:
    """With Intel's advisories, and until its first part ends."""
    found = _judge(Collateral(status=status, end=NOW + 10 * DAY).make())
    assert (found.check.outcome, found.status) == (Outcome.PASSED, status)
    assert (found.advisories, found.valid_until) == (("INTEL-SA-00001",), NOW + DAY)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(
    ("collateral", "name", "words"),
    [
        (Collateral(end=NOW - 1), "collateral_validity", "TCBInfo expired"),
        (Collateral(start=NOW + 1), "collateral_validity", "in the future"),
        (Collateral(crl_end=NOW - 1), "collateral_validity", "CrlExpired"),
        (Collateral(tcb_info={"fmspc": "00" * 6}), "tcb", "Fmspc mismatch"),
        (Collateral(tcb_info={"id": "SGX"}), "tcb", "non-TDX TCB info"),
        (Collateral(signer="mine"), "tcb", "Signature is invalid"),
        (Collateral(status="Revoked"), "tcb", "Revoked"),
        (Collateral(revoked=(0x1234,)), "tcb", "certificate chain"),
    ],
)
def test_other_collateral_fails(collateral: Collateral, name: str, words: str) -> None:
    """What newer collateral may mend has a check of its own."""
    found = _judge(collateral.make())
    assert (found.check.name, found.check.outcome) == (name, Outcome.FAILED)
    assert words in found.check.found
    assert found.status is None


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("patches", [{0x78: b"\1"}, {0x7B: b"\0"}, {0x7B: b"\x30"}])
def test_a_guest_that_it_judges_never_has_no_status(patches: dict[int, bytes]) -> None:
    """dcap-qvl refuses debug and the like whatever the platform: so nothing is known of it."""
    found = _judge(GOOD, Quote(patches=patches).make())
    assert (found.check.outcome, found.status) == (Outcome.NOT_MADE, None)
    assert "judges no such guest" in found.check.expected


def test_without_collateral_the_check_is_not_made() -> None:
    """Never passed: nobody has looked."""
    found = _judge(None)
    assert (found.check.outcome, found.status, found.valid_until) == (
        Outcome.NOT_MADE,
        None,
        math.inf,
    )


def test_without_the_library_the_check_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator reads which extra to install."""

    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    found = _judge(GOOD)
    assert found.check.outcome is Outcome.NOT_MADE
    assert "l4proxy[tdx]" in found.check.expected


def test_a_panic_in_rust_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no Exception in Python, yet ends nothing but this check."""

    def panic() -> str:
        raise PanicException("index out of bounds")

    _in_its_place(monkeypatch, panic)
    found = _judge(GOOD)
    assert (found.check.outcome, found.check.found) == (Outcome.FAILED, "index out of bounds")


def test_an_interrupt_is_no_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants to stop the process stops it."""

    def interrupt() -> str:
        raise KeyboardInterrupt

    _in_its_place(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        _judge(GOOD)


@pytest.mark.parametrize("claims", ["{}", "[]", "null", '{"tcb": {"status": 1}}', "no JSON"])
def test_claims_in_another_form_fail_the_check(
    monkeypatch: pytest.MonkeyPatch, claims: str
) -> None:
    """A later library that answers otherwise is not believed by accident."""
    _in_its_place(monkeypatch, lambda: claims)
    assert _judge(GOOD).check.outcome is Outcome.FAILED


def test_size_is_checked_before_anything_else() -> None:
    """Over the limit nothing is read."""
    found = _judge(bytes(COLLATERAL_BYTES + 1))
    assert (found.check.outcome, found.check.expected) == (Outcome.FAILED, "at most 65536")


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("now", [0.0, -1.0, 1e18, 1e30])
def test_no_time_raises(now: float) -> None:
    """Whatever the clock says."""
    assert _judge(GOOD, now=now).check.outcome is Outcome.FAILED


@pytest.mark.usefixtures("_library")
@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_damage_raises(at: int, change: int) -> None:
    """Collateral with a byte changed is refused, or says what it said before."""
    spoilt = bytearray(GOOD)
    spoilt[at] ^= change
    assert _judge(bytes(spoilt)).status in {None, "UpToDate"}
