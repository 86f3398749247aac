"""The metrics of scaling: of each scaled pool, with labels from the program alone."""

from prometheus_client.metrics_core import Metric

from l4proxy.control.scaling import Kind
from l4proxy.scaling import BackendState, ScalingPolicy
from l4proxy.telemetry.scaling import scaling_metrics
from tests.l4proxy.control.scaling.stand import APP, Stand, configured
from tests.l4proxy.telemetry.fake import FakeBalancer


def families(stand: Stand | None) -> dict[str, Metric]:
    """The families of a balancer with this pool."""
    balancer = FakeBalancer()
    if stand is not None:
        balancer.scaling.pools = {APP: stand.scaler}
    return {
        family.name.removeprefix("l4proxy_scaling_"): family for family in scaling_metrics(balancer)
    }


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Samples by their labels."""
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_pools_that_are_not_scaled_have_no_series() -> None:
    """The families are there, and empty."""
    assert not any(family.samples for family in families(None).values())


async def test_before_the_first_round_only_counters_are_there() -> None:
    """With their zeros."""
    found = families(Stand(configured()))
    assert [name for name, family in found.items() if family.samples] == [
        "decisions",
        "actuator_failures",
    ]
    assert set(values(found["decisions"]).values()) == {0.0}


async def test_a_round_is_counted_and_its_numbers_are_shown() -> None:
    """Every state and every kind has its series, with zero where there is none."""
    stand = Stand(configured("{sessions: {pack: false}}"))
    stand.sessions(a=9, b=9, c=10)
    stand.orders.failures = 2
    stand.round()
    stand.round()
    found = families(stand)
    assert values(found["desired"]) == {("app",): 4}
    assert values(found["free_sessions"]) == {("app",): 2}
    assert values(found["parked"]) == {("app",): 0}
    states = values(found["backends"])
    assert (states["app", "ready"], states["app", "full"], len(states)) == (2, 1, len(BackendState))
    assert values(found["forecast_sessions"]) == {("app",): 28}
    assert values(found["forecast_error"]) == {("app",): 0}
    assert values(found["lead_seconds"]) == {("app",): 120}
    kinds = values(found["decisions"])
    assert (kinds["app", "grow"], kinds["app", "none"], len(kinds)) == (1, 1, len(Kind))
    assert values(found["actuator_failures"]) == {("app",): 2}


async def test_a_pool_without_slots_has_no_free_ones() -> None:
    """No series is better than an invented number."""
    stand = Stand(configured())
    stand.scaler.policy = ScalingPolicy()
    stand.round()
    assert not families(stand)["free_sessions"].samples
