"""From what the configuration says of discovery to what is watched."""

from l4proxy.config import (
    DiscoverySettings,
    DnsDiscoverySettings,
    DnsSettings,
    KubernetesDiscoverySettings,
    KubernetesSettings,
    PluginDiscoverySettings,
)
from l4proxy.config.choice import Choice
from l4proxy.control.directory import Discovery
from l4proxy.control.discovery.dns import DnsDiscovery, DnsSource
from l4proxy.control.discovery.kubernetes import KubernetesDiscovery, KubernetesSource
from l4proxy.control.discovery.plugin import PluginDiscovery

Source = DnsSource | KubernetesSource | Choice
"""What is watched; of two that are equal one task does."""


def source_of(settings: DiscoverySettings) -> Source:
    """Return what is to be watched for an entry of a pool."""
    match settings:
        case DnsDiscoverySettings(dns=asked):
            return _dns(asked)
        case KubernetesDiscoverySettings(kubernetes=asked):
            return _kubernetes(asked)
        case PluginDiscoverySettings(discovery=asked):
            return asked
        case _:
            raise TypeError(f"no source of discovery: {settings!r}")


def make(source: Source) -> Discovery:
    """Return what watches a source."""
    if isinstance(source, DnsSource):
        return DnsDiscovery(source)
    if isinstance(source, KubernetesSource):
        return KubernetesDiscovery(source)
    return PluginDiscovery(source)


class Dns:
    """What finds the addresses of a name, as it is registered."""

    name = "dns"
    settings = DnsSettings

    def make(self, settings: DnsSettings) -> Discovery:
        """Return what asks for that name."""
        return DnsDiscovery(_dns(settings))


class Kubernetes:
    """What finds the endpoints of a Service, as it is registered."""

    name = "kubernetes"
    settings = KubernetesSettings

    def make(self, settings: KubernetesSettings) -> Discovery:
        """Return what watches that Service."""
        return KubernetesDiscovery(_kubernetes(settings))


def _dns(asked: DnsSettings) -> DnsSource:
    return DnsSource(
        name=str(asked.name),
        port=asked.port,
        resolver="system" if asked.resolver is None else asked.resolver,
        allow_loopback=asked.allow_loopback,
        every=asked.every,
    )


def _kubernetes(asked: KubernetesSettings) -> KubernetesSource:
    return KubernetesSource(
        service=asked.service.name,
        port=asked.port,
        namespace=asked.service.namespace,
        kubeconfig=asked.kubeconfig,
        allow_loopback=asked.allow_loopback,
    )
