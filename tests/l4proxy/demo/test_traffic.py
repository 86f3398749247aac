"""The traffic of the live demo: everybody acts, and the scene shows it."""

import asyncio
from collections.abc import Callable

import pytest

from l4proxy.demo import traffic
from l4proxy.demo.client import DemoClient
from l4proxy.demo.stage import APP, stage
from l4proxy.demo.traffic import NEWS_KEPT, Scene, play
from routing import BackendName

ALPHA, BETA = BackendName("alpha"), BackendName("beta")
CLIENT = DemoClient("127.1.0.1", APP)
PATIENCE = 30.0


def test_a_scene_knows_who_came_back() -> None:
    """The first visit strays from nowhere; later ones came back, or strayed."""
    scene = Scene()
    for backend in (ALPHA, ALPHA, BETA):
        scene.visited(CLIENT, backend)
    assert (scene.came_back, scene.strayed) == (2, 1)
    assert scene.visits == {ALPHA: 2, BETA: 1}


def test_news_are_the_newest() -> None:
    """Only the last lines are kept."""
    scene = Scene()
    for number in range(NEWS_KEPT + 3):
        scene.tell(str(number))
    assert [line.split()[1] for line in scene.news] == [str(n) for n in range(3, NEWS_KEPT + 3)]


async def test_everybody_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients visit, a stranger is refused, beta stops and returns, the balancer is watched."""
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
        await until(lambda: happened("UNRECOGNIZED_NAME", "beta stopped", "beta started again"))
        await until(lambda: len(scene.seen) == 4 and scene.came_back > 3)
        await ready.balancer.stop()
        await until(lambda: happened("no admin API"))
        playing.cancel()
    assert scene.status is not None


async def until(happened: Callable[[], bool]) -> None:
    """Waits for what is bound to happen."""
    while not happened():  # noqa: ASYNC110 - no event tells what can be seen
        await asyncio.sleep(0.02)
