"""Ways to find backends: the built-in ones are what every one has to be, and are found alike."""

import asyncio

import pytest

from l4proxy.control.directory import installed_discoveries
from l4proxy.control.discovery import Discovery, DnsSource, KubernetesSource
from l4proxy.control.discovery.sources import Source, make
from l4proxy.plugins import BadPlugin, Group
from tests.l4proxy.installing import Install, install

__all__ = ["install"]

SOURCES: list[Source] = [
    DnsSource("enclaves.invalid", 443),
    KubernetesSource("enclaves", "https"),
]


@pytest.mark.parametrize("source", SOURCES)
async def test_a_source_that_does_not_know_says_nothing(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has statistics from the first moment, watches until cancelled, and tells no set."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    discovery: Discovery = make(source)
    seen = discovery.statistics()
    assert (seen.addresses, seen.age, seen.fault) == (0, None, None)
    told: list[object] = []
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(discovery.watch(told.append))
        async with asyncio.timeout(20):
            while discovery.statistics().fault is None:  # noqa: ASYNC110 - it says nothing by itself
                await asyncio.sleep(0.005)
        task.cancel()
    assert not told


GOOD = """
from l4proxy.config.section import Section
class Settings(Section): ...
class Tee:
    name, settings = "toy", Settings
    def make(self, settings): ...
"""


def test_the_built_in_ways_register_as_plug_ins_do() -> None:
    """Each is loaded by the name that it is registered by."""
    assert set(installed_discoveries()) >= {"dns", "kubernetes"}
    assert {kind.name for kind in installed_discoveries().values()} >= {"dns", "kubernetes"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (GOOD.replace(", settings =", ", setting ="), "found settings None"),
        (GOOD.replace("(Section)", "(__import__('pydantic').BaseModel)"), "that take any key"),
        (GOOD.replace("make", "build"), "found no make(), expected that of DiscoveryKind"),
    ],
)
def test_a_broken_plug_in_says_whose_fault_it_is(install: Install, code: str, said: str) -> None:
    """The distribution and the class are named, and what was found."""
    install(code, group=Group.DISCOVERY)
    with pytest.raises(BadPlugin) as caught:
        installed_discoveries()["toy"]
    assert "the discovery toy of toy-tee 1.0 (toy_tee:Tee)" in str(caught.value)
    assert said in str(caught.value)
