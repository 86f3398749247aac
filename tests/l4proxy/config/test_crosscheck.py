"""What no value can tell alone."""

import pytest

from l4proxy.limits import MAX_BACKENDS
from tests.l4proxy.config.texts import LEAST, messages_of, parse

LISTENERS = "[127.0.0.1:8443]"
ROUTES = "{app.example.com: app}"
POOLS = "{app: [10.0.0.1:443]}"


@pytest.mark.parametrize(
    ("listeners", "said"),
    [
        ("[127.0.0.1:1, 127.0.0.1:1]", "1:26: listeners[1]: another listener has this address"),
        ("[127.0.0.1:1, 'localhost:1']", "listeners[1]: another listener has this address already"),
        ("['[::1]:1', '[0:0::1]:1']", "listeners[1]: another listener has this address already"),
        ("[127.0.0.1:9080]", "1:13: listeners[0]: the admin API has this address (127.0.0.1:9080)"),
        ("[0.0.0.0:9080]", "1:13: listeners[0]: the admin API has this address (127.0.0.1:9080)"),
    ],
)
def test_an_address_is_bound_once(listeners: str, said: str) -> None:
    """Two listeners, or a listener and the admin API, cannot share an address."""
    assert said in messages_of(LEAST.replace(LISTENERS, listeners))


@pytest.mark.parametrize(
    ("listeners", "admin"),
    [
        ("[127.0.0.1:0, 127.0.0.1:0]", "{}"),
        ("[127.0.0.1:0]", "{address: '127.0.0.1:0'}"),
        ("[127.0.0.1:9080]", "off"),
        ("[127.0.0.1:9080]", "{address: '127.0.0.1:9081'}"),
        ("[127.0.0.1:1, '[::1]:1']", "{}"),
        ("['[::]:9080', 127.0.0.2:9080]", "{}"),
    ],
)
def test_different_addresses_are_bound(listeners: str, admin: str) -> None:
    """Port 0 is another one each time, and an API that is off binds nothing."""
    config = parse(f"{LEAST.replace(LISTENERS, listeners)}admin: {admin}\n")
    assert config.listeners


def test_an_admin_address_is_compared_as_it_is_meant() -> None:
    """The spelling makes no difference."""
    text = f"{LEAST}admin: {{address: 'localhost:8443'}}\n"
    assert "1:13: listeners[0]: the admin API has this address" in messages_of(text)


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        (
            "proxy_protocol: true",
            "1:54: listeners[0].proxy_protocol: nobody may send a header: name",
        ),
        ("proxy_protocol: true, trusted: []", "1:54: listeners[0].proxy_protocol: nobody may send"),
        (
            "trusted: [10.0.0.0/8]",
            "1:38: listeners[0].trusted: only PROXY headers need trust: add `proxy_protocol: true`",
        ),
        ("proxy_protocol: false, trusted: ['::1']", "1:61: listeners[0].trusted: only PROXY head"),
        ("proxy_protocol: v2, trusted: ['::1']", "found 'v2', expected true or false"),
        ("proxy_protocol: true, trusted: 10.0.0.0/8", "found '10.0.0.0/8', expected a list"),
        ("proxy_protocol: true, trusted: [10.0.0.0/9, x]", "1:82: listeners[0].trusted[1]: found"),
    ],
)
def test_proxy_headers_come_from_somebody_who_is_named(listener: str, said: str) -> None:
    """Who sends one chooses what client we see: nobody may by default, and each mistake is one."""
    text = f"[{{address: '127.0.0.1:1', {listener}}}]"
    found = messages_of(LEAST.replace(LISTENERS, text))
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize("off", ["off", "'off'", "false"])
def test_an_admin_api_without_address_has_a_socket(off: str) -> None:
    """Else nobody could reach it, and `admin: off` says so more plainly."""
    for socket in ("", ", socket: off", ", socket: 'off'"):
        said = messages_of(f"{LEAST}admin: {{address: {off}{socket}}}\n")
        assert said == (
            "config.yaml:4:18: admin.address: leaves no way in: add `socket: /path`, or say "
            "`admin: off`"
        )
    assert parse(f"{LEAST}admin: {{address: {off}, socket: /run/a.sock}}\n").admin


def test_an_admin_api_without_address_takes_none() -> None:
    """A listener may have what would have been its own."""
    text = LEAST.replace(LISTENERS, "[127.0.0.1:9080]")
    assert parse(f"{text}admin: {{address: off, socket: /run/a.sock}}\n").listeners


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (
            "{a.b: app, A.b.: app}",
            "2:20: routes['A.b.']: another route has this pattern already, on",
        ),
        ("{a.b: app, A.b.: app}", "on line 2"),
        ("{'*.a.b': app, '*.A.b': app}", "routes['*.A.b']: another route has this pattern"),
        ("{a.b: [app, app]}", "2:21: routes['a.b'][1]: another rule of this pattern has the same"),
        (
            "{a.b: [{pool: app, alpn: [x, y]}, {pool: app, alpn: [y, x]}]}",
            "2:43: routes['a.b'][1]: another rule of this pattern has the same alpn already",
        ),
        (
            "{a.b: {pool: app, instance_name: true}}",
            "2:42: routes['a.b'].instance_name: an instance",
        ),
        ("{a.b: nope}", "2:15: routes['a.b']: there is no pool 'nope'"),
        ("{a.b: ap}", "there is no pool 'ap' (did you mean app?)"),
        ("{a.b: [{pool: app, alpn: [x]}, nope]}", "2:40: routes['a.b'][1]: there is no pool"),
        ("{a.b: {pool: nope}}", "2:22: routes['a.b'].pool: there is no pool"),
        ("{a.b: app, default: nope}", "2:29: routes.default: there is no pool 'nope'"),
        ("{}", "2:9: routes: every connection would be refused"),
        ("{default: refuse}", "2:9: routes: every connection would be refused"),
    ],
)
def test_routes_lead_to_one_pool_that_exists(routes: str, said: str) -> None:
    """A route without a pool, or with two, is refused where it stands."""
    assert said in messages_of(LEAST.replace(ROUTES, routes))


@pytest.mark.parametrize(
    "routes",
    [
        "{default: app}",
        "{a.b: app, '*.a.b': app, '*.b': app}",
        "{a.b: [{pool: app, alpn: [x]}, {pool: app, alpn: [x, y]}, app]}",
        "{'*.a.b': {pool: app, instance_name: true}, a.b: {pool: app, instance_name: false}}",
    ],
)
def test_different_routes_stand_together(routes: str) -> None:
    """An exact name, its wildcard and rules with other protocols are not the same route."""
    assert parse(LEAST.replace(ROUTES, routes)).pools


def test_backends_are_bounded() -> None:
    """All pools together fit the shared table of loads."""
    addresses = [f"10.0.{n >> 8}.{n & 255}:1" for n in range(MAX_BACKENDS)]
    pools = f"{{app: [{', '.join(addresses)}]}}"
    assert parse(LEAST.replace(POOLS, pools)).pools
    said = messages_of(LEAST.replace(POOLS, pools.replace("}", ", api: [10.1.0.1:1]}")))
    assert said == (
        f"config.yaml:3:8: pools: found {MAX_BACKENDS + 1} backends, expected at most "
        f"{MAX_BACKENDS} in all pools together"
    )


def test_a_broken_value_hides_no_other_mistake() -> None:
    """What lies between values is found beside what is wrong with one of them."""
    said = messages_of("""\
        listeners: [127.0.0.1:1, 127.0.0.1:1, host:5]
        routes: {a.b: nope, a..b: app, A.b: app}
        pools: {app: {backends: [10.0.0.1:1, x, 10.0.0.1:1], balance: 5}}
        admin: 5
    """)
    assert said.count("\n") == 8
    for part in ("listeners[1]", "listeners[2]", "no pool 'nope'", "a..b", "A.b", "backends[1]"):
        assert part in said
