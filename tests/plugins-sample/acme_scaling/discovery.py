"""The discovery `acme`: the machines that stand in a file, an IP address and a port a line."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import duration, parsed
from l4proxy.config.section import Section
from l4proxy.control.directory import Changed
from l4proxy.control.found import Found
from routing import Address

MOST = 1_000


class AcmeSettings(Section):
    """What stands below its name."""

    file: Annotated[Path, parsed(parse_file_path, str, "/run/acme/machines")]
    """The file that Acme writes."""

    every: Annotated[float, duration("100ms", "1h")] = 5.0
    """How often it is read."""


class AcmeFault(StrEnum):
    """Why the set is not confirmed."""

    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class AcmeStatistics:
    """What it has seen."""

    addresses: int = 0
    age: float | None = None
    fault: AcmeFault | None = None


class AcmeDiscovery:
    """The kind `acme`."""

    name = "acme"
    settings = AcmeSettings

    def make(self, settings: AcmeSettings) -> "AcmeMachines":
        """Return a source."""
        return AcmeMachines(settings)


class AcmeMachines:
    """The machines of one file."""

    def __init__(self, settings: AcmeSettings) -> None:
        """Read nothing yet."""
        self._settings = settings
        self._found: frozenset[Found] | None = None
        self._read_at = 0.0
        self._fault: AcmeFault | None = None

    async def watch(self, changed: Changed) -> None:
        """Read it again and again; what cannot be read leaves the set as it was."""
        while True:
            try:
                found = frozenset(machines(self._settings.file.read_text()))
            except (OSError, ValueError):
                self._fault = AcmeFault.UNREADABLE
            else:
                self._fault, self._read_at = None, time.monotonic()
                news, self._found = found != self._found, found
                if news:
                    changed(found)
            await asyncio.sleep(self._settings.every)

    def statistics(self) -> AcmeStatistics:
        """Return what it has seen so far."""
        if self._found is None:
            return AcmeStatistics(fault=self._fault)
        age = time.monotonic() - self._read_at
        return AcmeStatistics(len(self._found), age, self._fault)


def machines(text: str) -> Iterator[Found]:
    """Yield the machines of a file.

    Raises:
        ValueError: A line is none, or there are too many.
    """
    lines = text.splitlines()
    if len(lines) > MOST:
        raise ValueError(f"found {len(lines)} machines, expected at most {MOST}")
    for line in lines:
        host, port = line.split()
        yield Found(Address(str(ip_address(host)), int(port)))
