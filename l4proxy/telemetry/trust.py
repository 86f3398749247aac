"""The metrics of attestation: who has proved what it runs, for how long still, and what failed."""

import time
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from l4proxy.control.attesting.trust import TrustState
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.families import counter, gauge

_BACKEND = ("pool", "backend")


def trust_metrics(balancer: Balancer) -> Iterator[Metric]:
    """Yield each metric family with its samples; nothing of pools that ask for no proof."""
    yield from _pools(balancer)
    yield from _backends(balancer)
    pools = balancer.snapshot.pools.pools
    outcomes = balancer.roster.attestor.outcomes.items()
    yield counter(
        "attestations", "Attestations that have ended, by what came of them: accepted, the check "
        "that failed, or why there was no evidence.", ("pool", "outcome"),
        [(key, count) for key, count in outcomes if key[0] in pools],
    )  # fmt: skip
    yield gauge(
        "revocations", "Keys, measurements and chips that the API has revoked.", (),
        [((), len(balancer.roster.attestor.revocations))],
    )  # fmt: skip


def _pools(balancer: Balancer) -> Iterator[Metric]:
    enforced = gauge(
        "pool_attestation_enforced",
        "Whether backends without proof get no traffic (1), or are only reported (0).",
        ("pool",),
        (),
    )
    for pool in balancer.snapshot.pools.pools:
        rules = balancer.roster.attestor.rules(pool)
        if rules is not None:
            enforced.add_metric((pool,), rules.enforced)
    yield enforced


def _backends(balancer: Balancer) -> Iterator[Metric]:
    trust = gauge(
        "backend_trust",
        "How a backend stands (1) and how it does not (0).",
        (*_BACKEND, "state"),
        (),
    )
    ends = gauge(
        "backend_trust_ends_seconds", "Seconds until what a backend has proved ends.", _BACKEND, ()
    )
    simulated = gauge(
        "backend_simulated", "Whether a backend's evidence proves nothing (1), as no TEE made it.",
        _BACKEND, (),
    )  # fmt: skip
    now = time.time()
    for pool in balancer.snapshot.pools.pools:
        for name, found in balancer.roster.attestor.trusts(pool).items():
            for state in TrustState:
                trust.add_metric((pool, name, state.value), found.state is state)
            simulated.add_metric((pool, name), found.simulated)
            if found.admits and found.until is not None:
                ends.add_metric((pool, name), max(0.0, found.until - now))
    yield from (trust, ends, simulated)
