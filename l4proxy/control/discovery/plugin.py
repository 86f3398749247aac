"""What a plug-in finds: whatever it fails with, it fails within its own watch."""

from dataclasses import dataclass
from enum import StrEnum

from l4proxy.config.choice import Choice
from l4proxy.control.directory import Changed, Discovery, Statistics, installed_discoveries


@dataclass(frozen=True, slots=True)
class NothingYet:
    """The statistics of a source that has not begun."""

    addresses: int = 0
    age: float | None = None
    fault: StrEnum | None = None


class PluginDiscovery:
    """A source that is made when it is first watched."""

    def __init__(self, source: Choice) -> None:
        """Ask nothing yet."""
        self.source = source
        self._made: Discovery | None = None

    async def watch(self, changed: Changed) -> None:
        """Watch until cancelled, or until the plug-in fails.

        Raises:
            BadPlugin: It is not installed any more.

        """
        kind = installed_discoveries()[self.source.name]
        self._made = kind.make(self.source.settings)
        await self._made.watch(changed)

    def statistics(self) -> Statistics:
        """Return what it has seen so far."""
        return NothingYet() if self._made is None else self._made.statistics()
