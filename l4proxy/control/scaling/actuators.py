"""The actuators that a configuration chooses: made all at once, or every mistake is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from l4proxy.actuators import Actuator, ActuatorError
from l4proxy.actuators.registry import InstalledActuators, installed_actuators
from l4proxy.config import Config, ConfigError
from l4proxy.config.actuator import ActuatorChoice
from l4proxy.config.mistakes import Mistake
from l4proxy.plugins import BadPlugin, failure
from routing import PoolName


@dataclass(frozen=True, slots=True)
class Chosen:
    """An actuator, and the choice that it was made for."""

    choice: ActuatorChoice
    actuator: Actuator


ChosenActuators = Mapping[PoolName, Chosen]
"""The actuator of each pool that is scaled."""


class Workshop:
    """Where actuators are made: those of one workshop may share what they listen on."""

    def __init__(self) -> None:
        """Import nothing yet."""
        self._kinds: InstalledActuators | None = None

    def make(
        self, path: Path, config: Config, before: ChosenActuators = MappingProxyType({})
    ) -> ChosenActuators:
        """Return the actuators of a configuration; nothing of them is opened yet.

        Args:
            path: Of the configuration, for messages.
            config: Chooses them.
            before: Those that there are: of a pool that chooses the same it stays.

        Raises:
            ConfigError: One cannot be made. It carries every mistake found.
        """
        made, mistakes = dict[PoolName, Chosen](), list[Mistake]()
        for name, pool in config.pools.items():
            if pool.scaling is None:
                continue
            choice, old = pool.scaling.actuator, before.get(name)
            try:
                same = old is not None and old.choice == choice
                made[name] = old if old is not None and same else self._made(name, choice)
            except (ActuatorError, BadPlugin) as error:
                place = f"pools.{name}.scaling.actuator"
                mistakes.append(Mistake(str(path), 0, 0, place, str(error)))
        if mistakes:
            raise ConfigError(mistakes)
        return made

    def _made(self, pool: PoolName, choice: ActuatorChoice) -> Chosen:
        if self._kinds is None:
            self._kinds = installed_actuators()
        try:
            return Chosen(choice, self._kinds[choice.name].make(choice.settings, pool))
        except (ActuatorError, BadPlugin):
            raise
        except Exception as error:
            # A plug-in's mistake is one of the configuration that names it, and ends nothing.
            raise BadPlugin(f"the actuator {choice.name}: {failure(error)}") from error
