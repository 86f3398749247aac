"""The metrics of health and discovery: bounded in number, whatever a backend or resolver says."""

from l4proxy.control.discovery import DnsFault, DnsStatistics, KubernetesStatistics
from l4proxy.control.found import Phase
from l4proxy.control.membership import SourceName
from l4proxy.kubernetes import ApiFault
from l4proxy.telemetry.health import health_metrics
from routing import BackendName, PoolName
from routing.health import HealthReason, Verdict
from tests.l4proxy.telemetry.fake import FakeBalancer

APP = PoolName("app")
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(balancer: FakeBalancer) -> Samples:
    """Every sample, by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in health_metrics(balancer)
        for sample in family.samples
    }


def test_nothing_is_said_of_pools_that_nobody_watches() -> None:
    """A pool without health has no series; there is no guess."""
    assert samples(FakeBalancer()) == {}


def test_verdicts_are_shown() -> None:
    """1 for a backend that answers, 0 for one that does not."""
    balancer = FakeBalancer()
    balancer.roster.held = {
        (APP, BackendName("a")): Verdict(True, HealthReason.ANSWERS),
        (APP, BackendName("b")): Verdict(False, HealthReason.PROBES_FAILED),
    }
    assert samples(balancer) == {
        ("l4proxy_backend_healthy", ("app", "a")): 1,
        ("l4proxy_backend_healthy", ("app", "b")): 0,
    }


def test_outcomes_are_counted_without_their_numbers() -> None:
    """A backend that answers with every status there is makes one series."""
    balancer = FakeBalancer()
    balancer.roster.probes = [
        (APP, "", 7),
        (APP, "refused", 2),
        (APP, "http_status:500", 1),
        (APP, "http_status:503", 3),
    ]
    assert samples(balancer) == {
        ("l4proxy_probes_total", ("app", "answered")): 7,
        ("l4proxy_probes_total", ("app", "refused")): 2,
        ("l4proxy_probes_total", ("app", "http_status")): 4,
    }


def test_sources_show_their_age_and_faults() -> None:
    """A source that was never confirmed has no age; every fault is there with its zero."""
    balancer = FakeBalancer()
    old = DnsStatistics(2, 1.5, None, 3, 1, {DnsFault.TIMEOUT: 4}, {}, 0, 0)
    new = DnsStatistics(0, None, DnsFault.EMPTY, 3, 0, {}, {}, 0, 0)
    balancer.roster.found = [(APP, SourceName("old:1"), old), (APP, SourceName("new:1"), new)]
    found = samples(balancer)
    assert found["l4proxy_dns_addresses", ("app", "old:1")] == 2
    assert found["l4proxy_dns_age_seconds", ("app", "old:1")] == 1.5
    assert ("l4proxy_dns_age_seconds", ("app", "new:1")) not in found
    assert found["l4proxy_dns_faults_total", ("app", "old:1", "timeout")] == 4
    assert sum(name == "l4proxy_dns_faults_total" for name, _ in found) == 2 * len(DnsFault)


def test_services_show_their_endpoints_and_faults() -> None:
    """Each phase and each fault is there with its zero; one that was never heard of has no age."""
    balancer = FakeBalancer()
    faults = {ApiFault.GONE: 4}
    old = KubernetesStatistics(2, {Phase.HELD: 2}, 1.5, None, faults, 1, {}, 0, 0)
    new = KubernetesStatistics(0, {}, None, ApiFault.FORBIDDEN, {}, 1, {}, 0, 0)
    balancer.roster.found = [(APP, SourceName("old"), old), (APP, SourceName("new"), new)]
    found = samples(balancer)
    assert found["l4proxy_kubernetes_endpoints", ("app", "old", "held")] == 2
    assert found["l4proxy_kubernetes_endpoints", ("app", "new", "eligible")] == 0
    assert found["l4proxy_kubernetes_age_seconds", ("app", "old")] == 1.5
    assert ("l4proxy_kubernetes_age_seconds", ("app", "new")) not in found
    assert found["l4proxy_kubernetes_faults_total", ("app", "old", "gone")] == 4
    assert sum(name == "l4proxy_kubernetes_faults_total" for name, _ in found) == 2 * len(ApiFault)
    assert not any("dns" in name for name, _ in found)
