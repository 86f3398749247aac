"""What scaling, telemetry and the rest of a pool ask of each other.

It looks at pools whose every value is right by itself, since these values depend on defaults.
"""

from collections.abc import Iterator, Mapping

from l4proxy.config.actuator import HoldsAlone
from l4proxy.config.document import Document
from l4proxy.config.mistakes import Mistake
from l4proxy.config.pools import PoolSettings
from l4proxy.config.scaling import ScalingSettings
from l4proxy.config.telemetry import telemetry_mistakes
from l4proxy.scaling.policy import BadPolicy
from routing import Balance, PoolName

_SLOTS = "needs `capacity: {sessions_per_backend: …}`"
_TELEMETRY = "needs `telemetry` of this pool, which is off"


def scaling_mistakes(
    document: Document, pools: Mapping[PoolName, PoolSettings]
) -> Iterator[Mistake]:
    """Yield every mistake that lies between scaling, telemetry and the pool that has them."""
    for name, pool in pools.items():
        for keys, message in _of_pool(pool):
            yield document.mistake(("pools", name, *keys), message, at_key=True)
    for name, message in _held_twice(pools):
        yield document.mistake(("pools", name, "scaling", "actuator"), message, at_key=True)


def _held_twice(pools: Mapping[PoolName, PoolSettings]) -> Iterator[tuple[PoolName, str]]:
    """Yield each pool whose actuator holds what that of an earlier one does, and what that is."""
    holders = dict[str, PoolName]()
    for name, pool in pools.items():
        if pool.scaling is None:
            continue
        settings: object = pool.scaling.actuator.settings
        held = settings.held() if isinstance(settings, HoldsAlone) else None
        if held is not None and (first := holders.setdefault(held, name)) != name:
            yield name, f"pools {first} and {name} both hold {held}, and only one of them can"


def _of_pool(pool: PoolSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys below a pool that a mistake is about, and what is wrong."""
    if pool.balance is Balance.LOAD and pool.telemetry is None:
        yield ("balance",), f"load {_TELEMETRY}"
    if pool.telemetry is not None:
        attested = pool.attestation is not None
        for key, message in telemetry_mistakes(pool.telemetry, attested=attested):
            yield ("telemetry", key), message
    if pool.scaling is not None:
        for keys, message in _of_scaling(pool, pool.scaling):
            yield ("scaling", *keys), message


def _of_scaling(
    pool: PoolSettings, scaling: ScalingSettings
) -> Iterator[tuple[tuple[str, ...], str]]:
    slots = pool.capacity.sessions_per_backend
    metrics = [key for key in ("metrics", "custom") if key in scaling.model_fields_set]
    try:
        policy = scaling.policy(slots)
    except BadPolicy as error:
        yield (), str(error)
        return
    if policy.metrics and pool.telemetry is None:
        yield (metrics[0],), _TELEMETRY
    if slots is None:
        if "sessions" in scaling.model_fields_set:
            yield ("sessions",), _SLOTS
        if policy.standby:
            yield ("standby",), f"{_SLOTS}: who rests wakes when few of these are free"
        if not policy.metrics and not policy.schedules:
            yield (), f"has nothing to scale by: it {_SLOTS}, or `metrics`"
