"""A simulation, apart from its command."""

from pathlib import Path

import pytest

from l4proxy.cli.simulation import OURS, USUAL, Question, compare
from l4proxy.scaling.settings import read_policy
from l4proxy.scaling.simulator.trace import BadTrace, Load

QUESTION = Question("diurnal", Load(160, 1800, 1800), None, 20, 60, 30, 1)


def test_ours_stands_first() -> None:
    """A comparison holds ours and the four others, all on the same load."""
    found = compare(QUESTION, alone=False)
    assert next(iter(found.results)) == OURS
    assert len(found.results) == 5
    assert len({result.sessions for result in found.results.values()}) == 1
    assert found.minimum_hours > 0


def test_seeds_are_draws() -> None:
    """The same seed is the same load, another seed another one."""
    same, other = (compare(question, alone=True) for question in (QUESTION, _with(seed=2)))
    assert same == compare(QUESTION, alone=True)
    assert same.trace != other.trace


def test_the_usual_policy_is_one() -> None:
    """What a simulation uses unasked can be read, and has two standbys."""
    assert read_policy("usual", USUAL, 100).standby == 2


def test_a_trace_that_is_nowhere_is_told() -> None:
    """Neither a shape nor a file."""
    with pytest.raises(BadTrace, match="expected a file"):
        compare(_with(trace="nowhere"), alone=True)


def _with(trace: str = "diurnal", policy: Path | None = None, seed: int = 1) -> Question:
    return Question(trace, QUESTION.load, policy, 20, 60, 30, seed)
