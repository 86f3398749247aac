"""The traffic of the live demo: everybody acts, and the scene shows it."""

import asyncio
from collections.abc import Callable

import pytest

from l4proxy.client import Continuity
from l4proxy.demo import traffic
from l4proxy.demo.client import DemoClient
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.stage import APP, stage
from l4proxy.demo.traffic import NEWS_KEPT, VISITS_KEPT, Scene, play

PATIENCE = 30.0
NEWS = (
    "unknown.example.test: tls_failed: handshake: tlsv1 unrecognized name",
    "man in the middle hears 0 bytes: refused: key_binding: ",
    "… with alpha's key hears 0 bytes: refused: exporter: ",
    "beta killed",
    "beta started again",
)


async def test_a_scene_knows_who_came_back(alpha: DemoEnclave, client: DemoClient) -> None:
    """What clients say of their connections is counted; the newest visits are kept."""
    scene = Scene()
    for _ in range(VISITS_KEPT + 1):
        scene.visited(client, await client.visit(alpha.address, APP))
    assert scene.standings == {Continuity.FRESH: 1, Continuity.RESUMED: VISITS_KEPT}
    assert {come.visit.account.standing for come in scene.visits} == {Continuity.RESUMED}
    assert {come.who for come in scene.visits} == {client.name}


def test_news_are_the_newest() -> None:
    """Only the last lines are kept."""
    scene = Scene()
    for number in range(NEWS_KEPT + 3):
        scene.tell(str(number))
    assert [line.split()[1] for line in scene.news] == [str(n) for n in range(3, NEWS_KEPT + 3)]


async def test_everybody_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients visit, intruders are refused, beta dies and returns, the balancer is watched."""
    for name in ("_STRANGER_SECONDS", "_OUTAGE_SECONDS", "_WATCH_SECONDS"):
        monkeypatch.setattr(traffic, name, 0.2)
    monkeypatch.setattr(traffic, "_REQUEST_SECONDS", 0.01)
    monkeypatch.setattr(traffic, "_PAUSE_SECONDS", 0.05)
    scene = Scene()
    news: list[str] = []
    monkeypatch.setattr(Scene, "tell", lambda _, line: news.append(line))

    def happened(*lines: str) -> bool:
        return all(any(line in found for found in news) for line in lines)

    async with stage(4) as ready, asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play(ready, scene))
        await until(lambda: happened(*NEWS))
        await until(lambda: len(scene.seen) == 4 and scene.standings[Continuity.RESUMED] > 3)
        await ready.balancer.stop()
        await until(lambda: happened("no admin API", "client 1: unreachable"))
        playing.cancel()
    assert scene.status is not None


async def until(happened: Callable[[], bool]) -> None:
    """Waits for what is bound to happen."""
    while not happened():  # noqa: ASYNC110 - no event tells what can be seen
        await asyncio.sleep(0.02)
