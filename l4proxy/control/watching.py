"""How the backends of a pool are watched: from its configuration to rules.

Those of the prober say who is well, those of the learner whose ticket a ticket is, those of the
attestor what a backend must prove.
"""

from collections.abc import Mapping

from l4proxy.config import HealthSettings, HttpHealthSettings, PoolSettings, TrustMode
from l4proxy.control.attesting.policies import Policies
from l4proxy.control.attesting.revoked import Revocations
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.probe import Probe, ProbeType
from l4proxy.control.prober import HealthRules
from l4proxy.control.tickets.subject import TicketRules
from l4proxy.proxy_protocol import ProxyHeader, encode_v1, encode_v2
from l4proxy.snapshot import ProxyVersion
from routing import BackendName, PoolName
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
        _preambles(headers),
    )


def ticket_rules(
    pool: PoolSettings, headers: Mapping[BackendName, ProxyVersion]
) -> TicketRules | None:
    """Return how a pool's backends are asked for tickets; None: nobody asks them.

    Args:
        pool: Its configuration.
        headers: Those of its backends that expect a PROXY header.
    """
    if pool.sticky is None or not pool.sticky.tickets:
        return None
    return TicketRules(pool.server_name, preambles=_preambles(headers))


def attestation_rules(
    pool: PoolSettings,
    name: PoolName,
    policies: Policies,
    headers: Mapping[BackendName, ProxyVersion],
) -> AttestationRules | None:
    """Return what a pool's backends must prove; None: nothing.

    Args:
        pool: Its configuration.
        name: Its name.
        policies: Those that the configuration names, read.
        headers: Those of its backends that expect a PROXY header.
    """
    asked = pool.attestation
    if asked is None:
        return None
    return AttestationRules(
        policies.pools[name],
        policies.kinds,
        asked.evidence,
        asked.every,
        enforced=asked.mode is TrustMode.ENFORCE,
        drain=pool.drain.timeout,
        server_name=pool.server_name,
        preambles=_preambles(headers),
        revoked=Revocations(asked.revoked),
    )


def _preambles(headers: Mapping[BackendName, ProxyVersion]) -> dict[BackendName, bytes]:
    return {name: _PREAMBLES[version] for name, version in headers.items()}


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
