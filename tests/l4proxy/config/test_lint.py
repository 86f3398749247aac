"""Advice on what may be said but is perhaps not meant."""

import pytest

from l4proxy.config import Machine, lint
from l4proxy.plugins import Group
from tests.l4proxy.config.texts import LEAST, parse, with_pool
from tests.l4proxy.installing import SOURCE, Install, install

__all__ = ["install"]

ROUTES = "{app.example.com: app}"


def advice(text: str, machine: Machine | None = None) -> list[str]:
    """The advice on a text, each in a line."""
    return [str(item) for item in lint(parse(text), machine or Machine())]


def routed(routes: str) -> str:
    """A configuration with two pools and other routes."""
    pools = "{app: [10.0.0.1:443], api: [{address: '10.0.0.2:443', name: a}]}"
    return LEAST.replace(ROUTES, routes).replace("{app: [10.0.0.1:443]}", pools)


def bounded(backends: str, connections: int, source: str) -> str:
    """A configuration whose backends may get so many connections, from given addresses."""
    capacity = f"{{connections_per_backend: {connections}}}"
    pool = f"{{backends: [{backends}], source: {source}, capacity: {capacity}, health: tls}}"
    return LEAST.replace("[10.0.0.1:443]", pool)


def test_a_plain_configuration_has_no_advice() -> None:
    """Silence means that all is well."""
    assert advice(LEAST, Machine(descriptors=1024, cores=2)) == []


@pytest.mark.parametrize(
    ("routes", "parent"),
    [
        ("{a.example.com: app, b.example.com: api}", "example.com"),
        ("{a.example.com: app, '*.example.com': api}", "example.com"),
        ("{a.b.example.com: app, '*.b.example.com': api}", "b.example.com"),
        ("{a.x.y: [{pool: api, alpn: [h2]}, app], b.x.y: app}", "x.y"),
    ],
)
def test_names_that_share_a_certificate_are_pointed_at(routes: str, parent: str) -> None:
    """A browser may send requests for one name over another's HTTP/2 connection."""
    (said,) = advice(routed(routes))
    assert said.startswith(f"routes: names below {parent} lead to different pools (api, app)")
    assert "421" in said


@pytest.mark.parametrize(
    "routes",
    [
        "{a.example.com: app, b.example.net: api}",
        "{a.com: app, b.com: api}",
        "{a.example.com: [{pool: api, alpn: [h2]}, app]}",
        "{a.x.y: app, b.x.y: {pool: api, alpn: [acme-tls/1]}}",
        "{a.x.y: [{pool: api, alpn: [x]}, app], b.x.y: [{pool: app, alpn: [h2]}, api]}",
        "{a.b.example.com: app, '*.example.com': api}",
    ],
)
def test_names_that_share_none_are_not(routes: str) -> None:
    """Other domains, and protocols without HTTP/2, are apart."""
    assert advice(routed(routes)) == []


def test_a_rule_that_is_never_reached_is_pointed_at() -> None:
    """The rules before it take each of its protocols."""
    rules = "[{pool: app, alpn: [a]}, {pool: app, alpn: [b]}, {pool: api, alpn: [a, b]}, app]"
    (said,) = advice(routed(f"{{a.example.com: {rules}}}"))
    assert said.startswith("routes['a.example.com'][2]: never reached")


def test_a_catch_all_comes_last_wherever_it_stands() -> None:
    """A rule behind one without `alpn` is reached all the same."""
    assert advice(routed("{a.example.com: [app, {pool: api, alpn: [x]}]}")) == []


def test_a_backend_that_no_instance_name_names_is_pointed_at() -> None:
    """A server name has no colon and no upper case."""
    (said,) = advice(routed("{'*.example.com': {pool: app, instance_name: true}, a.b.c: api}"))
    assert said.startswith("pools.app.backends[0]: no instance name can name 10.0.0.1:443: give")
    assert advice(routed("{'*.example.com': {pool: api, instance_name: true}, a.b.c: app}")) == []


def test_a_default_pool_is_pointed_at() -> None:
    """Every name that nobody routed reaches it."""
    (said,) = advice(LEAST.replace(ROUTES, "{default: app}"))
    assert said.startswith("routes.default: every unknown server name reaches pool app")


def test_a_pool_without_a_route_is_pointed_at() -> None:
    """Its backends wait for nothing."""
    assert advice(routed("{a.b.c: app}")) == ["pools.api: no route leads to this pool."]


def test_a_bound_behind_another_is_pointed_at() -> None:
    """A backend that is full of connections gets no more sessions."""
    capacity = "{count: connections, sessions_per_backend: 6, connections_per_backend: %d}"
    (said,) = advice(with_pool(f"capacity: {capacity % 5}"))
    assert said.startswith("pools.app.capacity.sessions_per_backend: never reached")
    assert advice(with_pool(f"capacity: {capacity % 6}")) == []


@pytest.mark.parametrize("backends", ["10.0.0.1:1, 10.0.0.2:1", "{dns: {name: a.b, port: 1}}"])
def test_a_pool_of_several_without_probes_is_pointed_at(backends: str) -> None:
    """Only with somebody else to ask does it matter who is well."""
    (said,) = advice(LEAST.replace("10.0.0.1:443", backends))
    assert said.startswith("pools.app.health: off: ")
    assert advice(bounded(backends, 1, "[]")) == []


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_trust_in_everybody_is_pointed_at(network: str) -> None:
    """Whoever connects could say to be another."""
    listener = f"[{{address: '0.0.0.0:1', proxy_protocol: true, trusted: [10.0.0.1, '{network}']}}]"
    (said,) = advice(LEAST.replace("[127.0.0.1:8443]", listener))
    assert said.startswith(f"listeners[0].trusted[1]: with {network} whoever connects may say")


def test_what_dns_finds_has_no_instance_name() -> None:
    """The path is that of the entry, whatever stands before it."""
    backends = "{health: tcp, backends: ['unix:/run/a', {dns: {name: a.b, port: 1}}]}"
    routes = "{'*.a.b': {pool: app, instance_name: true}}"
    said = advice(LEAST.replace(ROUTES, routes).replace("[10.0.0.1:443]", backends))
    assert said == [
        "pools.app.backends[1]: no instance name can name what DNS finds: it has no names."
    ]


@pytest.mark.parametrize("backend", ["unix:/run/a", "vsock:16:8443"])
@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("{url: 'http://{host}:{port}/m'}", False),
        ("{url: 'http://127.0.0.1:{port}/m'}", False),
        ("{url: 'http://127.0.0.1:9100/m'}", True),
        ("{source: toy}", True),
    ],
)
def test_who_has_no_page_is_said(install: Install, backend: str, told: str, asked: bool) -> None:
    """A page is asked for over IP; whoever is not there tells nothing of its load."""
    install(SOURCE, group=Group.TELEMETRY)
    pool = f"{{health: tcp, backends: [10.0.0.1:443, '{backend}'], telemetry: {told}}}"
    said = advice(LEAST.replace("[10.0.0.1:443]", pool))
    page = f"pools.app.telemetry.url: {backend} is asked for no page"
    assert [line.startswith(page) for line in said] == ([] if asked else [True])


def test_what_kubernetes_finds_has_instance_names() -> None:
    """Those of its pods, which a server name can say."""
    backends = "{health: tcp, backends: [{kubernetes: {service: a, port: 1}}]}"
    routes = "{'*.a.b': {pool: app, instance_name: true}}"
    assert advice(LEAST.replace(ROUTES, routes).replace("[10.0.0.1:443]", backends)) == []


def test_a_long_idle_timeout_is_pointed_at() -> None:
    """A client that is gone without a word keeps its room."""
    (said,) = advice(with_pool("timeouts: {idle: 24h}"))
    assert said.startswith("pools.app.timeouts.idle: ")
    assert said.endswith("24h.")
    assert advice(with_pool("timeouts: {idle: 12h}")) == []


@pytest.mark.parametrize(
    ("connections", "workers", "descriptors", "fits"),
    [
        (480, 1, 1024, True),
        (481, 1, 1024, False),
        (960, 2, 1024, True),
        (961, 2, 1024, False),
        (961, 2, None, True),
    ],
)
def test_connections_need_descriptors(
    connections: int, workers: int, descriptors: int | None, fits: bool
) -> None:
    """Two a connection, and a reserve: what does not fit the limit is pointed at."""
    text = f"{LEAST}limits: {{connections: {connections}}}\nworkers: {workers}\n"
    said = advice(text, Machine(descriptors=descriptors))
    assert [line.partition(":")[0] for line in said] == ([] if fits else ["limits.connections"])


def test_workers_are_as_many_as_cores() -> None:
    """With `auto` the machine decides what each has to hold."""
    text = f"{LEAST}limits: {{connections: 961}}\n"
    assert advice(text, Machine(descriptors=1024, cores=4)) == []
    assert "in each of 2 workers" in advice(text, Machine(descriptors=1024, cores=2))[0]


@pytest.mark.parametrize(
    ("text", "machine", "fits"),
    [
        (f"{LEAST}limits: {{connections: 100}}\n", Machine(source_ports=100), True),
        (f"{LEAST}limits: {{connections: 101}}\n", Machine(source_ports=100), False),
        (LEAST, Machine(source_ports=100), True),
        (LEAST, Machine(descriptors=264, source_ports=100), True),
        (LEAST, Machine(descriptors=266, source_ports=100), False),
        (LEAST, Machine(descriptors=10, source_ports=100), True),
        (with_pool("capacity: {connections_per_backend: 101}"), Machine(source_ports=100), False),
        (bounded("10.0.0.1:1", 201, "[10.0.0.5, 10.0.0.6]"), Machine(source_ports=100), False),
        (bounded("10.0.0.1:1", 200, "[10.0.0.5, 10.0.0.6]"), Machine(source_ports=100), True),
        (
            bounded("10.0.0.1:1, '[::2]:1'", 101, "['::1', 10.0.0.5, 10.0.0.6]"),
            Machine(source_ports=100),
            False,
        ),
        (bounded("'unix:/a'", 101, "[]"), Machine(source_ports=100), True),
        (bounded("'vsock:16:443'", 101, "[]"), Machine(source_ports=100), True),
        (bounded("{dns: {name: a.b, port: 1}}", 101, "[]"), Machine(source_ports=100), False),
        (bounded("{dns: {name: a.b, port: 1}}", 101, "['::1']"), Machine(source_ports=100), False),
        (
            with_pool("capacity: {connections_per_backend: 100}"),
            Machine(descriptors=1024, source_ports=100),
            True,
        ),
    ],
)
def test_connections_need_source_ports(text: str, machine: Machine, fits: bool) -> None:
    """One address can be dialled from so many ports; what may need more is pointed at."""
    said = advice(text, machine)
    assert [line.partition(":")[0] for line in said] == ([] if fits else ["pools.app"])


@pytest.mark.parametrize(
    "health", ["off", "tcp", "{type: http, tls: false}"], ids=["none", "tcp", "plain"]
)
def test_attestation_wants_probes_that_meet_the_key(health: str) -> None:
    """Else nobody looks at it from one proof to the next."""
    asked = f"health: {health}\nattestation: {{policy: x, every: 10m}}"
    (said,) = advice(with_pool(asked))
    assert said.startswith("pools.app.attestation: no probe looks at certificates here")
    assert "after up to 10m" in said


@pytest.mark.parametrize("health", ["tls", "http"])
def test_observing_is_pointed_at(health: str) -> None:
    """It is for the first day, and enforcing for all others."""
    asked = f"health: {health}\nattestation: {{policy: x, mode: observe}}"
    (said,) = advice(with_pool(asked))
    assert said.startswith("pools.app.attestation.mode: observe")
    assert advice(with_pool(asked.replace("observe", "enforce"))) == []


def test_a_pool_that_scaling_would_shrink_at_once_is_pointed_at() -> None:
    """Backends that are written down, over the maximum, would only drain."""
    text = with_pool("capacity: {sessions_per_backend: 9}\nscaling: {max: 1}")
    assert advice(text) == []
    (said,) = advice(
        text.replace("[10.0.0.1:443]", "[10.0.0.1:443, 10.0.0.2:443]\n    health: tls")
    )
    assert said.startswith("pools.app.scaling.max: 2 backends are written here: over 1 of them")


def test_breaking_sessions_is_pointed_at() -> None:
    """Who says a deadline is told what it costs."""
    scaling = "scaling: {drain_timeout: 1h}"
    (said,) = advice(with_pool(f"capacity: {{sessions_per_backend: 9}}\n{scaling}"))
    assert said.startswith("pools.app.scaling.drain_timeout: sessions that last longer than 1h")
