"""The nouns of an observation."""

from l4proxy.scaling.report import COMING, BackendReport, BackendState, Observation
from routing import BackendName


def test_those_that_come_do_not_serve_yet() -> None:
    """Booting and attesting are the states before the first session."""
    assert {BackendState.BOOTING, BackendState.ATTESTING} == COMING


def test_a_report_shares_nothing() -> None:
    """Two reports without metrics have nothing in common that one could change for the other."""
    one, other = (BackendReport(BackendName(name), BackendState.READY) for name in "ab")
    assert one.metrics is not other.metrics
    assert Observation((one, other)).parked == 0
