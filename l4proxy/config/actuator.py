"""Which actuator a pool chooses: its name, and the actuator's own settings below it."""

from typing import Final

from l4proxy.actuators.registry import installed_actuators
from l4proxy.config.choice import Choice, chosen
from l4proxy.config.section import Section

ActuatorChoice = Choice
"""An actuator by name, with its settings."""


class NoSettings(Section):
    """The settings of an actuator that has none."""


RECOMMEND_ONLY: Final = ActuatorChoice("recommend-only", NoSettings())
"""What is chosen when nothing is: decisions are shown, and nobody carries them out."""

actuator_choice: Final = chosen("an actuator", installed_actuators)
"""The annotation of the key `actuator`."""
