"""The `scaling` block as it is written."""

import pytest

from l4proxy.config import ConfigError
from l4proxy.config.scaling import ScalingSettings
from l4proxy.scaling.hpa import RateLimit
from l4proxy.scaling.policy import FreeSessions, MetricTarget, ScalingPolicy
from l4proxy.scaling.report import CPU, MEMORY, REQUESTS, MetricName
from l4proxy.scaling.settings import read_policy

WHOLE = """
min: 2
max: 20
sessions: {free: 20%, mark: 5, pack: false}
metrics: {cpu: 70%, memory: 80%, requests: 500/s}
custom: {queue: {metric: app_queue_depth, target: 10}}
forecast: {lead: 45s}
standby: 1
actuator: recommend-only
schedules: [{starts: "0 8 * * 1-5", lasts: 10h, min: 8}]
grow: {backends: 2, percent: 50, every: 30s}
shrink: {percent: 20}
stabilisation: 5m
tolerance: 5%
panic: 40%
"""


def test_the_whole_block_is_a_policy() -> None:
    """Each key is where the recommender looks for it."""
    policy = read_policy("text", WHOLE, 500)
    assert (policy.minimum, policy.maximum, policy.standby) == (2, 20, 1)
    assert policy.sessions_per_backend == 500
    assert policy.free == FreeSessions(20)
    assert (policy.wake_below, policy.pack) == (5, False)
    assert policy.metrics == (
        MetricTarget(CPU, 0.7),
        MetricTarget(MEMORY, 0.8),
        MetricTarget(REQUESTS, 500),
        MetricTarget(MetricName("app_queue_depth"), 10),
    )
    assert (policy.forecast, policy.lead) == (True, 45)
    assert policy.schedules[0].minimum == 8
    assert policy.schedules[0].window.active(1_763_972_000)  # a Monday morning
    assert policy.grow == RateLimit(2, 50, 30)
    assert policy.shrink == RateLimit(0, 20, 60)
    assert (policy.stabilisation, policy.tolerance, policy.panic) == (300, 0.05, 0.4)


def test_what_is_left_out_is_as_the_policy_has_it() -> None:
    """The defaults stand in one place."""
    assert read_policy("text", "{}", 100) == ScalingPolicy(sessions_per_backend=100)


@pytest.mark.parametrize(
    ("text", "free"),
    [("12", FreeSessions(12, percent=False)), ("0", FreeSessions(0, percent=False)),
     ("12.5%", FreeSessions(12.5))],
)  # fmt: skip
def test_free_slots_are_a_number_or_per_cent(text: str, free: FreeSessions) -> None:
    """Without a sign it is a number."""
    assert read_policy("text", f"sessions: {{free: {text}}}", 100).free == free


@pytest.mark.parametrize(
    ("text", "measured", "on"),
    [("off", True, False), ("{lead: measured}", True, True), ("{lead: 1m}", False, True)],
)
def test_a_forecast_may_be_switched_off(text: str, measured: bool, on: bool) -> None:
    """Off, or with a lead time of its own, or as measured."""
    policy = read_policy("text", f"forecast: {text}", 100)
    assert (policy.lead is None, policy.forecast) == (measured, on)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mni: 2", "did you mean min?"),
        ("min: x", "expected a whole number"),
        ("min: 3\nmax: 2", "found 3 to 2 backends"),
        ("sessions: {free: many}", "free slots"),
        ("sessions: {free: 95%}", "95 % free"),
        ("sessions: 3", "expected a mapping"),
        ("metrics: {cpu: 101%}", "such as 70%"),
        ("metrics: {cpu: 0.7}", "such as 70%"),
        ("metrics: {requests: 500}", "such as 500/s"),
        ("custom: {q: {metric: a b, target: 1}}", "the name of a metric"),
        ("custom: {q: {metric: a, target: 0}}", "above 0"),
        ("custom: {q: {metric: a}}", "is missing"),
        ("custom: 3", "found 3, expected a mapping"),
        ("schedules: 3", "found 3, expected a list"),
        ("grow: {every: 30s}", "found no growth"),
        ("schedules: [{starts: noon, lasts: 1h, min: 1}]", "minute hour day month weekday"),
        ("drain_timeout: 0s", "a duration from 1s to 168h, or off"),
        ("park: 0s", "a duration from 1s to 5m, or off"),
    ],
)
def test_a_mistake_has_its_place(text: str, said: str) -> None:
    """What cannot be used is told with what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        read_policy("text", text, 100)
    assert said in str(caught.value)
    assert str(caught.value).startswith("text:")


def test_sessions_stay_and_hellos_wait_as_long_as_it_says() -> None:
    """By default sessions stay until they end, and hellos wait for ten seconds."""
    usual = ScalingSettings()
    assert (usual.drain_timeout, usual.park, usual.actuator.name) == (None, 10, "recommend-only")
    assert read_policy("text", "drain_timeout: 1h", 100).drain_timeout == 3600
    assert ScalingSettings.model_validate({"park": "off"}).park is None


def test_it_names_the_gauges_that_it_needs() -> None:
    """Those of the operator's own have to be looked for in telemetry."""
    custom = {"queue": {"metric": "app_queue_depth", "target": 10}}
    found = ScalingSettings.model_validate({"custom": custom}).custom_metrics
    assert found == (MetricName("app_queue_depth"),)


def test_it_can_be_written_out_again() -> None:
    """A dumped block is a block."""
    first = ScalingSettings.model_validate({"min": 2, "sessions": {"free": "20%"}})
    second = ScalingSettings.model_validate(
        first.model_dump(exclude={"forecast", "grow", "shrink"})
    )
    assert second == first
