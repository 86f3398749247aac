"""Counters: each change is reported once, in reports of bounded size, and none is lost."""

import pytest

from l4proxy.dataplane.counters import ACCEPTED, OTHER, REFUSED, ROWS_PER_REPORT, Counters
from l4proxy.messages import Report


def test_nothing_counted_is_nothing_reported() -> None:
    """Without a change there is no report."""
    counters = Counters()
    assert counters.changes() is None


def test_changes_are_reported_once() -> None:
    """A report holds what changed since the one before, with its count since the start."""
    counters = Counters()
    counters.add(ACCEPTED)
    counters.add(ACCEPTED)
    counters.add(REFUSED, "not_tls", 5)
    report = counters.changes()
    assert report == Report((("accepted", "", 2), ("refused", "not_tls", 5)))
    counters.reported(report)
    assert counters.changes() is None
    counters.add(ACCEPTED)
    assert counters.changes() == Report((("accepted", "", 3),))


def test_a_report_that_was_dropped_is_made_again() -> None:
    """Only what was noted as on its way is left out."""
    counters = Counters()
    counters.add(ACCEPTED)
    assert counters.changes() == counters.changes() == Report((("accepted", "", 1),))


def test_a_large_report_comes_in_parts() -> None:
    """More rows than fit one report follow in the next."""
    counters = Counters()
    for number in range(ROWS_PER_REPORT + 10):
        counters.add(REFUSED, f"{number}")
    heard: list[tuple[str, str, int]] = []
    sizes = []
    while (report := counters.changes()) is not None:
        sizes.append(len(report.counters))
        heard += report.counters
        counters.reported(report)
    assert sizes == [ROWS_PER_REPORT, 10]
    assert len(set(heard)) == ROWS_PER_REPORT + 10


def test_what_finds_no_counter_of_its_own_is_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many labels come, the table has a bound, and nothing is lost from the sum."""
    monkeypatch.setattr("l4proxy.dataplane.counters.MOST_COUNTERS", 2)
    counters = Counters()
    for label in ("a", "b", "c", "d", "a"):
        counters.add("forwarded", label)
    report = counters.changes()
    assert report is not None
    assert sorted(report.counters) == [
        ("forwarded", OTHER, 2),
        ("forwarded", "a", 2),
        ("forwarded", "b", 1),
    ]
