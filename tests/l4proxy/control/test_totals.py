"""Totals: over all workers and all their lives, never falling, never without bound."""

import pytest

from l4proxy.control import totals as module
from l4proxy.control.totals import Totals
from l4proxy.dataplane.counters import OTHER
from l4proxy.messages import Report


def report(*rows: tuple[str, str, int]) -> Report:
    """A report of these rows."""
    return Report(rows)


def test_workers_are_added_up() -> None:
    """A total is the sum over workers; a later report replaces an earlier one of its worker."""
    totals = Totals()
    totals.take(0, report(("accepted", "", 3)))
    totals.take(1, report(("accepted", "", 4), ("refused", "not_tls", 1)))
    totals.take(0, report(("accepted", "", 5)))
    assert totals.count("accepted") == 9
    assert totals.count("refused", "not_tls") == 1
    assert totals.count("refused") == 0
    assert list(totals) == [("accepted", "", 9), ("refused", "not_tls", 1)]


def test_what_an_ended_worker_counted_stays() -> None:
    """A successor starts at nothing, and the total goes on from where it was."""
    totals = Totals()
    totals.take(0, report(("accepted", "", 5)))
    totals.close(0)
    assert totals.count("accepted") == 5
    totals.take(0, report(("accepted", "", 1)))
    assert totals.count("accepted") == 6
    totals.close(0)
    totals.close(0)
    assert list(totals) == [("accepted", "", 6)]


def test_what_ended_is_there_no_more() -> None:
    """Of two counters whose difference is a state, only those of running workers count."""
    totals = Totals()
    totals.take(0, report(("parked", "app", 3), ("unparked", "app", 1)))
    totals.take(1, report(("parked", "app", 2)))
    totals.close(0)
    assert (totals.running("parked", "app"), totals.running("unparked", "app")) == (2, 0)
    assert totals.count("parked", "app") == 5


def test_a_worker_that_counts_backwards_lowers_nothing() -> None:
    """A total never falls, whatever a worker reports."""
    totals = Totals()
    totals.take(0, report(("accepted", "", 5)))
    totals.take(0, report(("accepted", "", 2)))
    assert totals.count("accepted") == 5


def test_inventing_counters_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound new ones are left out or counted together; those that are known go on."""
    monkeypatch.setattr(module, "MAX_COUNTERS", 10)
    totals = Totals()
    for life in range(3):
        totals.take(0, report(*[("refused", f"{life}-{number}", 1) for number in range(15)]))
        totals.take(0, report(("refused", f"{life}-0", 2)))
        totals.close(0)
    assert len(list(totals)) == 11
    assert totals.count("refused", "0-0") == 2
    assert totals.count("refused", OTHER) == 2 * (2 + 9)
    assert totals.ignored == 3 * 5


def test_names_that_nothing_is_counted_under_are_left_out() -> None:
    """A worker makes up no counter, neither while it runs nor as the label of what ended."""
    totals = Totals()
    totals.take(0, report(("invented", "", 5), ("invented", "", 0), ("accepted", "", 1)))
    totals.close(0)
    assert list(totals) == [("accepted", "", 1)]
    assert totals.ignored == 2


def test_what_a_worker_forgets_moves_and_no_sum_falls() -> None:
    """The counts of a backend that is gone go on under another label, those of the ended too."""
    totals = Totals()
    seen = []

    def look() -> None:
        seen.append(sum(count for name, _, count in totals if name == "forwarded"))

    totals.take(0, report(("forwarded", "app/b0", 3)))
    totals.close(0)
    totals.take(0, report(("forwarded", "app/b0", 4), ("forwarded", "app/b1", 1)))
    look()
    totals.take(0, report(("forwarded", "app/b0", 0)))
    look()
    assert list(totals) == [("forwarded", OTHER, 7), ("forwarded", "app/b1", 1)]
    totals.take(0, report(("forwarded", "app/b0", 2)))  # it has come back
    look()
    totals.take(0, report(("forwarded", "app/b0", 0)))
    totals.close(0)
    look()
    assert totals.count("forwarded", OTHER) == 9
    assert seen == [8, 8, 10, 10]


def test_backends_that_come_and_go_leave_room_for_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many there were, each new one is counted under its own label while it is there."""
    monkeypatch.setattr(module, "MAX_COUNTERS", 3)
    totals = Totals()
    for life in range(50):
        totals.take(0, report(("forwarded", f"app/b{life}", 1)))
        assert totals.count("forwarded", f"app/b{life}") == 1
        totals.take(0, report(("forwarded", f"app/b{life}", 0)))
    assert totals.ignored == 0
    assert list(totals) == [("forwarded", OTHER, 50)]


def test_what_runs_now_is_counted_apart() -> None:
    """What a worker held ends with it: of two counters that make a gauge both are let go."""
    totals = Totals()
    totals.take(0, report(("parked", "app", 3)))
    totals.take(1, report(("parked", "app", 2)))
    totals.close(0)
    assert (totals.count("parked", "app"), totals.running("parked", "app")) == (5, 2)
    assert totals.running("parked", "other") == 0
