"""Pools: their backends, and what else is said of them."""

from ipaddress import ip_address

import pytest

from l4proxy.config import PoolSettings, ProxyProtocol
from l4proxy.config.backends import DnsDiscoverySettings
from tests.l4proxy.config.texts import LEAST, messages_of, parse, with_pool


def pool_of(text: str) -> PoolSettings:
    """The one pool of a configuration."""
    (pool,) = parse(text).pools.values()
    return pool


def test_a_pool_asks_for_nothing_by_default() -> None:
    """No probes, no header, no source; failing dials are noticed all the same."""
    pool = pool_of(LEAST)
    assert (pool.health, pool.passive_health) == (None, True)
    assert (pool.proxy_protocol, pool.source) == (ProxyProtocol.OFF, ())


def test_backends_are_static_or_found() -> None:
    """Each kind keeps the order of the file."""
    dns = "{dns: {name: %s, port: 1}}"
    backends = f"[10.0.0.1:1, {dns % 'b.c'}, 'unix:/run/x', {dns % 'a.b'}]"
    pool = pool_of(LEAST.replace("[10.0.0.1:443]", backends))
    assert [str(backend.address) for backend in pool.backends] == ["10.0.0.1:1", "unix:/run/x"]
    found = [each for each in pool.discover if isinstance(each, DnsDiscoverySettings)]
    assert [each.dns.name for each in found] == ["b.c", "a.b"]


def test_a_pool_may_have_only_backends_that_are_found() -> None:
    """What DNS says may be all there is."""
    pool = pool_of(LEAST.replace("10.0.0.1:443", "{dns: {name: a.b, port: 1}}"))
    assert (pool.backends, len(pool.discover)) == ((), 1)


@pytest.mark.parametrize(
    ("word", "header"),
    [("off", "off"), ("'off'", "off"), ("false", "off"), ("v1", "v1"), ("v2", "v2")],
)
def test_backends_may_get_a_proxy_header(word: str, header: str) -> None:
    """In one of two versions, or none."""
    assert pool_of(with_pool(f"proxy_protocol: {word}")).proxy_protocol == ProxyProtocol(header)


@pytest.mark.parametrize(
    ("word", "on"), [("on", True), ("off", False), ("'on'", True), ("'off'", False)]
)
def test_dials_may_go_unnoticed(word: str, on: bool) -> None:
    """Where an operator would rather decide alone."""
    assert pool_of(with_pool(f"passive_health: {word}")).passive_health is on


def test_sources_are_addresses() -> None:
    """In the order of the file."""
    pool = pool_of(with_pool("source: [10.0.0.6, 10.0.0.5]"))
    assert pool.source == (ip_address("10.0.0.6"), ip_address("10.0.0.5"))


def test_a_lifetime_may_be_set_and_left() -> None:
    """A number of seconds, or none."""
    assert pool_of(with_pool("timeouts: {lifetime: 720h}")).timeouts.lifetime == 2_592_000.0
    assert pool_of(with_pool("timeouts: {lifetime: off}")).timeouts.lifetime is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "proxy_protocol: v3",
            "6:21: pools.app.proxy_protocol: found 'v3', expected off, v1 or v2",
        ),
        ("proxy_protocol: on", "found true, expected off, v1 or v2"),
        ("proxy_protocol: 2", "found 2, expected off, v1 or v2"),
        ("passive_health: maybe", "6:21: pools.app.passive_health: found 'maybe', expected on or"),
        ("source: [10.0.0.5:80]", "6:14: pools.app.source[0]: found '10.0.0.5:80', expected an IP"),
        ("server_name: 10.0.0.1", "6:18: pools.app.server_name: found '10.0.0.1', expected a host"),
        ("server_name: '*.a.b'", "expected a host name, such as app.example.com"),
        ("server_name: off", "found false, expected a host name"),
        ("server_name:", "found nothing, expected a host name"),
        (
            "passive_helth: on",
            "6:5: pools.app.passive_helth: unknown key, expected backends, serve",
        ),
        ("passive_helth: on", "(did you mean passive_health?)"),
    ],
)
def test_settings_have_a_form(settings: str, said: str) -> None:
    """What does not fit is refused where it stands, with what would."""
    assert said in messages_of(with_pool(settings))
