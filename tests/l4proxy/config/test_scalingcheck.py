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


def scaled(*actuators: str) -> str:
    """A configuration with a pool for each of these actuators: app, b1, b2 and on."""
    names = ["app", *(f"b{number}" for number in range(1, len(actuators)))]
    pools = [
        f"  {name}: {{backends: [10.0.0.1:{443 + number}], capacity: {{sessions_per_backend: 9}},"
        f" server_name: a.b, scaling: {{actuator: {actuator}}}}}"
        for number, (name, actuator) in enumerate(zip(names, actuators, strict=True))
    ]
    routes = ", ".join(f"{name}.example.com: {name}" for name in names)
    return "\n".join(["listeners: [127.0.0.1:8443]", f"routes: {{{routes}}}", "pools:", *pools, ""])


@pytest.mark.parametrize(
    ("first", "second", "held"),
    [
        ("scale: deployments/x", "scale: statefulsets/x", "the Lease l4proxy-x"),
        ("scale: deployments/x, lease: y", "scale: deployments/z, lease: y", "the Lease y"),
        (
            "scale: deployments/x, namespace: n, kubeconfig: /k",
            "scale: deployments/x, namespace: n, kubeconfig: /k",
            "the Lease l4proxy-x in namespace n by /k",
        ),
    ],
)
def test_a_lease_is_held_for_one_pool(first: str, second: str, held: str) -> None:
    """Of two pools with the same one, one would be scaled by nobody."""
    said = messages_of(scaled(f"{{kubernetes: {{{first}}}}}", f"{{kubernetes: {{{second}}}}}"))
    assert "pools.b1.scaling.actuator: " in said
    assert f"pools app and b1 both hold {held}, and only one of them can" in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("scale: deployments/x", "scale: deployments/y"),
        ("scale: deployments/x", "scale: deployments/x, namespace: other"),
        ("scale: deployments/x, lease: off", "scale: deployments/x, lease: off"),
    ],
)
def test_pools_with_leases_of_their_own_are_taken(first: str, second: str) -> None:
    """By name or namespace; and without one, nothing is held."""
    assert parse(scaled(f"{{kubernetes: {{{first}}}}}", f"{{kubernetes: {{{second}}}}}")).pools
