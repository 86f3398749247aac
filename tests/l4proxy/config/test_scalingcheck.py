"""What scaling, telemetry and the rest of a pool ask of each other."""

import pytest

from tests.l4proxy.config.texts import messages_of, parse, with_pool

SLOTS = "capacity: {sessions_per_backend: 9}"
TELEMETRY = "telemetry: {url: 'http://{host}:9/m'}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("scaling: {max: 5}", "6:5: pools.app.scaling: has nothing to scale by"),
        ("scaling: {sessions: {free: 3}}", "6:15: pools.app.scaling.sessions: needs `capacity:"),
        ("scaling: {standby: 1}", "6:15: pools.app.scaling.standby: needs `capacity:"),
        ("scaling: {metrics: {cpu: 70%}}", "6:15: pools.app.scaling.metrics: needs `telemetry`"),
        (
            "scaling: {custom: {q: {metric: q, target: 1}}}",
            "6:15: pools.app.scaling.custom: needs `telemetry` of this pool, which is off",
        ),
        (f"{SLOTS}\nscaling: {{min: 3, max: 2}}", "7:5: pools.app.scaling: found 3 to 2 backends"),
        (f"{SLOTS}\nscaling: {{max: 2, standby: 3}}", "found 3 on standby, expected 0 to 2"),
        ("balance: load", "6:5: pools.app.balance: load needs `telemetry`"),
        ("telemetry: {url: 'https://{host}:9/m'}", "6:17: pools.app.telemetry.url: without"),
        (f"scaling: {{actuator: nobody}}\n{SLOTS}", "6:25: pools.app.scaling.actuator: found"),
        ("scaling: on", "6:14: pools.app.scaling: found true, expected a mapping {min, max"),
    ],
)
def test_what_contradicts_is_told_where_it_stands(settings: str, said: str) -> None:
    """Nothing that is written down does nothing."""
    assert said in messages_of(with_pool(settings))


@pytest.mark.parametrize(
    "settings",
    [
        f"{SLOTS}\nscaling: {{standby: 1}}",
        f"{TELEMETRY}\nscaling: {{metrics: {{cpu: 70%}}}}",
        f"{TELEMETRY}\nbalance: load",
        "scaling: {schedules: [{starts: 0 8 * * *, lasts: 1h, min: 3}]}",
        "scaling: off\ntelemetry: off",
    ],
)
def test_what_fits_together_is_taken(settings: str) -> None:
    """Sessions, metrics or hours of the day: each is enough to scale by."""
    assert parse(with_pool(settings)).pools
