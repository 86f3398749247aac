"""The actuator `acme`: writes how many machines there are to be into a file that Acme reads."""

from pathlib import Path
from typing import Annotated

from l4proxy.actuators import ActuatorError, Order
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import parsed
from l4proxy.config.section import Section
from routing import PoolName


class AcmeSettings(Section):
    """What stands below its name."""

    file: Annotated[Path, parsed(parse_file_path, str, "/run/acme/wanted")]
    """The file that Acme reads."""


class AcmeActuator:
    """The kind `acme`."""

    name = "acme"
    settings = AcmeSettings

    def make(self, settings: AcmeSettings, pool: PoolName) -> "AcmeFile":
        """Return the actuator of a pool."""
        return AcmeFile(settings.file, pool)


class AcmeFile:
    """The actuator of one pool."""

    def __init__(self, file: Path, pool: PoolName) -> None:
        """Write into this file."""
        self._file = file
        self._pool = pool

    async def run(self) -> None:
        """Return at once: nobody asks."""

    async def apply(self, order: Order) -> None:
        """Write the number.

        Raises:
            ActuatorError: The file cannot be written.
        """
        try:
            self._file.write_text(f"{self._pool} {order.desired}\n")
        except OSError as error:
            raise ActuatorError(f"{self._file}: cannot be written: {error.strerror}") from error
