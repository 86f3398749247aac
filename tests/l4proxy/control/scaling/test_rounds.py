"""Rounds as they are told: what each did, in a line, and how many are kept."""

from l4proxy.control.lineup import Taken
from l4proxy.control.scaling.rounds import MAX_ROUNDS, Kind, Round, Rounds
from l4proxy.scaling import (
    BackendReport,
    BackendState,
    Decision,
    Doubt,
    Observation,
    Outlook,
    Term,
    TermName,
)
from routing import NO_MARK, BackendName
from tests.l4proxy.control.scaling.stand import A, B, C

TERMS = (
    Term(TermName.SESSIONS, 2, "15 sessions, 10 a backend"),
    Term(TermName.FREE, 0, "20 % free: 19 slots"),
    Term(TermName.FORECAST, 0, "15 ± 1 sessions in 90 s: 19 slots"),
)
REPORTS = (
    BackendReport(A, BackendState.READY, 4),
    BackendReport(B, BackendState.FULL, 11),
    BackendReport(C, BackendState.STANDBY),
)


def add(
    rounds: Rounds,
    desired: int,
    taken: Taken | None = None,
    release: tuple[BackendName, ...] = (),
    evict: tuple[BackendName, ...] = (),
) -> Round:
    """A round over three backends."""
    outlook, doubts = Outlook(15, 15, 1, 90, panic=False), (Doubt(A, "cpu is missing"),)
    lists = ((), (), (), (), release, evict)
    decision = Decision(desired, TERMS, *lists, NO_MARK, outlook, doubts)
    return rounds.add(Observation(REPORTS, 2, 5.0), decision, taken or Taken(), evict, 10)


def test_what_a_round_did_is_named() -> None:
    """Beside the last one: a first one beside the backends that there are."""
    rounds = Rounds()
    everything = Taken((A,), (B,), (C,), (A,))
    done = [
        add(rounds, 3).kinds,
        add(rounds, 4).kinds,
        add(rounds, 4, everything).kinds,
        add(rounds, 3, release=(A,), evict=(B,)).kinds,
        add(rounds, 3, evict=(B,)).kinds,
    ]
    assert done == [
        (Kind.NONE,),
        (Kind.GROW,),
        (Kind.DRAIN, Kind.CANCEL, Kind.REST, Kind.WAKE),
        (Kind.SHRINK, Kind.RELEASE, Kind.EVICT),
        (Kind.NONE,),
    ]
    assert rounds.counts[Kind.NONE] == 2
    assert [each.kinds for each in rounds.changes] == done[1:4]


def test_a_round_is_a_line_of_the_log() -> None:
    """The number, the terms that add something with their reasons, and who is concerned."""
    told = str(add(Rounds(), 3, Taken(drain=(A, B)), release=(C,)))
    assert told == (
        "3 backends, 3 there: sessions +2 (15 sessions, 10 a backend), "
        "forecast +0 (15 ± 1 sessions in 90 s: 19 slots); drain a, b; release c; 1 doubts"
    )


def test_a_round_counts_the_backends_and_their_slots() -> None:
    """Only those that take new sessions have free slots; one that is over its bound has none."""
    done = add(Rounds(), 3)
    assert (done.current, done.free, done.parked, done.utc) == (3, 6, 2, 5.0)
    assert done.states == {BackendState.READY: 1, BackendState.FULL: 1, BackendState.STANDBY: 1}
    rounds = Rounds()
    unbound = rounds.add(Observation(REPORTS), done.decision, Taken(), (), None)
    assert unbound.free is None


def test_only_so_many_rounds_are_kept() -> None:
    """The newest of those that changed something."""
    rounds = Rounds()
    for desired in range(MAX_ROUNDS + 10):
        add(rounds, 10 + desired)
    assert len(rounds.changes) == MAX_ROUNDS
    assert rounds.changes[-1] is rounds.last
