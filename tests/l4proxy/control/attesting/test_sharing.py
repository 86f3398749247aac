"""Ticket keys that two backends hold."""

from l4proxy.control.attesting.sharing import sharers
from l4proxy.control.attesting.trust import Trust
from routing import BackendName
from tests.l4proxy.control.attesting.enclave import TEE, WRONG, policy
from tests.l4proxy.control.attesting.verdicts import KEY, NOW, verdict

A, B, C = (BackendName(name) for name in "abc")
BY_NONCE = {"mode": "nonce"}
STRICT = policy(TEE, WRONG, freshness=BY_NONCE)
SHARING = policy(TEE, WRONG, freshness=BY_NONCE, shared_ticket_keys="equal_measurement")
ONE = Trust().judged(verdict(TEE, STRICT), KEY, NOW)
OTHER = Trust().judged(verdict(WRONG, STRICT), KEY, NOW)


def test_all_that_share_are_refuted() -> None:
    """Nobody can say which of them is the other; those beside them are not."""
    found = sharers([frozenset({A, B})], {A: ONE, B: ONE, C: ONE}, STRICT)
    assert found.keys() == {A, B}
    assert str(found[A]).startswith("ticket_names: found a ticket key that b holds")


def test_equals_may_share_where_the_policy_says_so() -> None:
    """Enclaves that meet the same set; those that meet different ones may not."""
    pair = frozenset({A, B})
    assert not sharers([pair], {A: ONE, B: ONE}, SHARING)
    assert sharers([pair], {A: ONE, B: OTHER}, SHARING).keys() == pair


def test_who_has_no_proof_yet_takes_no_part() -> None:
    """It has no traffic, and must not take that of its equals away before its own proof."""
    assert not sharers([frozenset({A, B})], {A: ONE, B: Trust()}, SHARING)


def test_who_is_not_there_any_more_is_passed_over() -> None:
    """Names outlive their backends."""
    assert sharers([frozenset({A, C})], {A: ONE}, STRICT).keys() == {A}
    assert not sharers([], {A: ONE}, STRICT)
