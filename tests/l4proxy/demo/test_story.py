"""The story checks what it says: with a fault in the balancer's place it fails."""

from collections.abc import AsyncIterator

import pytest

from l4proxy.demo import story
from l4proxy.demo.client import DemoClient, Refused
from l4proxy.demo.stage import APP, Stage, stage
from l4proxy.demo.story import Check, Story

TITLES = [
    "proved, or no traffic",
    "routed by name",
    "same client, same server",
    "unknown name refused",
    "dial failed, next server",
    "back at home",
    "all counted",
    "ended",
]


@pytest.fixture
async def ready() -> AsyncIterator[Stage]:
    """A stage with four clients."""
    async with stage(4) as found:
        yield found


async def told(ready: Stage) -> list[Check]:
    """Every check of the story."""
    return [check async for check in Story(ready).tell()]


async def test_every_step_is_good(ready: Stage) -> None:
    """On a working balancer all eight steps are."""
    checks = await told(ready)
    assert [check.title for check in checks] == TITLES
    assert all(check.good for check in checks), checks


async def test_a_stranger_that_is_served_is_a_fault(
    ready: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer that lets an unknown name in fails the check, and counts other than clients do."""
    monkeypatch.setattr(story, "STRANGER", DemoClient("127.2.0.1", APP))
    monkeypatch.setattr(story, "_COUNTED_SECONDS", 0.0)
    bad = [check.title for check in await told(ready) if not check.good]
    assert bad == ["unknown name refused", "all counted"]


async def test_a_step_that_breaks_is_the_last(ready: Stage) -> None:
    """A server that is gone when it should be there ends the story with a line, not a traceback."""
    await ready.backend("gamma").stop()
    proved, check = await told(ready)
    assert (proved.good, check.good) == (True, False)
    assert Refused.__name__ in check.found
