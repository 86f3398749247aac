"""How a family of metrics is made: the product's name in front, samples behind."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Label values, and the value."""


def single(samples: Iterable[tuple[str, int]]) -> Samples:
    """Return samples with one label."""
    return [((label,), count) for label, count in samples]


def counter(
    name: str, promise: str, labels: tuple[str, ...], samples: Samples
) -> CounterMetricFamily:
    """Return a counter; its name ends in `_total` by itself."""
    family = CounterMetricFamily(f"l4proxy_{name}", promise, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family


def gauge(name: str, promise: str, labels: tuple[str, ...], samples: Samples) -> GaugeMetricFamily:
    """Return a gauge."""
    family = GaugeMetricFamily(f"l4proxy_{name}", promise, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
