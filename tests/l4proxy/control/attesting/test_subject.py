"""When a backend is visited again."""

import pytest

from attestation import Evidence, failed
from l4proxy.config import EvidenceSource
from l4proxy.control.attesting.subject import RENEW_SHARE, AttestationRules, Subject
from l4proxy.control.attesting.trust import Trust, TrustState
from l4proxy.control.membership import Member
from routing import Address, BackendName, PoolName
from sni import ServerName
from tests.l4proxy.control.attesting.enclave import KINDS
from tests.l4proxy.control.attesting.verdicts import BY_NONCE, KEY, NOW, verdict

RULES = AttestationRules(
    BY_NONCE,
    KINDS,
    every=300.0,
    server_name=ServerName("app.example.com"),
    preambles={BackendName("a"): b"PROXY"},
)
MEMBER = Member(BackendName("a"), Address("127.0.0.1", 1))


def subject(**more: object) -> Subject:
    """A backend that is attested."""
    made = Subject(PoolName("app"), BackendName("a"), RULES.approach(MEMBER), RULES)
    for name, value in more.items():
        setattr(made, name, value)
    return made


TRUSTED = Trust().judged(verdict(), KEY, NOW)


@pytest.mark.parametrize(
    ("made", "now", "expected"),
    [
        (subject(trust=TRUSTED), NOW, 300.0),
        (subject(trust=TRUSTED), (TRUSTED.until or 0) - 100, RENEW_SHARE * 100),
        (subject(trust=TRUSTED), (TRUSTED.until or 0) + 100, 1.0),
        (subject(failures=1), NOW, 1.0),
        (subject(failures=4), NOW, 8.0),
        (subject(failures=10_000), NOW, 300.0),
        (subject(), NOW, 300.0),
    ],
)
def test_the_next_visit(made: Subject, now: float, expected: float) -> None:
    """In time before evidence ends; after failures soon, then ever more seldom."""
    assert made.pause(now) == pytest.approx(expected)


def test_what_bars_it_besides_refutes_it() -> None:
    """However good its own evidence is."""
    made = subject(trust=TRUSTED)
    assert made.standing(NOW) is TRUSTED
    made.barrier = failed("ticket_names", "a", "b")
    assert made.standing(NOW).state is TrustState.REFUTED
    assert made.trust is TRUSTED


def test_collateral_that_is_known_completes_evidence() -> None:
    """For TDX alone, and only where none has come."""
    made = subject(collateral=b"known")
    bare, own = Evidence("tdx", b"quote", {"x": b"y"}), {"collateral": b"own"}
    assert made.completed(bare).endorsements == {"x": b"y", "collateral": b"known"}
    assert made.completed(Evidence("tdx", b"quote", own)).endorsements == own
    assert made.completed(Evidence("nitro", b"doc", {})).endorsements == {}
    assert subject().completed(bare) is bare


def test_to_ask_anew_forgets_failures() -> None:
    """What has failed may have been mended."""
    made = subject(failures=5)
    made.ask_anew()
    assert (made.failures, made.wake.is_set()) == (0, True)


def test_rules_say_how_it_is_visited() -> None:
    """As every other visitor comes, its PROXY header included."""
    approach = RULES.approach(MEMBER)
    assert (approach.address, approach.preamble) == (MEMBER.address, b"PROXY")
    assert approach.server_name == ServerName("app.example.com")
    assert RULES.manner.source is EvidenceSource.WELL_KNOWN
    assert RULES.manner.freshness is BY_NONCE.freshness.mode
