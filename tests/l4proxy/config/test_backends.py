"""Backends: those with an address, and those that DNS or Kubernetes finds."""

from pathlib import Path

import pytest

from l4proxy.config import (
    BackendSettings,
    DiscoverySettings,
    DnsDiscoverySettings,
    KubernetesDiscoverySettings,
    ProxyProtocol,
)
from routing import Address
from tests.l4proxy.config.texts import LEAST, messages_of, mistakes_of, parse


def with_backend(text: str) -> str:
    """A configuration whose one backend, from line 3, column 15 on, is another."""
    return LEAST.replace("10.0.0.1:443", text)


def entry_of(text: str) -> BackendSettings | DiscoverySettings:
    """The one entry of the one pool."""
    (pool,) = parse(with_backend(text)).pools.values()
    (entry,) = pool.entries
    return entry


@pytest.mark.parametrize("text", ["unix:/run/app/a.sock", "{address: 'unix:/run/app/a.sock'}"])
def test_a_backend_may_be_a_unix_socket(text: str) -> None:
    """Its path is the host, and its file the name."""
    entry = entry_of(text)
    assert isinstance(entry, BackendSettings)
    assert (entry.address, entry.name) == (Address("/run/app/a.sock", 0), "a.sock")


@pytest.mark.parametrize("text", ["vsock:16:8443", "{address: 'vsock:16:8443'}"])
def test_a_backend_may_be_on_vsock(text: str) -> None:
    """Its address is its name."""
    entry = entry_of(text)
    assert isinstance(entry, BackendSettings)
    assert (entry.address, entry.name) == (Address("vsock:16", 8443), "vsock:16:8443")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("10.0.0.1:1", None),
        ("{address: '10.0.0.1:1', proxy_protocol: off}", ProxyProtocol.OFF),
        ("{address: '10.0.0.1:1', proxy_protocol: v1}", ProxyProtocol.V1),
        ("{dns: {name: a.b, port: 1}}", None),
        ("{dns: {name: a.b, port: 1}, proxy_protocol: v2}", ProxyProtocol.V2),
        ("{kubernetes: {service: a, port: 1}, proxy_protocol: v2}", ProxyProtocol.V2),
    ],
)
def test_a_backend_may_differ_from_its_pool(text: str, header: ProxyProtocol | None) -> None:
    """Off is a choice too; None is its pool's."""
    assert entry_of(text).proxy_protocol is header


def test_dns_is_asked_with_care_by_default() -> None:
    """The system's resolver, every ten seconds; no answer leads to this machine."""
    entry = entry_of("{dns: {name: Enclaves.Internal., port: 8443}}")
    assert isinstance(entry, DnsDiscoverySettings)
    assert (entry.dns.name, entry.dns.port) == ("enclaves.internal", 8443)
    assert (entry.dns.resolver, entry.dns.allow_loopback, entry.dns.every) == (None, False, 10.0)
    assert entry.weight == 1


def test_dns_may_be_asked_otherwise() -> None:
    """Every setting is read."""
    dns = "{name: a.b, port: 1, resolver: '127.0.0.1:5353', allow_loopback: true, every: 1s}"
    entry = entry_of(f"{{dns: {dns}, weight: 3}}")
    assert isinstance(entry, DnsDiscoverySettings)
    assert entry.dns.resolver == Address("127.0.0.1", 5353)
    assert (entry.dns.allow_loopback, entry.dns.every, entry.weight) == (True, 1.0, 3)


def test_kubernetes_is_asked_as_a_pod_does_by_default() -> None:
    """By its service account; no endpoint leads to this machine."""
    entry = entry_of("{kubernetes: {service: default/enclaves, port: https}, weight: 3}")
    assert isinstance(entry, KubernetesDiscoverySettings)
    found = entry.kubernetes
    assert (str(found.service), found.port, entry.weight) == ("default/enclaves", "https", 3)
    assert (found.kubeconfig, found.allow_loopback) == (None, False)


def test_kubernetes_may_be_asked_otherwise() -> None:
    """Every setting is read; a Service may be in the namespace of the credentials."""
    more = "kubeconfig: /etc/k, allow_loopback: true"
    entry = entry_of(f"{{kubernetes: {{service: enclaves, port: 8443, {more}}}}}")
    assert isinstance(entry, KubernetesDiscoverySettings)
    found = entry.kubernetes
    assert (found.service, found.port) == ((None, "enclaves"), 8443)
    assert (found.kubeconfig, found.allow_loopback) == (Path("/etc/k"), True)


@pytest.mark.parametrize("word", ["system", "'system'"])
def test_system_is_the_default_resolver(word: str) -> None:
    """To say so is to say nothing."""
    plain, said = (
        "{dns: {name: a.b, port: 1}}",
        f"{{dns: {{name: a.b, port: 1, resolver: {word}}}}}",
    )
    assert entry_of(plain) == entry_of(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{dns: {}}", "3:21: pools.app[0].dns.name: is missing"),
        ("{dns: {name: a.b}}", "3:21: pools.app[0].dns.port: is missing"),
        ("{dns: a.b}", "3:21: pools.app[0].dns: found 'a.b', expected a mapping {name, port, …}"),
        ("{dns: ~}", "pools.app[0].dns: found nothing, expected a mapping {name, port, …}"),
        ("{dns: off}", "pools.app[0].dns: found false, expected a mapping {name, port, …}"),
        (
            "{dns: {name: 10.0.0.1, port: 1}}",
            "3:28: pools.app[0].dns.name: found '10.0.0.1', expect",
        ),
        (
            "{dns: {name: a.b, port: 0}}",
            "dns.port: found 0, expected a whole number from 1 to 65535",
        ),
        ("{dns: {name: a.b, port: https}}", "dns.port: found 'https', expected a whole number"),
        (
            "{dns: {name: a.b, port: 1, resolver: x}}",
            "dns.resolver: found 'x', expected an IP addr",
        ),
        ("{dns: {name: a.b, port: 1, resolver: x}}", "), or system"),
        ("{dns: {name: a.b, port: 1, every: 5}}", "did you mean 5s?"),
        ("{dns: {name: a.b, port: 1, every: 0s}}", "expected a duration from 1s to 1h"),
        ("{dns: {name: a.b, port: 1, allow_loopback: x}}", "found 'x', expected true or false"),
        ("{dns: {name: a.b, port: 1, resolvr: x}}", "3:42: pools.app[0].dns.resolvr: unknown key"),
        ("{dns: {name: a.b, port: 1, resolvr: x}}", "(did you mean resolver?)"),
        ("{dns: {name: a.b, port: 1}, weight: 0}", "pools.app[0].weight: found 0"),
        (
            "{dns: {name: a.b, port: 1}, address: '10.0.0.1:1'}",
            "3:43: pools.app[0].address: a backend has an address or is found by DNS: leave out th",
        ),
        (
            "{dns: {name: a.b, port: 1}, name: x}",
            "3:43: pools.app[0].name: what DNS finds is called by its address: leave the name out",
        ),
        ("{kubernetes: {}}", "3:28: pools.app[0].kubernetes.service: is missing"),
        ("{kubernetes: a/b}", "kubernetes: found 'a/b', expected a mapping {service, port, …}"),
        (
            "{kubernetes: {service: a/b/c, port: 1}}",
            "kubernetes.service: found 'a/b/c', expected a Service, NAMESPACE/NAME",
        ),
        ("{kubernetes: {service: a/B, port: 1}}", "found 'a/B', expected a Service"),
        ("{kubernetes: {service: a, port: 0}}", "port: found 0, expected the name of a port, or"),
        ("{kubernetes: {service: a, port: '1'}}", "found '1', expected the name of a port"),
        ("{kubernetes: {service: a, port: 1, every: 5s}}", "kubernetes.every: unknown key"),
        (
            "{kubernetes: {service: a, port: 1}, name: x}",
            "pools.app[0].name: what Kubernetes finds is called by its pod: leave the name out",
        ),
        (
            "{kubernetes: {service: a, port: 1}, address: '10.0.0.1:1'}",
            "pools.app[0].address: a backend has an address or is found: leave out this",
        ),
        (
            "{dns: {name: a.b, port: 1}, kubernetes: {service: a, port: 1}}",
            "pools.app[0].kubernetes: a backend is found in one way: leave out this or `dns`",
        ),
        (
            "{address: '10.0.0.1:1', proxy_protocol: v3}",
            "3:55: pools.app[0].proxy_protocol: found 'v3', expected off, v1 or v2",
        ),
        ("unix:a", "3:15: pools.app[0]: found 'unix:a', expected unix: and an absolute path, such"),
        ("unix:/a/", "(did you mean unix:/a?)"),
        ("{name: x}", "3:15: pools.app[0].address: is missing"),
    ],
)
def test_backends_have_a_form(text: str, said: str) -> None:
    """What does not fit is refused where it stands, with what would."""
    assert said in messages_of(with_backend(text))


@pytest.mark.parametrize("text", ["unix:a", "{dns: a.b}", "{dns: {name: 5, port: 1}}", "5"])
def test_a_mistake_is_one(text: str) -> None:
    """Nothing follows from it: no name, no other kind of backend."""
    (mistake,) = mistakes_of(with_backend(text))
    assert mistake.line == 3
