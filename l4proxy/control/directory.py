"""What every way to find backends is: it watches, and tells the whole set when that has changed.

A plug-in registers a `DiscoveryKind` in the entry-point group `l4proxy.discovery`. Its code is
imported only when a pool names it: `backends: [{discovery: {NAME: {…}}}]`.
"""

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Protocol, TypeVar

from pydantic import BaseModel

from l4proxy.control.found import Found
from l4proxy.plugins import Group, Installed, configured_parts

Settings = TypeVar("Settings", bound=BaseModel)

Changed = Callable[[Collection[Found]], None]
"""Told the whole set, by a source that knows it."""


class Statistics(Protocol):
    """What a source has seen so far."""

    @property
    def addresses(self) -> int:
        """How many there are in the present set."""
        ...

    @property
    def age(self) -> float | None:
        """Seconds since the set was confirmed; None: never yet."""
        ...

    @property
    def fault(self) -> StrEnum | None:
        """What keeps it from being confirmed at this moment; None: nothing."""
        ...


class Discovery(Protocol):
    """A source that is watched. What it waits for has deadlines, and what it finds has a bound."""

    async def watch(self, changed: Changed) -> None:
        """Watch until cancelled; call `changed` with the first set and each that differs.

        While it does not know, it says nothing: the set that it told last stays in force. An empty
        set means that there are none. An exception is logged, and the watch begins again a little
        later.
        """
        ...

    def statistics(self) -> Statistics:
        """Return what it has seen so far."""
        ...


class DiscoveryKind(Protocol[Settings]):
    """What is registered: a class that is made without arguments, and makes the sources."""

    @property
    def name(self) -> str:
        """What configurations call it: a-z, 0-9 and `-`, at most 32, as it is registered."""
        ...

    @property
    def settings(self) -> type[Settings]:
        """The mapping below its name: a `l4proxy.config.section.Section` of its own."""
        ...

    def make(self, settings: Settings) -> Discovery:
        """Return a source. Nothing is opened before it is watched, and nothing can fail."""
        ...


InstalledDiscoveries = Installed[DiscoveryKind[BaseModel]]
"""The ways to find backends, by name."""


def installed_discoveries() -> InstalledDiscoveries:
    """Return the ways to find backends that the configuration may name here.

    Raises:
        BadPlugin: Not even our own are registered: l4proxy was not installed as it is now.

    """
    return configured_parts(Group.DISCOVERY)
