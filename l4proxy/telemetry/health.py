"""The metrics of what the supervisor knows of backends: who is well, what probes say and others."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from l4proxy.control.discovery import DnsFault, DnsStatistics, KubernetesStatistics
from l4proxy.control.found import Phase
from l4proxy.kubernetes import ApiFault
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.families import counter, gauge
from routing import PoolName

ANSWERED = "answered"
"""The outcome of a probe that found nothing wrong."""

# Behind it stands a number or a name that would make a label of its own.
_DETAIL = ":"


def health_metrics(balancer: Balancer) -> Iterator[Metric]:
    """Yield each metric family with its samples."""
    yield _healthy(balancer)
    yield _probes(balancer)
    yield from _dns(balancer)
    yield from _kubernetes(balancer)


def _healthy(balancer: Balancer) -> Metric:
    family = gauge(
        "backend_healthy",
        "Whether a backend of a pool that is watched answers (1) or not (0).",
        ("pool", "backend"),
        (),
    )
    for pool in balancer.snapshot.pools.pools:
        for name, verdict in balancer.roster.verdicts(pool).items():
            family.add_metric((pool, name), verdict.healthy)
    return family


def _probes(balancer: Balancer) -> Metric:
    counts: Counter[tuple[PoolName, str]] = Counter()
    for pool, fault, count in balancer.roster.outcomes():
        counts[pool, fault.partition(_DETAIL)[0] or ANSWERED] += count
    return counter(
        "probes", "Probes that have ended, by what came of them.", ("pool", "outcome"),
        counts.items(),
    )  # fmt: skip


def _dns(balancer: Balancer) -> Iterator[Metric]:
    labels = ("pool", "source")
    addresses = gauge("dns_addresses", "Addresses found under a name.", labels, ())
    age = gauge(
        "dns_age_seconds", "Since all addresses of a name were confirmed; none: never.", labels, ()
    )
    faults = counter(
        "dns_faults", "Questions that brought no address, by why.", (*labels, "fault"), ()
    )
    for pool, source, seen in balancer.roster.discoveries():
        if not isinstance(seen, DnsStatistics):
            continue
        addresses.add_metric((pool, source), seen.addresses)
        if seen.age is not None:
            age.add_metric((pool, source), seen.age)
        for fault in DnsFault:
            faults.add_metric((pool, source, fault.value), seen.faults.get(fault, 0))
    yield from (addresses, age, faults)


def _kubernetes(balancer: Balancer) -> Iterator[Metric]:
    labels = ("pool", "source")
    endpoints = gauge(
        "kubernetes_endpoints",
        "Endpoints of a Service, by what they are ready for.",
        (*labels, "phase"),
        (),
    )
    age = gauge(
        "kubernetes_age_seconds", "Since the API was last heard of; none: never.", labels, ()
    )
    faults = counter(
        "kubernetes_faults", "Questions to the API that failed, by why.", (*labels, "fault"), ()
    )
    for pool, source, seen in balancer.roster.discoveries():
        if not isinstance(seen, KubernetesStatistics):
            continue
        for phase in Phase:
            endpoints.add_metric((pool, source, phase.value), seen.phases.get(phase, 0))
        if seen.age is not None:
            age.add_metric((pool, source), seen.age)
        for fault in ApiFault:
            faults.add_metric((pool, source, fault.value), seen.faults.get(fault, 0))
    yield from (endpoints, age, faults)
