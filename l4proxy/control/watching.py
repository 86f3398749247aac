"""How the backends of a pool are watched: from its configuration to the rules of the prober."""

from collections.abc import Mapping

from l4proxy.config import HealthSettings, HttpHealthSettings, PoolSettings
from l4proxy.control.probe import Probe, ProbeType
from l4proxy.control.prober import HealthRules
from l4proxy.proxy_protocol import ProxyHeader, encode_v1, encode_v2
from l4proxy.snapshot import ProxyVersion
from routing import BackendName
from routing.health import Rules

# "Take the connection for what it is": a probe has no client that it could tell of.
_PREAMBLES = {
    ProxyVersion.V1: encode_v1(ProxyHeader()),
    ProxyVersion.V2: encode_v2(ProxyHeader()),
}


def health_rules(
    pool: PoolSettings, headers: Mapping[BackendName, ProxyVersion]
) -> HealthRules | None:
    """Return how a pool's backends are watched; None: nobody watches them.

    Args:
        pool: Its configuration.
        headers: Those of its backends that expect a PROXY header.
    """
    if pool.health is None:
        return HealthRules(probe=None) if pool.passive_health else None
    return HealthRules(
        _probe(pool, pool.health),
        pool.health.every,
        Rules(pool.health.rise, pool.health.fall),
        {name: _PREAMBLES[version] for name, version in headers.items()},
    )


def _probe(pool: PoolSettings, health: HealthSettings) -> Probe:
    asked = Probe(ProbeType(health.type.value), health.timeout, pool.server_name)
    if not isinstance(health, HttpHealthSettings):
        return asked
    return Probe(
        asked.type,
        asked.timeout,
        asked.server_name,
        health.path,
        (health.status[0], health.status[-1]),
        health.tls,
    )
