"""Tests of what the totals say of backends."""

from l4proxy.control.dials import DialFeed, Dials
from l4proxy.dataplane.counters import ACCEPTED, DIAL_FAILED, FORWARDED
from routing import BackendName, PoolName

APP = PoolName("app")
A, B = BackendName("10.0.0.1:443"), BackendName("b")
POOLS = {APP: (A, B)}


def test_only_what_is_new_counts() -> None:
    """Totals only grow; a backend that was not dialled since the last look is not named."""
    feed = DialFeed()
    first = [(FORWARDED, f"app/{A}", 10), (FORWARDED, "app/b", 3), (ACCEPTED, "", 13)]
    assert feed.news(first, POOLS) == (Dials(APP, A, 10, 0), Dials(APP, B, 3, 0))
    later = [(FORWARDED, f"app/{A}", 12), (FORWARDED, "app/b", 3)]
    assert feed.news(later, POOLS) == (Dials(APP, A, 2, 0),)
    assert feed.news(later, POOLS) == ()


def test_failures_of_all_reasons_add_up() -> None:
    """Why a backend could not be dialled does not matter."""
    totals = [
        (DIAL_FAILED, f"app/{A}/econnrefused", 2),
        (DIAL_FAILED, f"app/{A}/etimedout", 3),
        (FORWARDED, f"app/{A}", 1),
    ]
    assert DialFeed().news(totals, POOLS) == (Dials(APP, A, 1, 5),)


def test_what_this_machine_lacks_is_no_failure_of_a_backend() -> None:
    """A worker that is out of descriptors or ports blames nobody."""
    totals = [(DIAL_FAILED, "app/b/emfile", 9), (DIAL_FAILED, "app/b/eaddrnotavail", 9)]
    assert DialFeed().news(totals, POOLS) == ()


def test_labels_of_others_are_passed_over() -> None:
    """A label from an older configuration, or none of ours, names no backend."""
    totals = [(FORWARDED, "gone/b", 1), (DIAL_FAILED, "nonsense", 1), (DIAL_FAILED, "app/c/x", 1)]
    assert DialFeed().news(totals, POOLS) == ()
