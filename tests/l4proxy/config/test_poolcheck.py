"""What no value of a pool can tell alone."""

import pytest

from tests.l4proxy.config.texts import LEAST, messages_of, parse, with_pool

ROUTES = "{app.example.com: app}"
POOLS = "{app: [10.0.0.1:443]}"


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        (
            "[10.0.0.1:1, 10.0.0.1:1]",
            "3:27: pools.app[1]: another backend of this pool has this addr",
        ),
        ("[10.0.0.1:1, {address: '[::ffff:10.0.0.1]:1', name: x}]", "3:37: pools.app[1].address: "),
        (
            "[{address: '10.0.0.1:1', name: x}, {address: '10.0.0.2:1', name: x}]",
            "3:79: pools.app[1].name: another backend of this pool has the name x already",
        ),
        (
            "[{address: '10.0.0.1:1', name: '10.0.0.2:1'}, 10.0.0.2:1]",
            "3:45: pools.app[0].name: another backend of this pool has the name 10.0.0.2:1 already",
        ),
        (
            "[unix:/a/x.sock, unix:/b/x.sock]",
            "3:31: pools.app[1]: another backend of this pool has the name x.sock already, on l",
        ),
        (
            "[unix:/a/x.sock, unix:/a/x.sock]",
            "3:31: pools.app[1]: another backend of this pool has",
        ),
        (
            "['unix:/a/x y']",
            "3:15: pools.app[0]: 'x y' cannot be its name: write {address: …, name: …}",
        ),
        (
            "[{dns: {name: a.b, port: 1}}, {dns: {name: A.b., port: 1}}]",
            "3:50: pools.app[1].dns: this pool asks DNS for this name and port already, on line 3",
        ),
        (
            "[{kubernetes: {service: a, port: b}}, {kubernetes: {service: a, port: b}}]",
            "pools.app[1].kubernetes: this pool has this Service and port already, on line 3",
        ),
    ],
)
def test_backends_of_a_pool_are_distinct(backends: str, said: str) -> None:
    """A name or an address that stands twice would count a backend twice."""
    assert said in messages_of(LEAST.replace("[10.0.0.1:443]", backends))


def test_the_same_address_without_names_is_one_mistake() -> None:
    """The name that follows from the address is not a second mistake."""
    said = messages_of(LEAST.replace("[10.0.0.1:443]", "[10.0.0.1:1, 10.0.0.1:1]"))
    assert said.count("\n") == 0


def test_pools_may_share_backends() -> None:
    """One enclave may serve two pools."""
    assert len(parse(LEAST.replace(POOLS, "{app: [10.0.0.1:443], api: [10.0.0.1:443]}")).pools) == 2


def test_a_server_id_belongs_to_one_backend() -> None:
    """A routable name leads to one backend of its pool."""
    backends = "[{address: 10.0.0.1:1, server_id: 7}, {address: 10.0.0.2:1, server_id: 7}]"
    said = messages_of(LEAST.replace("[10.0.0.1:443]", backends))
    assert "pools.app[1].server_id: another backend of this pool has this server id" in said


@pytest.mark.parametrize(
    ("psks", "said"),
    [
        ("{device: b}", "this pool has no backend 'b'"),
        ("{device: 10.0.0.1:444}", "this pool has no backend '10.0.0.1:444'"),
        ("{device: 5}", "found 5, expected a name"),
        ("{'hex:zz': 10.0.0.1:443}", "found 'hex:zz', expected an identity"),
        ("{}", "expected off, hash, or a mapping"),
        ("on", "expected off, hash, or a mapping"),
    ],
)
def test_an_external_identity_leads_to_a_backend_of_the_pool(psks: str, said: str) -> None:
    """What leads nowhere is a mistake, as far as the configuration alone can tell."""
    assert said in messages_of(with_pool(f"sticky: {{external_psks: {psks}}}"))


@pytest.mark.parametrize(
    ("backends", "psks"),
    [
        ("10.0.0.1:443", "{device: 10.0.0.1:443, 'hex:00ff': 10.0.0.1:443}"),
        ("{address: 10.0.0.1:443, name: a}", "{device: a}"),
        ("{dns: {name: a.b, port: 1}}", "{device: 10.0.0.9:1}"),
        ("10.0.0.1:443", "hash"),
        ("10.0.0.1:443", "off"),
    ],
)
def test_an_external_identity_may_lead_to_what_dns_finds(backends: str, psks: str) -> None:
    """Names, default names and those that only DNS knows."""
    text = with_pool(f"sticky: {{external_psks: {psks}}}").replace("10.0.0.1:443]", f"{backends}]")
    assert parse(text).pools


@pytest.mark.parametrize(
    "backends",
    [
        "[{dns: {name: a.b, port: 1}}, {dns: {name: a.b, port: 2}}]",
        "[{kubernetes: {service: a, port: 1}}, {kubernetes: {service: a, port: b}}]",
        "[{kubernetes: {service: a, port: 1}},{kubernetes: {service: a, port: 1, kubeconfig: /k}}]",
        "[{dns: {name: a.b, port: 1}}, {dns: {name: a.b, port: 1, resolver: 10.0.0.2}}]",
        "[{address: 'unix:/a/x', name: x}, {address: 'unix:/b/x', name: y}]",
    ],
)
def test_different_backends_stand_together(backends: str) -> None:
    """Another port, another resolver, another name."""
    assert parse(LEAST.replace("[10.0.0.1:443]", backends)).pools


@pytest.mark.parametrize("asked", ["{service: 5, port: 1}", "{service: a}", "5"])
def test_a_broken_service_is_no_repetition(asked: str) -> None:
    """What cannot be read is one mistake."""
    entry = f"{{kubernetes: {asked}}}"
    assert "already" not in messages_of(LEAST.replace("10.0.0.1:443", f"{entry}, {entry}"))


@pytest.mark.parametrize("dns", ["{name: 5, port: 1}", "{name: a.b}", "5"])
def test_a_broken_question_is_no_repetition(dns: str) -> None:
    """What is wrong with it is said once, and nothing follows from it."""
    said = messages_of(LEAST.replace("10.0.0.1:443", f"{{dns: {dns}}}, {{dns: {dns}}}"))
    assert "already" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ("{type: tcp, timeout: 6s}", "6:34: pools.app.health.timeout: found 6s, expected at most"),
        ("{type: tcp, timeout: 6s}", "expected at most `every`, 5s"),
        ("{type: tcp, every: 1s, timeout: 1001ms}", "found 1001ms, expected at most `every`, 1s"),
    ],
)
def test_a_probe_ends_before_the_next(health: str, said: str) -> None:
    """A backend is asked one thing at a time."""
    assert said in messages_of(with_pool(f"health: {health}"))


@pytest.mark.parametrize("timeout", ["31s", "5", "~"])
def test_a_broken_timeout_is_one_mistake(timeout: str) -> None:
    """It is not compared."""
    for every in ("1s", "x"):
        said = messages_of(with_pool(f"health: {{type: tcp, every: {every}, timeout: {timeout}}}"))
        assert "at most `every`" not in said


@pytest.mark.parametrize(
    ("routes", "health", "place"),
    [
        ("{'*.a.b': app}", "tls", "3:49: pools.app.health"),
        ("{'*.a.b': app}", "http", "3:49: pools.app.health"),
        ("{'*.a.b': [app]}", "{type: tls}", "3:56: pools.app.health.type"),
        ("{default: app}", "tls", "3:49: pools.app.health"),
    ],
)
def test_probes_need_a_name_to_say(routes: str, health: str, place: str) -> None:
    """A wildcard is none, so the pool must name one."""
    pool = f"{{backends: [10.0.0.1:443], health: {health}%s}}"
    text = LEAST.replace(ROUTES, routes).replace("[10.0.0.1:443]", pool)
    said = messages_of(text % "")
    assert said == (
        f"config.yaml:{place}: a probe of this type says a server name, and no exact route leads "
        "to this pool: add `server_name: app.example.com`, or say tcp"
    )
    assert parse(text % ", server_name: a.b").pools


@pytest.mark.parametrize(
    ("routes", "health"),
    [
        ("{'*.a.b': app}", "tcp"),
        ("{'*.a.b': app}", "off"),
        ("{'*.a.b': app, a.b: app}", "tls"),
    ],
)
def test_other_probes_need_no_more(routes: str, health: str) -> None:
    """To connect is to say nothing, and an exact route is a name."""
    pool = f"{{backends: [10.0.0.1:443], health: {health}}}"
    assert parse(LEAST.replace(ROUTES, routes).replace("[10.0.0.1:443]", pool)).pools


def test_a_route_that_is_broken_may_be_the_exact_one() -> None:
    """What is wrong with it is the one mistake."""
    pool = "{backends: [10.0.0.1:443], health: tls}"
    for routes in ("{a..b: app}", "5"):
        text = LEAST.replace(ROUTES, routes).replace("[10.0.0.1:443]", pool)
        assert "a probe of this type" not in messages_of(text)


def sourced(backends: str, source: str) -> str:
    """A configuration whose backends are dialled from given addresses."""
    pool = f"{{backends: {backends}, source: {source}}}"
    return LEAST.replace("[10.0.0.1:443]", pool)


@pytest.mark.parametrize(
    ("backends", "source", "said"),
    [
        (
            "[10.0.0.1:443]",
            "['::1']",
            "3:26: pools.app.backends[0]: cannot be dialled: the pool's `source` has no IPv4 addr",
        ),
        (
            "[{address: '[::2]:443'}]",
            "[10.0.0.5]",
            "pools.app.backends[0].address: cannot be dialled: the pool's `source` has no IPv6",
        ),
        (
            "[10.0.0.1:443]",
            "[10.0.0.5, '::1']",
            "3:60: pools.app.source[1]: dials nothing: no backend of this pool has an IPv6 address",
        ),
        ("['unix:/a']", "[10.0.0.5]", "pools.app.source[0]: dials nothing: no backend of this"),
        ("[10.0.0.1:443]", "[10.0.0.5, 10.0.0.5]", "3:60: pools.app.source[1]: this pool has this"),
        ("[10.0.0.1:443]", "10.0.0.5", "pools.app.source: found '10.0.0.5', expected a list"),
        ("[10.0.0.1:443]", "[eth0]", "source[0]: found 'eth0', expected an IP address of this"),
    ],
)
def test_sources_fit_the_backends(backends: str, source: str, said: str) -> None:
    """An address of one family dials none of the other."""
    assert said in messages_of(sourced(backends, source))


@pytest.mark.parametrize(
    ("backends", "source"),
    [
        ("[10.0.0.1:443, 'unix:/a']", "[10.0.0.5, 10.0.0.6]"),
        ("[10.0.0.1:443, '[::2]:443']", "['::1', 10.0.0.5]"),
        ("[10.0.0.1:443, {dns: {name: a.b, port: 1}}]", "['::1', 10.0.0.5]"),
        ("[{dns: {name: a.b, port: 1}}]", "['::1']"),
        ("['unix:/a']", "[]"),
        ("[10.0.0.1:443, 'vsock:16:443']", "[10.0.0.5]"),
    ],
)
def test_sources_may_fit_what_dns_finds(backends: str, source: str) -> None:
    """Nobody knows yet of which family that is."""
    assert parse(sourced(backends, source)).pools


@pytest.mark.parametrize(
    ("backends", "source"), [("[x]", "['::1']"), ("[10.0.0.1:443]", "['::1', x]")]
)
def test_a_broken_address_fits_everything(backends: str, source: str) -> None:
    """What is wrong with it is the one mistake."""
    said = messages_of(sourced(backends, source))
    assert said.count("\n") == 0
