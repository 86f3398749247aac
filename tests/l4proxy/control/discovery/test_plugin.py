"""What a plug-in finds, and what becomes of it when it fails."""

import asyncio
from collections.abc import Collection

import pytest

from l4proxy.config import PluginDiscoverySettings, parse_config
from l4proxy.config.choice import Choice
from l4proxy.control.discovery.plugin import PluginDiscovery
from l4proxy.control.discovery.sources import make, source_of
from l4proxy.control.found import Found
from l4proxy.plugins import Group
from routing import Address, PoolName
from tests.l4proxy.installing import Install, install

__all__ = ["install"]

PATIENCE = 20.0
CODE = """
import asyncio
from dataclasses import dataclass
from typing import Annotated
from l4proxy.config.scalars import whole
from l4proxy.config.section import Section
from l4proxy.control.found import Found
from routing import Address

class Settings(Section):
    port: Annotated[int, whole(1, 65535)]

@dataclass
class Seen:
    addresses: int = 0
    age: float | None = None
    fault: None = None

class Toys:
    def __init__(self, port): self.port, self.seen = port, Seen()
    def statistics(self): return self.seen
    async def watch(self, changed):
        changed([Found(Address("192.0.2.1", self.port))])
        self.seen = Seen(1, 0.0)
        await asyncio.Event().wait()

class Tee:
    name, settings = "toy", Settings
    def make(self, settings): return Toys(settings.port)
"""


def discovery_of(entry: str) -> PluginDiscovery:
    """What watches the one source of a configuration."""
    text = f'listeners: ["127.0.0.1:0"]\nroutes: {{a.b: app}}\npools: {{app: [{{{entry}}}]}}\n'
    (found,) = parse_config(text, "x").pools[PoolName("app")].discover
    assert isinstance(found, PluginDiscoverySettings)
    made = make(source_of(found))
    assert isinstance(made, PluginDiscovery)
    return made


async def test_a_plug_in_is_made_when_it_is_watched(install: Install) -> None:
    """With its settings; what it finds is told on, and its statistics are its own."""
    install(CODE, group=Group.DISCOVERY)
    discovery = discovery_of("discovery: {toy: {port: 443}}")
    before = discovery.statistics()
    assert (before.addresses, before.age, before.fault) == (0, None, None)
    told: asyncio.Queue[Collection[Found]] = asyncio.Queue()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(discovery.watch(told.put_nowait))
        assert await told.get() == [Found(Address("192.0.2.1", 443))]
        await asyncio.sleep(0)
        assert discovery.statistics().addresses == 1
        task.cancel()


async def test_a_plug_in_that_cannot_be_made_fails_its_own_watch(install: Install) -> None:
    """Not who asks for its statistics, nor who makes it."""
    install(CODE.replace("return Toys(settings.port)", "raise OSError"), group=Group.DISCOVERY)
    discovery = discovery_of("discovery: {toy: {port: 443}}")
    with pytest.raises(OSError, match=r"^$"):
        await discovery.watch(lambda _: None)
    assert discovery.statistics().age is None


@pytest.mark.parametrize("answer", ["1 / 0", "None", "Seen(None)"])
async def test_statistics_that_fail_break_nobody_elses(install: Install, answer: str) -> None:
    """What is told instead has no age, so that nobody takes its set for complete."""
    code = CODE.replace("return self.seen", f"return {answer}")
    install(code, group=Group.DISCOVERY)
    discovery = discovery_of("discovery: {toy: {port: 443}}")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        told: asyncio.Queue[Collection[Found]] = asyncio.Queue()
        task = tasks.create_task(discovery.watch(told.put_nowait))
        await told.get()
        task.cancel()
    seen = discovery.statistics()
    assert (seen.addresses, seen.age, seen.fault) == (0, None, "statistics")


def test_two_are_one_if_they_say_the_same(install: Install) -> None:
    """So a reload that changes nothing leaves it alone."""
    install(CODE, group=Group.DISCOVERY)
    one, same, other = (
        discovery_of(f"discovery: {{toy: {{port: {port}}}}}").source for port in (443, 443, 444)
    )
    assert isinstance(one, Choice)
    assert one == same != other
