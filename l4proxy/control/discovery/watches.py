"""Who is watched: each source of each pool by a task of its own, for as long as it is named.

A source that another configuration leaves as it was goes on; one that could find other addresses
begins anew.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from l4proxy.config import DiscoverySettings
from l4proxy.control.directory import Discovery, Statistics
from l4proxy.control.discovery.sources import Source, make, source_of
from l4proxy.control.found import Found
from l4proxy.control.membership import SourceName
from routing import PoolName

log = logging.getLogger(__name__)

DISCOVERY_RETRY_SECONDS = 5.0
"""How long a source rests in which a bug of ours has come up."""

WatchKey = tuple[PoolName, SourceName]
"""Whose backends a source finds, and what it is called there."""


@dataclass(frozen=True, slots=True)
class _Watch:
    """A source and the task that watches it."""

    source: Source
    discovery: Discovery
    task: asyncio.Task[None]


class Watches:
    """The sources of all pools. Their tasks are those of the group that `settle` is given."""

    def __init__(self, found: Callable[[PoolName, SourceName, Collection[Found]], None]) -> None:
        """Watch nobody yet; `found` is told each set that a source finds."""
        self._found = found
        self._watches: dict[WatchKey, _Watch] = {}

    def settle(
        self, wanted: Mapping[WatchKey, DiscoverySettings], group: asyncio.TaskGroup
    ) -> None:
        """Watch these and no others."""
        sources = {key: source_of(settings) for key, settings in wanted.items()}
        for key, watch in list(self._watches.items()):
            if sources.get(key) != watch.source:
                watch.task.cancel()
                del self._watches[key]
        for key in sources.keys() - self._watches.keys():
            discovery = make(sources[key])
            name = f"discovery {key[0]}: {key[1]}"
            task = group.create_task(self._keep_watching(key, discovery), name=name)
            self._watches[key] = _Watch(sources[key], discovery, task)

    def statistics(self) -> Iterator[tuple[PoolName, SourceName, Statistics]]:
        """Yield what each source has seen."""
        for (pool, source), watch in self._watches.items():
            yield pool, source, watch.discovery.statistics()

    def answered(self) -> set[WatchKey]:
        """Return the sources that have answered since they are watched."""
        return {
            (pool, source)
            for pool, source, seen in self.statistics()
            if seen.age is not None or seen.addresses
        }

    async def _keep_watching(self, key: WatchKey, discovery: Discovery) -> None:
        def changed(found: Collection[Found]) -> None:
            self._found(*key, found)

        while True:
            try:
                await discovery.watch(changed)
            except Exception:  # a directory that finds a bug of ours must not end the balancer
                log.exception("discovery for pool %s: %s", *key)
                await asyncio.sleep(DISCOVERY_RETRY_SECONDS)
