"""Actuators that are installed, found and loaded as plug-ins are."""

from pydantic import BaseModel

from l4proxy.actuators.actuator import ActuatorKind
from l4proxy.plugins import Group, Installed, configured_parts

InstalledActuators = Installed[ActuatorKind[BaseModel]]
"""The actuators by name. One that serves for several pools shares its listener among all that were
made by the same `InstalledActuators`."""


def installed_actuators() -> InstalledActuators:
    """Return the actuators that the configuration may name here.

    Raises:
        BadPlugin: Not even our own are registered: l4proxy was not installed as it is now.

    """
    return configured_parts(Group.ACTUATORS)
