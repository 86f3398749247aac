"""Tests of the table."""

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import routing
from routing import BackendName, Maglev
from routing.maglev import TABLE_SIZE
from tests.routing.cases import name

MEMBERS = {name(f"b{i}"): 1 for i in range(10)}


def _owners(members: dict[BackendName, int]) -> list[BackendName]:
    """The member of each entry."""
    names = sorted(members)
    return [names[member] for member in Maglev(members).table]


def test_the_size_is_a_prime() -> None:
    """Else a member's stride might never reach some entries, and filling would not end."""
    assert all(TABLE_SIZE % divisor for divisor in range(2, int(TABLE_SIZE**0.5) + 1))


def test_the_table_never_changes() -> None:
    """A new version fills it as the old one: balancers of a fleet are not upgraded all at once."""
    table = Maglev({name(text): 1 + place for place, text in enumerate("abcd")}).table
    digest = hashlib.sha256(repr(table.tolist()).encode()).hexdigest()
    assert digest.startswith("ca3a66516d365963")


def test_processes_agree() -> None:
    """Another process, whose `hash()` differs, finds the same ranking."""
    script = (
        "from routing import Maglev;print(*Maglev({f'b{i}': i for i in range(1, 9)}).first(b'abc'))"
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
    assert run.stdout.split() == [*Maglev({name(f"b{i}"): i for i in range(1, 9)}).first(b"abc")]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
@example([1] * 14 + [8])
def test_entries_are_shared_by_weight(weights: list[int]) -> None:
    """Each has its share of the table, less that of the entry with which every member begins."""
    members = {name(f"b{i}"): weight for i, weight in enumerate(weights)}
    won = Counter(_owners(members))
    assert sum(won.values()) == TABLE_SIZE
    for member, weight in members.items():
        share = weight / sum(weights)
        assert won[member] == pytest.approx(TABLE_SIZE * share, abs=2 + len(members) * share)


def test_the_lightest_of_many_has_an_entry() -> None:
    """Beside a thousand heavy ones, too: else it could be asked for and not found."""
    members = {name(f"b{i}"): 200 for i in range(999)} | {name("light"): 1}
    maglev = Maglev(members)
    assert set(_owners(members)) == set(members)
    assert maglev.favourite(b"key", [name("light")]) == "light"


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 30), st.data())
def test_a_change_moves_little_beside_its_share(count: int, data: st.DataObject) -> None:
    """When one leaves, or comes back, of the others' entries few move: less than a tenth."""
    members = {name(f"b{i}"): 1 for i in range(count)}
    gone = data.draw(st.sampled_from(sorted(members)))
    rest = {member: 1 for member in members if member != gone}
    before, after = _owners(members), _owners(rest)
    kept = [(old, new) for old, new in zip(before, after, strict=True) if old != gone]
    moved = sum(old != new for old, new in kept)
    assert moved <= len(kept) * 0.1


def test_the_ranking_follows_the_table() -> None:
    """The favourite among some is the first of them in the order of the ranking."""
    maglev = Maglev(MEMBERS)
    first = maglev.first(b"key")
    assert maglev.favourite(b"key", MEMBERS) == first[0]
    assert maglev.favourite(b"key", first[:2:-1]) == first[3]


def test_a_member_that_is_seldom_met_may_stay_out_of_the_ranking() -> None:
    """Looking for the last of a small pool has a bound; asked for, it is found."""
    maglev = Maglev({name("heavy"): 10_000, name("light"): 1})
    assert maglev.first(b"key") == ("heavy",)
    assert maglev.favourite(b"key", [name("light")]) == "light"


def test_the_table_is_filled_once() -> None:
    """And only when it is asked for."""
    maglev = Maglev(MEMBERS)
    assert maglev.table is maglev.table
    assert len(Maglev({}).table) == 0
