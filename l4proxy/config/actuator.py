"""Which actuator a pool chooses: its name, and the actuator's own settings below it."""

from typing import Final, Protocol, runtime_checkable

from l4proxy.actuators.registry import installed_actuators
from l4proxy.config.choice import Choice, chosen
from l4proxy.config.section import Section

ActuatorChoice = Choice
"""An actuator by name, with its settings."""


@runtime_checkable
class HoldsAlone(Protocol):
    """Settings of an actuator that name something which one pool can hold at a time."""

    def held(self) -> str | None:
        """Return what that is, in words; None: nothing."""
        ...


class NoSettings(Section):
    """The settings of an actuator that has none."""


RECOMMEND_ONLY: Final = ActuatorChoice("recommend-only", NoSettings())
"""What is chosen when nothing is: decisions are shown, and nobody carries them out."""

actuator_choice: Final = chosen("an actuator", installed_actuators)
"""The annotation of the key `actuator`."""
