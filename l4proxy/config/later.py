"""Keys of the contract that later versions bring.

Such a key is a mistake unless its value switches the thing off: a key that is accepted and does
nothing fails open. Who writes `scaling: off` gets what the text says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# YAML reads a bare `off` as false.
_OFF: Final = (False, "off")


@dataclass(frozen=True, slots=True)
class Later:
    """A key of a later version, and what it will do."""

    about: str

    def is_off(self, value: object) -> bool:
        """Tell whether a value switches the key off."""
        # By type as well: 0 equals False, and switches nothing off.
        return any(type(value) is type(off) and value == off for off in _OFF)

    @property
    def refusal(self) -> str:
        """What is said of any other value."""
        return f"{self.about}: not in this version; leave it out or say off"

    @property
    def schema(self) -> dict[str, object]:
        """The JSON schema of the values that switch the key off."""
        return {"enum": list(_OFF), "description": f"{self.about}: not in this version."}


LaterKeys = Mapping[str, Later]

POOL: Final[LaterKeys] = {
    "telemetry": Later("telemetry of backends"),
    "scaling": Later("scaling"),
}

DISCOVERY: Final = {"kubernetes": "a backend found by Kubernetes"}
"""Keys that take the place of a backend's address in later versions."""

BALANCE: Final = ("load",)
"""Words of `balance` that later versions bring."""
