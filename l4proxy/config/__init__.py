"""The configuration: read, checked, explained.

`load_config` turns a file into a frozen `Config`, or into a `ConfigError` that carries every
mistake with its line and column. `effective` writes a `Config` out with every default, `lint` says
what is allowed but perhaps not meant, `json_schema` is for editors.
"""

from l4proxy.config.attestation import AttestationSettings, EvidenceSource, TrustMode
from l4proxy.config.backends import (
    BackendSettings,
    DiscoverySettings,
    DnsDiscoverySettings,
    DnsSettings,
    KubernetesDiscoverySettings,
    PluginDiscoverySettings,
    ProxyProtocol,
)
from l4proxy.config.effective import effective
from l4proxy.config.health import HealthSettings, HealthType, HttpHealthSettings
from l4proxy.config.kubernetes import KubernetesSettings
from l4proxy.config.lint import Advice, Machine, lint
from l4proxy.config.load import load_config, parse_config
from l4proxy.config.mistakes import ConfigError, Mistake
from l4proxy.config.model import (
    AdminSettings,
    Config,
    LimitSettings,
    ListenerSettings,
    LogClients,
    RouteSettings,
    RuleSettings,
    ShutdownSettings,
    Stream,
)
from l4proxy.config.pools import CapacitySettings, Count, PoolSettings, TimeoutSettings
from l4proxy.config.schema import json_schema
from l4proxy.config.sticky import (
    DrainSettings,
    ExternalPskSettings,
    SessionSettings,
    StickySettings,
)

__all__ = [
    "AdminSettings",
    "Advice",
    "AttestationSettings",
    "BackendSettings",
    "CapacitySettings",
    "Config",
    "ConfigError",
    "Count",
    "DiscoverySettings",
    "DnsDiscoverySettings",
    "DnsSettings",
    "DrainSettings",
    "EvidenceSource",
    "ExternalPskSettings",
    "HealthSettings",
    "HealthType",
    "HttpHealthSettings",
    "KubernetesDiscoverySettings",
    "KubernetesSettings",
    "LimitSettings",
    "ListenerSettings",
    "LogClients",
    "Machine",
    "Mistake",
    "PluginDiscoverySettings",
    "PoolSettings",
    "ProxyProtocol",
    "RouteSettings",
    "RuleSettings",
    "SessionSettings",
    "ShutdownSettings",
    "StickySettings",
    "Stream",
    "TimeoutSettings",
    "TrustMode",
    "effective",
    "json_schema",
    "lint",
    "load_config",
    "parse_config",
]
