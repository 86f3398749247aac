"""Totals: over all workers and all their lives, never falling, never without bound."""

import pytest

from l4proxy.control import totals as module
from l4proxy.control.totals import Totals
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


def test_a_worker_that_counts_backwards_lowers_nothing() -> None:
    """A total never falls, whatever a worker reports."""
    totals = Totals()
    totals.take(0, report(("accepted", "", 5)))
    totals.take(0, report(("accepted", "", 2)))
    assert totals.count("accepted") == 5


def test_inventing_counters_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound new counters are left out and counted; those that are known go on."""
    monkeypatch.setattr(module, "MAX_COUNTERS", 10)
    totals = Totals()
    for life in range(3):
        totals.take(0, report(*[("refused", f"{life}-{number}", 1) for number in range(15)]))
        totals.take(0, report(("refused", f"{life}-0", 2)))
        totals.close(0)
    assert len(list(totals)) == 10
    assert totals.count("refused", "0-0") == 2
    assert totals.ignored == 3 * 5 + 2 * 10
