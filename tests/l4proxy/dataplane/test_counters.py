"""Counters: each change is reported once, in reports of bounded size, and none is lost."""

import pytest

from l4proxy.dataplane.counters import (
    ACCEPTED,
    BYTES_DOWN,
    BYTES_UP,
    CHOSEN,
    DIAL_FAILED,
    FORWARDED,
    OTHER,
    REFUSED,
    ROWS_PER_REPORT,
    Counters,
    backend_label,
    choice_parts,
    dial_parts,
)
from l4proxy.messages import Report
from routing import Address, Backend, BackendIndex, BackendName, Forward, PoolName, Why


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


def _forward(pool: str, backend: str) -> Forward:
    found = Backend(BackendName(backend), BackendIndex(0), Address("127.0.0.1", 1))
    return Forward(PoolName(pool), found, Why.SELECTED, ())


def test_labels_of_several_names_come_apart_again() -> None:
    """What is counted for a dial and for a decision is told apart by its parts."""
    counters = Counters()
    forward = _forward("app", "b0")
    counters.dial_failed(forward, "econnrefused")
    counters.forwarded(forward)
    counters.copied(forward, 3, 4)
    report = counters.changes()
    assert report is not None
    labels = {name: label for name, label, _ in report.counters}
    assert dial_parts(labels[DIAL_FAILED]) == (
        backend_label(PoolName("app"), BackendName("b0")),
        "econnrefused",
    )
    assert choice_parts(labels[CHOSEN]) == ("app", "selected")
    assert {labels[FORWARDED], labels[BYTES_UP], labels[BYTES_DOWN]} == {"app/b0"}


def test_backends_that_are_gone_are_forgotten_once_all_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their last counts are reported, then a nought, then their room is free for others."""
    monkeypatch.setattr("l4proxy.dataplane.counters.MOST_COUNTERS", 5)
    counters = Counters()
    for life in range(20):
        forward = _forward("app", f"b{life}")
        counters.forwarded(forward)
        counters.dial_failed(forward, "etimedout")
        label = backend_label(PoolName("app"), forward.backend.name)
        counters.forget({label})
        told = _report(counters)
        assert told[FORWARDED, label] == told[DIAL_FAILED, f"{label}/etimedout"] == 1
        assert _report(counters) == {(FORWARDED, label): 0, (DIAL_FAILED, f"{label}/etimedout"): 0}
        assert _report(counters) == {}
    counters.forwarded(_forward("app", "selected"))  # a decision's label is no backend's
    counters.forget({"app/selected"})
    assert _report(counters)[CHOSEN, "app/selected"] == 21
    assert _report(counters) == {(FORWARDED, "app/selected"): 0}


def _report(counters: Counters) -> dict[tuple[str, str], int]:
    report = counters.changes()
    if report is None:
        return {}
    counters.reported(report)
    return {(name, label): count for name, label, count in report.counters}


def test_a_count_that_was_nought_is_forgotten_too() -> None:
    """A backend that was forgotten before its first report, with no byte copied, leaves nothing."""
    counters = Counters()
    counters.copied(_forward("app", "b0"), 0, 0)
    counters.forget({"app/b0"})
    assert _report(counters) == {(BYTES_UP, "app/b0"): 0, (BYTES_DOWN, "app/b0"): 0}
    assert _report(counters) == {}
    counters.copied(_forward("app", "b0"), 1, 0)
    assert _report(counters) == {(BYTES_UP, "app/b0"): 1, (BYTES_DOWN, "app/b0"): 0}


def test_room_that_becomes_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that was counted together with others gets its own rows as soon as it can."""
    monkeypatch.setattr("l4proxy.dataplane.counters.MOST_COUNTERS", 2)
    counters = Counters()
    first, second = _forward("app", "b0"), _forward("app", "b1")
    for forward in (first, second, second):
        counters.forwarded(forward)
        counters.copied(forward, 1, 1)
    told = _report(counters)
    assert (told[FORWARDED, "app/b0"], told[FORWARDED, OTHER], told[BYTES_UP, OTHER]) == (1, 2, 3)
    counters.forget({"app/b0"})
    assert _report(counters) == {(FORWARDED, "app/b0"): 0}
    monkeypatch.setattr("l4proxy.dataplane.counters.MOST_COUNTERS", 9)
    counters.forwarded(second)
    counters.copied(second, 5, 6)
    told = _report(counters)
    assert [told[name, "app/b1"] for name in (FORWARDED, BYTES_UP, BYTES_DOWN)] == [1, 5, 6]
