"""The page of metrics: names, labels, zeros, formats."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from l4proxy.dataplane import counters as names
from l4proxy.refusal import labels
from l4proxy.telemetry.metrics import exposition
from l4proxy.version import VERSION
from tests.l4proxy.telemetry.fake import FakeBalancer

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

NAMES = {
    "l4proxy_access_log_dropped_total": {"where"},
    "l4proxy_accept_pauses_total": {"reason"},
    "l4proxy_backend_connections": {"pool", "backend"},
    "l4proxy_backend_draining": {"pool", "backend"},
    "l4proxy_backend_eligible": {"pool", "backend"},
    "l4proxy_backend_sessions": {"pool", "backend"},
    "l4proxy_build_info": {"version"},
    "l4proxy_connections_accepted_total": set(),
    "l4proxy_connections_ended_total": {"ending"},
    "l4proxy_connections_forwarded_total": {"pool", "backend"},
    "l4proxy_connections_open": set(),
    "l4proxy_connections_refused_total": {"reason"},
    "l4proxy_counters_ignored_total": set(),
    "l4proxy_decisions_total": {"pool", "why"},
    "l4proxy_dial_failures_total": {"pool", "backend", "reason"},
    "l4proxy_internal_failures_total": {"error"},
    "l4proxy_relayed_bytes_total": {"pool", "backend", "direction"},
    "l4proxy_revocations": set(),
    "l4proxy_resumptions_total": {"pool", "why", "outcome"},
    "l4proxy_snapshot_version": set(),
    "l4proxy_worker_deaths_total": set(),
    "l4proxy_workers": {"state"},
}


def samples(balancer: FakeBalancer) -> Samples:
    """Every sample of the page, as a scraper reads it."""
    page, _ = exposition(balancer, "")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


ROWS = [
    (names.ACCEPTED, "", 11),
    (names.FORWARDED, "app/a", 5),
    (names.BYTES_UP, "app/a", 7),
    (names.BYTES_DOWN, "app/a", 9),
    (names.DIAL_FAILED, "app/b/econnrefused", 2),
    (names.FAILURES, "KeyError", 1),
    (names.CHOSEN, "app/selected", 4),
]


def test_names_and_labels_are_the_promised_ones() -> None:
    """Dashboards are built on these names and labels; a change breaks them."""
    found: dict[str, set[str]] = {}
    for name, pairs in samples(FakeBalancer(rows=ROWS)):
        found.setdefault(name, set()).update(label for label, _ in pairs)
    assert found == NAMES


@pytest.mark.parametrize(
    ("name", "pairs", "value"),
    [
        ("connections_accepted_total", {}, 11),
        ("connections_open", {}, 6),
        ("connections_forwarded_total", {"pool": "app", "backend": "a"}, 5),
        ("connections_forwarded_total", {"pool": "app", "backend": "b"}, 0),
        ("relayed_bytes_total", {"pool": "app", "backend": "a", "direction": "to_backend"}, 7),
        ("relayed_bytes_total", {"pool": "app", "backend": "a", "direction": "to_client"}, 9),
        ("dial_failures_total", {"pool": "app", "backend": "b", "reason": "econnrefused"}, 2),
        ("decisions_total", {"pool": "app", "why": "selected"}, 4),
        ("internal_failures_total", {"error": "KeyError"}, 1),
        ("backend_connections", {"pool": "app", "backend": "b"}, 6),
        ("backend_eligible", {"pool": "app", "backend": "b"}, 1),
        ("workers", {"state": "ready"}, 1),
        ("workers", {"state": "starting"}, 1),
        ("workers", {"state": "missing"}, 1),
        ("worker_deaths_total", {}, 3),
        ("snapshot_version", {}, 3),
        ("build_info", {"version": VERSION}, 1),
    ],
)
def test_values_are_those_of_the_balancer(name: str, pairs: dict[str, str], value: float) -> None:
    """Each metric shows what was counted, and zero for what was not."""
    balancer = FakeBalancer(rows=ROWS)
    balancer.load.cells[1] = 6
    assert samples(balancer)[f"l4proxy_{name}", tuple(sorted(pairs.items()))] == value


def test_a_full_backend_is_not_eligible() -> None:
    """The gauge follows the one function that decides eligibility."""
    balancer = FakeBalancer()
    balancer.load.cells[0] = 10
    key = (("backend", "a"), ("pool", "app"))
    assert samples(balancer)["l4proxy_backend_eligible", key] == 0


def test_every_refusal_has_its_zero() -> None:
    """A rate over a reason works before the first refusal."""
    found = samples(FakeBalancer())
    for label in labels():
        assert found["l4proxy_connections_refused_total", (("reason", label),)] == 0


def test_the_format_is_negotiated() -> None:
    """A scraper that asks for OpenMetrics gets it, any other the text format."""
    plain, plain_type = exposition(FakeBalancer(), "text/html")
    strict, strict_type = exposition(FakeBalancer(), "application/openmetrics-text; version=1.0.0")
    assert plain_type.startswith("text/plain")
    assert strict_type.startswith("application/openmetrics-text")
    assert strict.endswith(b"# EOF\n")
    assert not plain.endswith(b"# EOF\n")
