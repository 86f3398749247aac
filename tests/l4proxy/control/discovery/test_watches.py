"""Who is watched, and for how long."""

import asyncio
from collections.abc import Collection
from functools import partial

import pytest

from l4proxy.config import DiscoverySettings, DnsDiscoverySettings
from l4proxy.control.directory import Changed
from l4proxy.control.discovery import watches as module
from l4proxy.control.discovery.plugin import Seen
from l4proxy.control.discovery.sources import Source
from l4proxy.control.discovery.watches import Watches, WatchKey
from l4proxy.control.found import Found
from l4proxy.control.membership import SourceName
from routing import PoolName
from tests.l4proxy.control.test_workers import until

KEY: WatchKey = PoolName("app"), SourceName("dns")


def named(name: str) -> dict[WatchKey, DiscoverySettings]:
    """One source, which asks for this name."""
    asked = {"dns": {"name": name, "port": 443}}
    return {KEY: DnsDiscoverySettings.model_validate(asked)}


class Directory:
    """A source that finds nobody, after so many failures."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.begun = 0
        self.ended = 0

    async def watch(self, changed: Changed) -> None:
        """Fail, or find nobody for ever."""
        self.begun += 1
        if self.begun <= self.failures:
            raise ZeroDivisionError
        changed(())
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    def statistics(self) -> Seen:
        """Answered once it has not failed."""
        return Seen(age=0.0 if self.begun > self.failures else None)


class Scene:
    """Directories that are made for whoever is watched, and what they have found."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> None:
        self.made: list[Directory] = []
        self.heard: list[WatchKey] = []
        self.watches = Watches(self._found)

        def make(_: Source) -> Directory:
            self.made.append(Directory(failures))
            return self.made[-1]

        monkeypatch.setattr(module, "make", make)
        monkeypatch.setattr(module, "DISCOVERY_RETRY_SECONDS", 0.001)

    def has_heard(self, keys: list[WatchKey]) -> bool:
        """Whether these have found somebody, in this order, and no others."""
        return self.heard == keys

    def _found(self, pool: PoolName, source: SourceName, _: Collection[Found]) -> None:
        self.heard.append((pool, source))


async def test_a_source_is_watched_while_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named again it goes on, changed it begins anew, left out it ends."""
    scene = Scene(monkeypatch)
    async with asyncio.TaskGroup() as group:
        for name, heard in (("a.b", [KEY]), ("a.b", [KEY]), ("c.d", [KEY, KEY])):
            scene.watches.settle(named(name), group)
            await until(partial(scene.has_heard, heard))
        scene.watches.settle({}, group)
    assert [(each.begun, each.ended) for each in scene.made] == [(1, 1), (1, 1)]
    assert not list(scene.watches.statistics())


async def test_a_source_that_fails_is_watched_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A little later; until it answers, it has not."""
    scene = Scene(monkeypatch, failures=2)
    async with asyncio.TaskGroup() as group:
        scene.watches.settle(named("a.b"), group)
        assert not scene.watches.answered()
        await until(lambda: scene.heard == [KEY])
        assert scene.watches.answered() == {KEY}
        scene.watches.settle({}, group)
    assert caplog.text.count("discovery for pool app: dns") == 2
