"""The configuration as typed values: what stands there, and what holds where nothing stands."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from l4proxy.config import (
    AdminSettings,
    CapacitySettings,
    Count,
    LimitSettings,
    LogClients,
    ShutdownSettings,
    Stream,
    TimeoutSettings,
)
from l4proxy.config.names import read_pattern, read_pool_name
from l4proxy.refusal import RefusalStyle
from routing import Address, Balance
from tests.l4proxy.config.texts import LEAST, messages_of, mistakes_of, parse, with_pool

APP = read_pool_name("app")


def test_three_lines_are_a_configuration() -> None:
    """Listeners, routes and pools are enough; all else has the documented default."""
    config = parse(LEAST)
    (pool,) = config.pools.values()
    (backend,) = pool.backends
    assert [listener.address for listener in config.listeners] == [Address("127.0.0.1", 8443)]
    assert config.routes.default is None
    assert (backend.address, backend.weight) == (Address("10.0.0.1", 443), 1)
    assert (pool.balance, config.refusal) == (Balance.AFFINITY, RefusalStyle.ALERT)
    assert pool.capacity == CapacitySettings()
    assert pool.timeouts == TimeoutSettings()
    assert (config.limits, config.workers) == (LimitSettings(), None)
    assert (config.admin, config.shutdown) == (AdminSettings(), ShutdownSettings())


def test_the_defaults_are_those_of_the_documentation() -> None:
    """Seconds and bytes, as numbers."""
    limits, timeouts, capacity = LimitSettings(), TimeoutSettings(), CapacitySettings()
    assert (limits.hello_timeout, limits.hello_bytes, limits.connections) == (5.0, 65_536, None)
    assert (timeouts.connect, timeouts.idle, timeouts.half_closed) == (3.0, 3600.0, 30.0)
    assert (capacity.sessions_per_backend, capacity.connections_per_backend) == (None, None)
    assert ShutdownSettings().timeout == 30.0
    assert AdminSettings().address == Address("127.0.0.1", 9080)
    assert (limits.per_client, limits.buffers) == (200, 268_435_456)
    assert (timeouts.lifetime, timeouts.user_timeout, timeouts.keepalive) == (None, 120.0, 60.0)
    assert (AdminSettings().socket, parse(LEAST).access_log) == (None, None)
    assert parse(LEAST).log_clients is LogClients.PREFIX


def test_every_setting_is_read() -> None:
    """What is written is what the model has."""
    config = parse("""
        listeners: ["[::1]:0", {address: "localhost:0"}]
        routes:
          A.example.com.: {pool: app, alpn: [h2, http/1.1]}
          "*.a.example.com": {pool: app, instance_name: true}
          default: app
        pools:
          app:
            backends: [{address: "[2001:DB8::1]:443", name: one, weight: 256}]
            balance: least_sessions
            capacity: {count: connections, sessions_per_backend: 5, connections_per_backend: off}
            timeouts: {connect: 100ms, idle: 168h, half_closed: 1s}
        refusal: reset
        limits: {hello_timeout: 1s, hello_bytes: 1KiB, connections: 1000}
        workers: 2
        admin: {address: "[::1]:1"}
        shutdown: {timeout: 0s}
    """)
    exact, wildcard = config.routes.patterns.items()
    (rule,) = exact[1]
    pool = config.pools[APP]
    assert [item.address.host for item in config.listeners] == ["::1", "127.0.0.1"]
    assert (exact[0], rule.alpn) == (read_pattern("a.example.com"), frozenset({b"h2", b"http/1.1"}))
    assert wildcard[1][0].instance_name
    assert config.routes.default == APP
    assert (pool.backends[0].name, pool.backends[0].weight) == ("one", 256)
    assert pool.balance is Balance.LEAST_SESSIONS
    assert pool.capacity == CapacitySettings().model_copy(
        update={"count": Count.CONNECTIONS, "sessions_per_backend": 5}
    )
    assert (pool.timeouts.connect, pool.timeouts.idle, pool.timeouts.half_closed) == (
        0.1,
        604_800.0,
        1.0,
    )
    assert config.refusal is RefusalStyle.RESET
    assert (config.limits.hello_timeout, config.limits.hello_bytes) == (1.0, 1024)
    assert (config.limits.connections, config.workers) == (1000, 2)
    assert (config.admin, config.shutdown.timeout) == (
        AdminSettings().model_copy(update={"address": Address("::1", 1)}),
        0.0,
    )


@pytest.mark.parametrize("word", ["off", "'off'", "false"])
def test_the_admin_api_may_be_off(word: str) -> None:
    """Off is None, so nothing can listen by accident."""
    assert parse(f"{LEAST}admin: {word}\n").admin is None


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("off", None),
        ("'off'", None),
        ("stdout", Stream.STDOUT),
        ("/var/log/l4proxy.log", Path("/var/log/l4proxy.log")),
    ],
)
def test_the_access_log_goes_to_one_place(line: str, target: Path | Stream | None) -> None:
    """Nowhere, to our own output, or into a file."""
    assert parse(f"{LEAST}access_log: {line}\n").access_log == target


def test_listeners_may_ask_for_proxy_headers() -> None:
    """From those alone who are trusted; a bare address asks for none."""
    text = "[{address: '[::]:1', proxy_protocol: true, trusted: [10.0.0.0/8, '::1']}, 127.0.0.1:2]"
    asked, plain = parse(LEAST.replace("[127.0.0.1:8443]", text)).listeners
    assert asked.proxy_protocol
    assert asked.trusted == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert (plain.proxy_protocol, plain.trusted) == (False, ())


def test_the_admin_api_may_have_a_socket() -> None:
    """Beside its address, or in its place."""
    admin = parse(f"{LEAST}admin: {{socket: /run/a.sock}}\n").admin
    assert admin is not None
    assert (admin.address, admin.socket) == (AdminSettings().address, Path("/run/a.sock"))
    admin = parse(f"{LEAST}admin: {{address: off, socket: /run/a.sock}}\n").admin
    assert admin is not None
    assert (admin.address, admin.socket) == (None, Path("/run/a.sock"))


def test_clients_may_be_unbounded_and_named() -> None:
    """Both are an operator's choice, never the default."""
    config = parse(f"{LEAST}limits: {{per_client: off, buffers: 16GiB}}\nlog_clients: full\n")
    assert (config.limits.per_client, config.limits.buffers) == (None, 1 << 34)
    assert config.log_clients is LogClients.FULL


def test_auto_is_the_default() -> None:
    """To say `auto` is to say nothing."""
    assert parse(f"{LEAST}workers: auto\nlimits: {{connections: auto}}\n") == parse(LEAST)


def test_a_backend_without_a_name_is_called_by_its_address() -> None:
    """The name is the one spelling of the address."""
    backend = parse(LEAST.replace("10.0.0.1:443", "'[2001:DB8:0::1]:443'")).pools[APP].backends[0]
    assert backend.name == str(backend.address) == "[2001:db8::1]:443"


def test_rules_keep_their_order() -> None:
    """Rules of one pattern are asked in the order given."""
    text = LEAST.replace("app.example.com: app", "a.b: [{pool: app, alpn: [x]}, app]")
    (rules,) = parse(text).routes.patterns.values()
    assert [rule.alpn for rule in rules] == [{b"x"}, None]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "balance: load",
            "6:5: pools.app.balance: load needs `telemetry` of this pool, which is off",
        ),
        ("balance: roundrobin", "or load (did you mean round_robin?)"),
        ("capacity: {count: clients}", "found 'clients', expected sessions or connections"),
        ("sticky: {reservation: 11m}", "expected a duration from 1s to 10m, or off"),
        ("sticky: {routable_keys: [key]}", "expected an absolute path"),
        ("sticky: {routable_keys: [/a, /a, /a, /a, /a, /a, /a, /a, /a]}", "expected at most 8"),
        ("sticky: on", "found true, expected a mapping {tickets, session_ids, reservation, …}"),
        ("session: {idle: 25h}", "expected a duration from 1s to 24h"),
        ("drain: {timeout: 0s}", "expected a duration from 1s to 168h, or off"),
        ("slow_start: 2h", "expected a duration from 1s to 1h, or off"),
        ("hash: md5", "found 'md5', expected rendezvous or maglev"),
        ("capacity: {connections_per_backend: 0}", "found 0, expected a whole number from 1 to"),
        ("timeouts: {connect: 61s}", "6:25: pools.app.timeouts.connect: found '61s', expected a"),
        ("timeouts: {connect: 99ms}", "expected a duration from 100ms to 60s"),
        ("timeouts: {idle: 169h}", "expected a duration from 1s to 168h"),
        ("timeouts: {idle: off}", "found false, expected a duration from 1s to 168h"),
        ("timeouts: {half_closed: 0s}", "expected a duration from 1s to 24h"),
        ("timeouts: 5s", "6:15: pools.app.timeouts: found '5s', expected a mapping"),
        ("weight: 2", "6:5: pools.app.weight: unknown key"),
        ("timeouts: {lifetime: 59s}", "6:26: pools.app.timeouts.lifetime: found '59s', expected a"),
        ("timeouts: {lifetime: 30d}", "(a whole number and its unit ms, s, m or h), or off"),
        ("timeouts: {user_timeout: 2h}", "expected a duration from 1s to 1h"),
        ("timeouts: {keepalive: off}", "found false, expected a duration from 5s to 2h"),
    ],
)
def test_settings_of_a_pool_have_bounds(settings: str, said: str) -> None:
    """What lies outside is refused where it stands, and the bounds are named."""
    assert said in messages_of(with_pool(settings))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("workers: 0", "4:10: workers: found 0, expected a whole number from 1 to 64, or auto"),
        ("workers: 65", "found 65"),
        ("workers: off", "found false"),
        (
            "refusal: alerts",
            "4:10: refusal: found 'alerts', expected alert, close or reset (did you",
        ),
        ("limits: {hello_timeout: 99ms}", "a duration from 100ms to 60s"),
        ("limits: {hello_timeout: 5}", "a number needs its unit: did you mean 5s?"),
        ("limits: {hello_bytes: 65KiB}", "a size from 1KiB to 64KiB"),
        ("limits: {hello_bytes: 1023B}", "a size from 1KiB to 64KiB"),
        ("limits: {connections: 0}", "a whole number from 1 to 1000000, or auto"),
        ("admin: {address: 0.0.0.0:9080}", "4:18: admin.address: found '0.0.0.0:9080', expected a"),
        (
            "admin: 127.0.0.1:9080",
            "4:8: admin: found '127.0.0.1:9080', expected a mapping {address, socket}",
        ),
        ("admin: {socket: run/a}", "4:17: admin.socket: found 'run/a', expected an absolute path"),
        ("admin: {socket: on}", "found true, expected an absolute path, such as /run/app.sock, or"),
        ("limits: {per_client: 0}", "4:22: limits.per_client: found 0, expected a whole number"),
        (
            "limits: {buffers: 1023KiB}",
            "4:19: limits.buffers: found '1023KiB', expected a size from",
        ),
        ("limits: {buffers: 17GiB}", "expected a size from 1MiB to 16GiB"),
        ("limits: {buffers: off}", "found false, expected a size"),
        ("access_log: on", "4:13: access_log: found true, expected stdout, an absolute path such"),
        ("access_log: stderr", "found 'stderr', expected stdout, an absolute path such as"),
        ("access_log: log/x", "found 'log/x', expected stdout"),
        ("access_log: /a/../b", "(did you mean /b?), or off"),
        ("log_clients: off", "4:14: log_clients: found false, expected prefix or full"),
        ("log_clients: ful", "found 'ful', expected prefix or full (did you mean full?)"),
        ("admin: on", "found true, expected a mapping {address, socket}, or off"),
        ("shutdown: {timeout: 25h}", "a duration from 0s to 24h"),
    ],
)
def test_other_settings_have_bounds(line: str, said: str) -> None:
    """What lies outside is refused where it stands, and the bounds are named."""
    assert said in messages_of(f"{LEAST}{line}\n")


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("{a.b: 5}", "2:15: routes['a.b']: found 5, expected a pool, a mapping"),
        ("{a.b: ~}", "2:15: routes['a.b']: found nothing"),
        ("{a.b: []}", "2:15: routes['a.b']: found none, expected at least one"),
        ("{a.b: {alpn: [h2]}}", "2:15: routes['a.b'].pool: is missing"),
        ("{a.b: [app, 5]}", "2:21: routes['a.b'][1]: found 5, expected a pool, or a mapping"),
        ("{a.b: {pool: app, alpn: h2}}", "2:33: routes['a.b'].alpn: found 'h2', expected a list"),
        ("{a.b: {pool: app, alpn: []}}", "2:33: routes['a.b'].alpn: found none, expected at least"),
        ("{a.b: {pool: app, alpn: ~}}", "routes['a.b'].alpn: found nothing, expected a list"),
        ("{a.b: {pool: app, alpn: [h2, 5]}}", "2:38: routes['a.b'].alpn[1]: found 5, expected an"),
        ("{a.b: {pool: app, instance_name: 1}}", "found 1, expected true or false"),
        ("{a.b: no}", "2:15: routes['a.b']: found false, expected a pool"),
        ("{a..b: app}", "2:10: routes['a..b']: "),
        ("{10.0.0.1: app}", "2:10: routes['10.0.0.1']: "),
        ("[app]", "2:9: routes: found a list, expected a mapping of host patterns to pools"),
        ("app", "2:9: routes: found 'app', expected a mapping"),
        ("{a.b: app, default: false}", "routes.default: found false, expected a name"),
        ("{a.b: app, default: [app]}", "routes.default: found a list, expected a name"),
    ],
)
def test_routes_have_a_shape(routes: str, said: str) -> None:
    """A route that cannot be understood is refused where it stands, and once."""
    (mistake,) = mistakes_of(LEAST.replace("{app.example.com: app}", routes))
    assert said in str(mistake)


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ("{}", "3:8: pools: found none, expected at least one"),
        ("[]", "3:8: pools: found a list, expected a mapping"),
        ("{app: []}", "3:14: pools.app: found none, expected at least one"),
        ("{app: {}}", "3:14: pools.app.backends: is missing"),
        (
            "{app: 10.0.0.1:443}",
            "3:14: pools.app: found '10.0.0.1:443', expected a list of backends",
        ),
        ("{app: {backends: 5}}", "3:25: pools.app.backends: found 5, expected a list"),
        ("{app: [5]}", "3:15: pools.app[0]: found 5, expected an address, or a mapping"),
        (
            "{app: [host:443]}",
            "3:15: pools.app[0]: found 'host:443', expected ip:port, [v6]:port, unix",
        ),
        ("{app: [{name: a}]}", "3:15: pools.app[0].address: is missing"),
        ("{app: [{address: '10.0.0.1:1', weight: 257}]}", "pools.app[0].weight: found 257"),
        ("{app: [{address: '10.0.0.1:1', name: a b}]}", "pools.app[0].name: found 'a b'"),
        ("{a b: [10.0.0.1:443]}", "3:9: pools['a b']: found 'a b', expected a name"),
        ("{refuse: [10.0.0.1:443]}", "3:9: pools.refuse: found 'refuse', expected another name"),
    ],
)
def test_pools_have_a_shape(pools: str, said: str) -> None:
    """A pool that cannot be understood is refused where it stands."""
    assert said in messages_of(LEAST.replace("{app: [10.0.0.1:443]}", pools))


def test_a_mistake_has_no_echo() -> None:
    """A backend whose address is wrong is one mistake, not that and a missing name and backend."""
    assert messages_of(LEAST.replace("10.0.0.1:443", "host:443")).count("\n") == 0
