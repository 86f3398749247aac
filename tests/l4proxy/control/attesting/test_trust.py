"""What verdicts, and their absence, mean for traffic."""

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from attestation import SimulatedTee, failed
from l4proxy.control.attesting.trust import CARRIED_SECONDS, Trust, TrustState, key_of
from tests.l4proxy.control.attesting.enclave import (
    DEBUG,
    WRONG,
    certificate_of,
    new_key,
    policy,
    spki_of,
)
from tests.l4proxy.control.attesting.verdicts import KEY, NOW, OTHER_KEY, verdict

LATER = NOW + 60
TRUSTED = Trust().judged(verdict(), KEY, NOW)
END = TRUSTED.until or 0.0


def test_nobody_is_trusted_unasked() -> None:
    """A backend begins untested, which admits nothing."""
    assert Trust().state is TrustState.UNTESTED
    assert not Trust().admits


def test_good_evidence_is_trusted_to_its_end() -> None:
    """Not a moment longer, whether anybody has noticed or not."""
    assert TRUSTED.admits
    assert TRUSTED.simulated
    assert (TRUSTED.since, END) == (NOW, NOW + 10_800)
    assert TRUSTED.at(END - 1) is TRUSTED
    ended = TRUSTED.at(END)
    assert (ended.state, ended.since, ended.until) == (TrustState.EXPIRED, END, END)
    assert ended.reason.startswith("expired")
    assert ended.at(END + 99) is ended


@pytest.mark.parametrize(
    ("tee", "name"), [(WRONG, "pcr0"), (DEBUG, "debug")], ids=["measurement", "debug"]
)
def test_something_else_is_refuted_at_once(tee: SimulatedTee, name: str) -> None:
    """Whatever was proved before."""
    for before in (Trust(), TRUSTED):
        found = before.judged(verdict(tee), KEY, LATER)
        assert (found.state, found.since, found.until) == (TrustState.REFUTED, LATER, None)
        assert found.reason.startswith(name)
        assert found.result is not None


def test_a_replayed_nonce_refutes() -> None:
    """An old answer is no proof, and none who gives one is trusted."""
    found = TRUSTED.judged(verdict(nonce=b"m" * 32), KEY, LATER)
    assert (found.state, found.reason.partition(":")[0]) == (TrustState.REFUTED, "nonce")


def test_what_cannot_be_decided_leaves_things_as_they_were() -> None:
    """Until the evidence ends by itself; then it is expired like any other."""
    waiting = TRUSTED.undecided("unreachable", b"", LATER)
    assert (waiting.state, waiting.until, waiting.reason) == (
        TrustState.TRUSTED,
        END,
        "unreachable",
    )
    assert waiting.at(END).state is TrustState.EXPIRED
    assert waiting.at(END).reason == "unreachable"
    assert Trust().undecided("unreachable", b"", LATER).state is TrustState.UNTESTED
    refuted = TRUSTED.judged(verdict(WRONG), KEY, NOW)
    assert refuted.undecided("unreachable", b"", LATER).state is TrustState.REFUTED


def test_a_check_that_was_not_made_decides_nothing() -> None:
    """As where a policy asks for what nothing has answered."""
    result = verdict(nonce=b"")
    assert result.reason is not None
    found = TRUSTED.judged(result, KEY, LATER)
    assert (found.state, found.until) == (TrustState.TRUSTED, END)
    assert not Trust().judged(result, KEY, LATER).admits


def test_evidence_that_has_ended_decides_nothing_new() -> None:
    """Old evidence cannot prolong trust, and time alone refutes nobody."""
    aged = verdict(asked=policy(freshness={"mode": "nonce", "max_age": "5m"}), at=NOW + 600)
    assert aged.reason is not None
    assert aged.reason.name == "age"
    assert TRUSTED.judged(aged, KEY, NOW + 600).until == END
    ended = verdict(at=END + 60)
    assert TRUSTED.judged(ended, KEY, END + 60).state is TrustState.EXPIRED
    assert not Trust().judged(ended, KEY, END + 60).admits
    # A verdict may come so late that it has ended already.
    assert not Trust().judged(verdict(), KEY, END).admits


def test_another_key_ends_trust_before_it_is_proved() -> None:
    """Connections to the key before may stay, as long as its own proof holds."""
    doubted = TRUSTED.doubted(LATER)
    assert (doubted.state, doubted.since, doubted.until) == (TrustState.UNTESTED, LATER, END)
    assert doubted.reason.startswith("key_change")
    assert doubted.at(END).state is TrustState.EXPIRED
    assert Trust().doubted(LATER) == Trust()
    unproved = TRUSTED.undecided("no_answer: status 404", OTHER_KEY, LATER)
    assert (unproved.state, unproved.reason) == (TrustState.UNTESTED, "no_answer: status 404")
    proved = doubted.judged(verdict(), OTHER_KEY, LATER)
    assert (proved.state, proved.key, proved.since) == (TrustState.TRUSTED, OTHER_KEY, LATER)


def test_new_evidence_prolongs_trust() -> None:
    """The same key goes on being trusted since it was first."""
    again = TRUSTED.undecided("timeout", b"", LATER).judged(verdict(), KEY, LATER)
    assert (again.since, again.reason) == (NOW, "")


def test_another_policy_lets_trust_go_on_for_a_moment() -> None:
    """Nobody is cut off while it is asked anew, and nobody stays unasked."""
    assert TRUSTED.carried(LATER).until == LATER + CARRIED_SECONDS
    assert TRUSTED.carried(END - 1).until == END
    refuted = TRUSTED.refuted(failed("revoked", "a", "b"), KEY, NOW)
    assert refuted.carried(LATER).state is TrustState.UNTESTED


def test_a_key_has_a_name() -> None:
    """The SHA-256 of its SubjectPublicKeyInfo as it stands; garbage has a name that no key has."""
    key = new_key()
    encoded = certificate_of(key).public_bytes(Encoding.DER)
    assert key_of(encoded) == hashlib.sha256(spki_of(key)).digest()
    assert key_of(encoded + b"x") == hashlib.sha256(encoded + b"x").digest()
    assert key_of(b"") == b""
