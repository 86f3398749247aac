"""Chains: each question has its check, and the walk ends at the first that fails."""

import pytest

from attestation.chain import MAX_CERTIFICATES, ChainRules, holds, valid_until, walk
from attestation.checks import Outcome, not_made, passed
from attestation.x509 import KeyUsage, SignatureAlgorithm
from tests.attestation.nitro_documents import HOUR, NOW, H, Link, Wish, ca, issue, signer

CHAIN = [link.parsed for link in H.chain]
ALGORITHMS = frozenset({SignatureAlgorithm.ECDSA_SHA384})
RULES = ChainRules(
    frozenset({CHAIN[0].fingerprint}), ALGORITHMS, leaf_usage=KeyUsage.DIGITAL_SIGNATURE
)
QUESTIONS = [
    "chain_length",
    "chain_root",
    "chain_names",
    "chain_authorities",
    "chain_path_length",
    "chain_leaf",
    "chain_extensions",
    "chain_signatures",
    "certificate_validity",
]


def test_a_good_chain_passes_every_question() -> None:
    """Every question is put, in its order, and passes."""
    checks = walk(CHAIN, NOW, RULES)
    assert [check.name for check in checks] == QUESTIONS
    assert holds(checks)


@pytest.mark.parametrize("size", [0, 1, MAX_CERTIFICATES + 1])
def test_length_is_bounded(size: int) -> None:
    """No chain at all, a root alone and an endless chain are refused before anything is done."""
    checks = walk([CHAIN[0]] * size, NOW, RULES)
    assert [(check.name, check.outcome) for check in checks] == [("chain_length", Outcome.FAILED)]


def test_only_a_pinned_root_counts() -> None:
    """Without a pinned root there is no trust, whatever the chain brings."""
    checks = walk(CHAIN, NOW, ChainRules(frozenset(), ALGORITHMS))
    assert [check.name for check in checks] == QUESTIONS[:2]
    assert not holds(checks)


def test_an_intermediate_can_be_pinned() -> None:
    """What is pinned is trusted by its fingerprint; what stands above it is not asked."""
    rules = ChainRules(frozenset({CHAIN[1].fingerprint}), ALGORITHMS)
    assert holds(walk(CHAIN[1:], NOW, rules))
    assert not holds(walk(CHAIN, NOW, rules))


def test_expired_is_said_only_of_a_genuine_chain() -> None:
    """A forged chain that has expired is forged: the walk ends at the signature."""
    forged = [CHAIN[0], issue(Wish("region", signer()), issue(Wish("root", ca(None)))).parsed]
    names = issue(
        Wish("leaf", signer(), end=-1, issuer_name=CHAIN[0].common_name),
        issue(Wish("root", ca(None))),
    )
    assert walk(forged, NOW + 9 * HOUR, RULES)[-1].name == "chain_names"
    checks = walk([CHAIN[0], names.parsed], NOW, RULES)
    assert checks[-1].name == "chain_signatures"


def leaf(below: Link, usage: bool | None) -> Link:
    """Return a leaf with a key usage that allows to sign, one that does not, or none."""
    extensions = signer(sign=bool(usage))
    return issue(Wish("leaf", extensions[:1] if usage is None else extensions), below)


@pytest.mark.parametrize(
    ("usage", "wanted", "good"),
    [
        (True, KeyUsage.DIGITAL_SIGNATURE, True),
        (None, KeyUsage.DIGITAL_SIGNATURE, False),
        (False, KeyUsage.DIGITAL_SIGNATURE, False),
        (True, None, True),
        (None, None, True),
        (False, None, False),
    ],
)
def test_a_leaf_may_sign_what_it_signs(
    usage: bool | None, wanted: KeyUsage | None, good: bool
) -> None:
    """Its key usage allows signatures; it may be absent only where the vendor leaves it out."""
    chain = [*CHAIN[:4], leaf(H.chain[3], usage).parsed]
    checks = walk(chain, NOW, ChainRules(RULES.roots, ALGORITHMS, wanted))
    assert holds(checks) is good
    assert good or checks[-1].name == "chain_leaf"


def test_a_chain_ends_with_its_first_certificate_to_end() -> None:
    """Evidence is worth something until the first of its certificates ends."""
    short = issue(Wish("leaf", signer(), end=60), H.chain[3]).parsed
    assert valid_until([*CHAIN[:4], short]) == NOW + 60


def test_a_check_that_was_not_made_does_not_hold() -> None:
    """Only checks that passed hold."""
    assert holds([passed("one")])
    assert not holds([passed("one"), not_made("two", "no time")])
