"""What a plug-in finds: whatever it fails with, it fails within its own watch."""

from dataclasses import dataclass
from enum import StrEnum

from l4proxy.config.choice import Choice
from l4proxy.control.directory import Changed, Discovery, Statistics, installed_discoveries


class PluginFault(StrEnum):
    """What is wrong with a plug-in that it does not say itself."""

    STATISTICS = "statistics"
    """It cannot say what it has seen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The statistics of a source, as it tells them; nothing before it has begun."""

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
        """Return what it has seen so far, or that it cannot say: that breaks no page of all."""
        if self._made is None:
            return Seen()
        try:
            seen = self._made.statistics()
            return Seen(int(seen.addresses), seen.age and float(seen.age), seen.fault)
        except Exception:  # noqa: BLE001 - whatever it is, its fault is told
            return Seen(fault=PluginFault.STATISTICS)
