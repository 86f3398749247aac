"""The load that backends claim: fresh, within bounds, or not at all."""

import math

import pytest

from l4proxy.config import parse_config
from l4proxy.control.scaling.loads import FRESH_SECONDS, claimed_load
from l4proxy.scaling import CPU, MEMORY, REQUESTS, Reading
from tests.l4proxy.control.scaling.stand import APP

TEXT = """
listeners: ["127.0.0.1:1"]
routes: {a.b: app}
pools:
  app:
    backends: ["127.0.0.1:1"]
    balance: load
    telemetry: {url: "http://{host}:9/m", every: 5s}
    scaling: {metrics: {requests: 200/s}}
"""
SETTINGS = parse_config(TEXT, "loads").pools[APP]


@pytest.mark.parametrize(
    ("cpu", "requests", "load"),
    [
        (0.5, None, 0.5),
        (0.52, 10.0, 0.5),
        (0.2, 150.0, 0.75),
        (7.0, None, 1.0),
        (None, 1e300, 1.0),
        (math.nan, None, None),
        (-0.5, None, None),
        (math.nan, 20.0, 0.1),
        (math.inf, None, 1.0),
        (None, None, None),
    ],
)
def test_what_uses_most_counts(
    cpu: float | None, requests: float | None, load: float | None
) -> None:
    """Processors, or requests beside their target; what is no number claims nothing."""
    found = {CPU: cpu, REQUESTS: requests, MEMORY: 0.99}
    readings = {name: Reading(value, 1.0) for name, value in found.items() if value is not None}
    assert claimed_load(readings, SETTINGS) == (None if load is None else pytest.approx(load))


@pytest.mark.parametrize(
    ("every", "age", "known"),
    [("5s", FRESH_SECONDS, True), ("5s", 15.1, False), ("1m", 180.0, True), ("5s", -1.0, False)],
)
def test_a_claim_ages(every: str, age: float, known: bool) -> None:
    """One that is old claims nothing; where scrapes are rare it may be older."""
    settings = parse_config(TEXT.replace("every: 5s", f"every: {every}"), "loads").pools[APP]
    assert (claimed_load({CPU: Reading(0.5, age)}, settings) is not None) is known


def test_without_telemetry_nothing_is_claimed() -> None:
    """Nor is there a target of requests without scaling."""
    plain = SETTINGS.model_copy(update={"scaling": None})
    assert claimed_load({REQUESTS: Reading(9.0, 1.0)}, plain) is None
    assert claimed_load({CPU: Reading(0.5, 1.0)}, plain) == pytest.approx(0.5)
    assert (
        claimed_load({CPU: Reading(0.5, 1.0)}, plain.model_copy(update={"telemetry": None})) is None
    )
