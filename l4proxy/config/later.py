"""Keys of the contract that later versions bring.

Such a key is a mistake unless its value switches the thing off: a key that is accepted and does
nothing fails open. Who writes `attestation: off` gets what the text says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# YAML reads a bare `off` as false.
_OFF: Final = (False, "off")


@dataclass(frozen=True, slots=True)
class Later:
    """A key of a later version: what it will do, and the values that switch it off."""

    about: str
    off: tuple[object, ...] = _OFF

    def is_off(self, value: object) -> bool:
        """Tell whether a value switches the key off."""
        # By type as well: 0 equals False, and switches nothing off.
        return any(type(value) is type(off) and value == off for off in self.off)

    @property
    def refusal(self) -> str:
        """What is said of any other value."""
        instead = "leave it out or say off" if self.off is _OFF else "leave it out"
        return f"{self.about}: not in this version; {instead}"

    @property
    def schema(self) -> dict[str, object]:
        """The JSON schema of the values that switch the key off."""
        words = [list(off) if isinstance(off, tuple) else off for off in self.off]
        return {"enum": words, "description": f"{self.about}: not in this version."}


LaterKeys = Mapping[str, Later]

POOL: Final[LaterKeys] = {
    "sticky": Later("stickiness by ticket, session id and reservation"),
    "session": Later("sessions of more than one connection", off=()),
    "attestation": Later("attestation of backends"),
    "drain": Later("draining", off=()),
    "telemetry": Later("telemetry of backends"),
    "scaling": Later("scaling"),
}

DISCOVERY: Final = {"kubernetes": "a backend found by Kubernetes"}
"""Keys that take the place of a backend's address in later versions."""

BALANCE: Final = ("random_two", "round_robin", "load")
"""Words of `balance` that later versions bring."""

COUNT: Final = ("sessions",)
"""Words of `capacity.count` that later versions bring."""
