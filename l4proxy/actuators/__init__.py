"""Actuators: they carry out what scaling decides, each in the words of some other system.

    Order(pool, desired, drain, release, evict, …) → Actuator.apply(order)

A pool chooses one by name; `recommend-only`, which does nothing, is the default. The built-in ones
register as plug-ins do (`registry`): `webhook` and `command` tell the operator's own hook, `keda`
and `agones` answer what those systems ask, `kubernetes` sets the scale of an object.
"""

from l4proxy.actuators.actuator import (
    Actuator,
    ActuatorError,
    ActuatorKind,
    Notified,
    Order,
    Refusal,
    Victim,
)

__all__ = [
    "Actuator",
    "ActuatorError",
    "ActuatorKind",
    "Notified",
    "Order",
    "Refusal",
    "Victim",
]
