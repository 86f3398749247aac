"""Tests of what all rankings promise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import Maglev, Ranking, Rendezvous
from routing.ranking import KEPT, MAX_KEYS
from tests.routing.cases import name

KINDS = (Rendezvous, Maglev)
MEMBERS = {name(f"b{i}"): 1 + i % 3 for i in range(12)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(key=st.binary(max_size=16))
def test_a_ranking_is_pure(kind: type[Rendezvous | Maglev], key: bytes) -> None:
    """Distinct members, best first, the same however often and in whatever order they are given."""
    first = kind(MEMBERS).first(key)
    assert len(set(first)) == len(first) == KEPT
    again = kind(dict(reversed(MEMBERS.items())))
    assert again.first(key) is again.first(key)
    assert again.first(key) == first
    assert again.favourite(key, MEMBERS) == first[0]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_remembered_to_a_bound(kind: type[Rendezvous | Maglev]) -> None:
    """With one key too many all are forgotten; the answers stay the same."""
    ranking: Ranking = kind({name("a"): 1, name("b"): 1})
    before = [ranking.first(number.to_bytes(4)) for number in range(MAX_KEYS)]
    assert ranking.remembered == MAX_KEYS
    ranking.first(b"one more")
    assert ranking.remembered == 1
    assert [ranking.first(number.to_bytes(4)) for number in range(MAX_KEYS)] == before


@pytest.mark.parametrize("kind", KINDS)
def test_without_members_nobody_is_ranked(kind: type[Rendezvous | Maglev]) -> None:
    """An empty pool has an empty order."""
    assert kind({}).first(b"key") == ()
