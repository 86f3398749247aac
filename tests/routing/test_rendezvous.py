"""Tests of the ranking."""

import itertools
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import routing
from routing import SLOTS, BackendName, Rendezvous
from routing.ranking import KEPT
from routing.rendezvous import slot_of
from tests.routing.cases import name

SOME = range(0, SLOTS, 8)  # enough slots for a share to show
MEMBERS = {name(f"b{i}"): 1 for i in range(10)}


def _winners(members: dict[BackendName, int], slots: range = SOME) -> list[BackendName]:
    """Whom each slot prefers."""
    ranking = Rendezvous(members)
    return [ranking.of_slot(slot)[0] for slot in slots]


def _even(share: float, slots: int) -> float:
    """How many slots a share may have: five deviations of a binomial draw about its mean."""
    return 5 * math.sqrt(slots * share * (1 - share))


def test_a_network_has_one_slot() -> None:
    """The slot depends on the prefix alone and is one of SLOTS."""
    slots = [slot_of(bytes(prefix)) for prefix in itertools.product(range(8), repeat=3)]
    assert slots == [slot_of(bytes(prefix)) for prefix in itertools.product(range(8), repeat=3)]
    assert all(0 <= slot < SLOTS for slot in slots)
    assert len(set(slots)) > len(slots) * 0.9


def test_processes_agree() -> None:
    """Another process, whose `hash()` differs, finds the same slot and the same ranking."""
    script = (
        "from routing import Rendezvous; from routing.rendezvous import slot_of;"
        "print(slot_of(b'abc'), *Rendezvous({f'b{i}': i for i in range(1, 9)}).first(b'abc'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(routing.__file__).parents[1],
        env={"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    ranked = Rendezvous({name(f"b{i}"): i for i in range(1, 9)}).first(b"abc")
    assert run.stdout.split() == [str(slot_of(b"abc")), *ranked]


def test_the_hash_never_changes() -> None:
    """A new version ranks as the old one: balancers of a fleet are not upgraded all at once."""
    assert slot_of(bytes([192, 0, 2])) == 1995
    assert Rendezvous({name(text): 1 for text in "abcd"}).of_slot(1) == ("a", "d", "c", "b")


@settings(max_examples=25)
@given(st.permutations(list(MEMBERS)), st.integers(0, SLOTS - 1))
def test_the_order_of_the_members_does_not_matter(order: list[BackendName], slot: int) -> None:
    """Two balancers that list the backends differently rank them alike."""
    assert Rendezvous(dict.fromkeys(order, 1)).of_slot(slot) == Rendezvous(MEMBERS).of_slot(slot)


def test_weights_are_respected_over_all_slots() -> None:
    """Each backend wins its share of the slots, as far as chance allows."""
    weights = {name("small"): 1, name("middle"): 2, name("large"): 5}
    won = Counter(_winners(weights, range(SLOTS)))
    for member, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(won[member] - SLOTS * share) < _even(share, SLOTS)


def test_a_new_backend_takes_its_share_and_nothing_else_moves() -> None:
    """Slots move only to the newcomer, and about as many as its weight says."""
    newcomer = name("new")
    before, after = _winners(MEMBERS), _winners({**MEMBERS, newcomer: 2})
    moved = [winner for old, winner in zip(before, after, strict=True) if old != winner]
    share = 2 / 12
    assert set(moved) == {newcomer}
    assert abs(len(moved) - len(SOME) * share) < _even(share, len(SOME))


def test_a_backend_that_goes_moves_only_its_own_slots() -> None:
    """The slots of all others stay, and its own go to whom they ranked second."""
    gone = name("b3")
    rest = {member: weight for member, weight in MEMBERS.items() if member != gone}
    full, less = Rendezvous(MEMBERS), Rendezvous(rest)
    for slot in SOME:
        expected = [member for member in full.of_slot(slot) if member != gone]
        assert list(less.of_slot(slot)[: len(expected)]) == expected


def test_only_the_first_are_kept() -> None:
    """A ranking is short, whole for a small pool, and worked out once."""
    ranking = Rendezvous(MEMBERS)
    assert len(ranking.of_slot(0)) == KEPT
    assert ranking.of_slot(0) is ranking.of_slot(0)
    assert sorted(Rendezvous({name("a"): 1, name("b"): 3}).of_slot(0)) == ["a", "b"]
    assert Rendezvous({}).of_slot(0) == ()


@pytest.mark.parametrize("key", [b"", b"\xc0\0\2", bytes(16)])
def test_the_favourite_agrees_with_the_ranking(key: bytes) -> None:
    """Among any members the favourite is the one that the whole ranking names first."""
    ranking = Rendezvous(MEMBERS)
    first = ranking.first(key)
    assert first == ranking.of_slot(slot_of(key))
    assert ranking.favourite(key, MEMBERS) == first[0]
    assert ranking.favourite(key, first[:2:-1]) == first[3]
