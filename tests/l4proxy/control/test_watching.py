"""From what a configuration says of health to what the prober does."""

import pytest

from l4proxy.config import parse_config
from l4proxy.control.probe import Probe, ProbeType
from l4proxy.control.prober import HealthRules
from l4proxy.control.watching import health_rules
from l4proxy.proxy_protocol import HeaderReader, HeaderReceived
from l4proxy.snapshot import ProxyVersion
from routing import BackendName, PoolName
from routing.health import Rules
from sni import ServerName

A, B = BackendName("a"), BackendName("b")
NAME = ServerName.parse("app.example.com")


def rules(pool: str, headers: dict[BackendName, ProxyVersion] | None = None) -> HealthRules | None:
    """The rules of a pool with these settings."""
    text = (
        'listeners: ["127.0.0.1:0"]\nroutes: {app.example.com: app}\n'
        f'pools: {{app: {{backends: ["10.0.0.1:1"], {pool}}}}}\n'
    )
    return health_rules(parse_config(text, "pool").pools[PoolName("app")], headers or {})


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (
            "health: {type: tcp, every: 3s, timeout: 1s, rise: 4, fall: 5}",
            HealthRules(Probe(ProbeType.TCP, 1.0, NAME), 3.0, Rules(4, 5)),
        ),
        ("health: tls", HealthRules(Probe(ProbeType.TLS, 2.0, NAME), 5.0, Rules(2, 3))),
        (
            "server_name: other.example.com, health: tls",
            HealthRules(Probe(ProbeType.TLS, 2.0, ServerName.parse("other.example.com"))),
        ),
        (
            "health: {type: http, path: /well, status: 200-204, tls: false}",
            HealthRules(
                Probe(ProbeType.HTTP, 2.0, NAME, "/well", (200, 204), encrypted=False),
            ),
        ),
        ("health: off", HealthRules(probe=None)),
        ("health: off, passive_health: off", None),
    ],
)
def test_each_setting_reaches_the_prober(pool: str, expected: HealthRules | None) -> None:
    """Every key of `health` is a part of the rules; without probes only dials tell, or nothing."""
    assert rules(pool) == expected


@pytest.mark.parametrize("version", list(ProxyVersion))
def test_a_probe_says_that_it_is_local(version: ProxyVersion) -> None:
    """A backend that expects a PROXY header gets one that names no client; others get none."""
    found = rules("health: tls", {A: version})
    assert found is not None
    plain, told = found.asked(B), found.asked(A)
    assert plain is not None
    assert told is not None
    assert plain.preamble == b""
    reader = HeaderReader()
    reader.receive_data(told.preamble)
    event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    assert event.header.source is None
    assert event.header.version == version
