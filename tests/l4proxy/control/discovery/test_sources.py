"""What the configuration says is what is watched."""

from pathlib import Path

import pytest

from l4proxy.config import DiscoverySettings, PluginDiscoverySettings, parse_config
from l4proxy.control.directory import installed_discoveries
from l4proxy.control.discovery import (
    DnsDiscovery,
    DnsSource,
    KubernetesDiscovery,
    KubernetesSource,
)
from l4proxy.control.discovery.plugin import PluginDiscovery
from l4proxy.control.discovery.sources import Source, make, source_of
from routing import Address, PoolName


def settings(entry: str) -> DiscoverySettings:
    """The one source of a configuration."""
    text = f'listeners: ["127.0.0.1:0"]\nroutes: {{a.b: app}}\npools: {{app: [{{{entry}}}]}}\n'
    (found,) = parse_config(text, "x").pools[PoolName("app")].discover
    return found


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ("dns: {name: a.b, port: 1}", DnsSource("a.b", 1)),
        (
            "dns: {name: a.b, port: 1, resolver: 10.0.0.2, allow_loopback: true, every: 5s}",
            DnsSource("a.b", 1, Address("10.0.0.2", 53), allow_loopback=True, every=5.0),
        ),
        ("kubernetes: {service: n/s, port: https}", KubernetesSource("s", "https", "n")),
        (
            "kubernetes: {service: s, port: 8443, kubeconfig: /k, allow_loopback: true}",
            KubernetesSource("s", 8443, None, Path("/k"), allow_loopback=True),
        ),
    ],
)
def test_every_setting_counts(entry: str, source: Source) -> None:
    """Each is taken over, and what watches it knows it."""
    assert source_of(settings(entry)) == source
    discovery = make(source)
    assert isinstance(discovery, DnsDiscovery | KubernetesDiscovery | PluginDiscovery)
    assert discovery.source == source


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("dns: {name: a.b, port: 1}", DnsDiscovery(DnsSource("a.b", 1))),
        (
            "kubernetes: {service: s, port: https}",
            KubernetesDiscovery(KubernetesSource("s", "https")),
        ),
    ],
)
def test_the_built_in_ones_are_kinds_as_well(
    entry: str, expected: DnsDiscovery | KubernetesDiscovery
) -> None:
    """By the name that they are registered by they are the same."""
    found = settings(f"discovery: {{{entry}}}")
    assert isinstance(found, PluginDiscoverySettings)
    kind = installed_discoveries()[found.discovery.name]
    made = kind.make(found.discovery.settings)
    assert isinstance(made, type(expected))
    assert made.source == expected.source


def test_another_source_is_nobodys() -> None:
    """A kind that is not known here is a mistake of ours."""
    with pytest.raises(TypeError):
        source_of(DiscoverySettings())
