"""From what a configuration says of health to what the prober does."""

from pathlib import Path

import pytest

from l4proxy.config import Config, EvidenceSource, PoolSettings, parse_config
from l4proxy.control.attesting.policies import load_policies
from l4proxy.control.probe import Probe, ProbeType
from l4proxy.control.prober import HealthRules
from l4proxy.control.tickets.subject import TicketRules
from l4proxy.control.watching import attestation_rules, health_rules, ticket_rules
from l4proxy.proxy_protocol import HeaderReader, HeaderReceived
from l4proxy.snapshot import ProxyVersion
from routing import BackendName, PoolName
from routing.health import Rules
from sni import ServerName
from tests.l4proxy.control.attesting.enclave import write_policy

A, B = BackendName("a"), BackendName("b")
NAME = ServerName.parse("app.example.com")


def rules(pool: str, headers: dict[BackendName, ProxyVersion] | None = None) -> HealthRules | None:
    """The rules of a pool with these settings."""
    return health_rules(settings(pool), headers or {})


def settings(pool: str) -> PoolSettings:
    """A pool with these settings."""
    return whole(pool).pools[PoolName("app")]


def whole(pool: str) -> Config:
    """A configuration whose pool has these settings."""
    text = (
        'listeners: ["127.0.0.1:0"]\nroutes: {app.example.com: app}\n'
        f'pools: {{app: {{backends: ["10.0.0.1:1"], {pool}}}}}\n'
    )
    return parse_config(text, "pool")


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


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("balance: affinity", TicketRules(NAME)),
        (
            "sticky: {tickets: true}, server_name: b.example",
            TicketRules(ServerName.parse("b.example")),
        ),
        ("sticky: {tickets: false}", None),
        ("sticky: off", None),
    ],
)
def test_tickets_are_asked_for_unless_switched_off(pool: str, expected: TicketRules | None) -> None:
    """By the name that probes ask for too; a pool without stickiness is left alone."""
    assert ticket_rules(settings(pool), {}) == expected


def test_an_interview_says_that_it_is_local() -> None:
    """A backend that expects a PROXY header gets the one that a probe sends."""
    headers = {A: ProxyVersion.V2}
    asked, probed = ticket_rules(settings("health: tls"), headers), rules("health: tls", headers)
    assert asked is not None
    assert probed is not None
    assert asked.preambles == probed.preambles
    assert asked.preambles.keys() == {A}


def test_a_pool_is_attested_as_it_says(tmp_path: Path) -> None:
    """Its policy, its period, its mode; and how long connections outlive a proof that has ended."""
    write_policy(tmp_path / "app.yaml")
    asked = "attestation: {policy: app.yaml, every: 1m, mode: observe}, drain: {timeout: 5m}"
    policies = load_policies(tmp_path / "config.yaml", whole(asked))
    pool = settings(asked)
    found = attestation_rules(pool, PoolName("app"), policies, {A: ProxyVersion.V2})
    assert found is not None
    assert found.policy is policies.pools[PoolName("app")]
    assert (found.every, found.enforced, found.drain) == (60.0, False, 300.0)
    assert (found.server_name, found.source) == (NAME, EvidenceSource.WELL_KNOWN)
    assert found.preambles.keys() == {A}
    plain = settings("attestation: off")
    assert attestation_rules(plain, PoolName("app"), policies, {}) is None
