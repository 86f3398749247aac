"""What a configuration names, loaded: keys, policies, sources and actuators, all or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from l4proxy.config import Config
from l4proxy.control.attesting.policies import Policies, load_policies
from l4proxy.control.routing_keys import load_routing_keys
from l4proxy.control.scaling.actuators import ChosenActuators, Workshop
from l4proxy.control.scrape import TelemetryRules
from l4proxy.control.scrape.rules import load_telemetry
from l4proxy.routable import RoutingKeys
from routing import PoolName


@dataclass(frozen=True, slots=True)
class Named:
    """What a configuration names.

    Attributes:
        keys: The routing keys of each pool that has any.
        policies: What backends must prove.
        telemetry: How the backends of each pool tell of their load, where they do.
        actuators: Who hears how many backends a pool is to have, of each that is scaled.
    """

    keys: Mapping[PoolName, RoutingKeys]
    policies: Policies
    telemetry: Mapping[PoolName, TelemetryRules]
    actuators: ChosenActuators


def load_named(
    path: Path,
    config: Config,
    workshop: Workshop,
    before: ChosenActuators = MappingProxyType({}),
) -> Named:
    """Return what a configuration names.

    Args:
        path: Of the configuration: where relative paths begin.
        config: Names it.
        workshop: Makes the actuators.
        before: Those that there are, which stay where the same are chosen.

    Raises:
        ConfigError: Something of it cannot be used.
    """
    return Named(
        load_routing_keys(path, config),
        load_policies(path, config),
        load_telemetry(path, config),
        workshop.make(path, config, before),
    )
