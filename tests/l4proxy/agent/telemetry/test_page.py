"""Promises of `l4proxy.agent.telemetry.page`: OpenMetrics that others can read."""

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from l4proxy.agent.telemetry.page import page
from l4proxy.agent_metrics import CPU, HTTP_REQUESTS, OPEN_SESSIONS


def families(told: bytes) -> list[Metric]:
    """What Prometheus's own parser finds."""
    parse: Callable[[str], Iterator[Metric]] = text_string_to_metric_families
    return list(parse(told.decode()))


def values(found: list[Metric]) -> dict[str, float]:
    """The value of each sample."""
    return {sample.name: sample.value for family in found for sample in family.samples}


VALUES = {CPU: 0.25, HTTP_REQUESTS: 7, OPEN_SESSIONS: 0, "app_queue": 1e21, "jobs_total": 2.0}


def test_prometheus_reads_it() -> None:
    """Its own parser of OpenMetrics finds every value, counters as counters."""
    found = families(page(VALUES))
    assert values(found) == VALUES
    kinds = {family.name: family.type for family in found}
    assert kinds["l4proxy_agent_http_requests"] == kinds["jobs"] == "counter"
    assert kinds[CPU] == kinds["app_queue"] == "gauge"


def test_it_has_one_form() -> None:
    """In order of the names, and with an end, so that a half of it is told from the whole."""
    assert page({}) == b"# EOF\n"
    assert page({"b": 1, "a_total": 2.5}) == (
        b"# TYPE a counter\na_total 2.5\n# TYPE b gauge\nb 1\n# EOF\n"
    )
