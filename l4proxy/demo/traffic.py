"""The traffic of the live demo: clients that come and go, a stranger, a server that fails."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime

from l4proxy.admin.backends import BackendDocument
from l4proxy.admin.client import AdminUnavailable
from l4proxy.admin.view import StatusDocument
from l4proxy.demo.client import DemoClient, Refused
from l4proxy.demo.stage import API, STRANGER, Stage
from routing import BackendName

NEWS_KEPT = 6
"""Lines of news that are shown."""

# Between two attempts of the client that asks for an unknown name.
_STRANGER_SECONDS = 4.0

# How long beta is stopped, and how long it then runs.
_OUTAGE_SECONDS = 8.0

# Between two looks at the balancer.
_WATCH_SECONDS = 0.5

# Of a visit and of the pause after it, at the most.
_REQUESTS = 6
_REQUEST_SECONDS = 0.3
_PAUSE_SECONDS = 2.0

_BETA = "beta"
_API_SHARE = 0.2


@dataclass(slots=True)
class Scene:
    """What can be seen now.

    Attributes:
        visits: By server, as clients saw it.
        homes: Where each client was last.
        came_back: Visits to the server of the visit before.
        strayed: Visits to another one.
        news: Refusals, failures and what the operator does, the newest last.
        status: What the balancer says of itself; None before it was asked.
        seen: What it says of the servers.

    """

    visits: Counter[BackendName] = field(default_factory=Counter)
    homes: dict[DemoClient, BackendName] = field(default_factory=dict)
    came_back: int = 0
    strayed: int = 0
    news: deque[str] = field(default_factory=lambda: deque(maxlen=NEWS_KEPT))
    status: StatusDocument | None = None
    seen: list[BackendDocument] = field(default_factory=list)

    def visited(self, client: DemoClient, backend: BackendName) -> None:
        """Take note of a visit."""
        before = self.homes.get(client, backend)
        self.came_back += before == backend
        self.strayed += before != backend
        self.homes[client] = backend
        self.visits[backend] += 1

    def tell(self, line: str) -> None:
        """Take note of something worth a line."""
        self.news.append(f"{datetime.now().astimezone():%H:%M:%S}  {line}")


async def play(stage: Stage, scene: Scene) -> None:
    """Let everybody act until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for client in stage.clients:
            tasks.create_task(_come_and_go(client, stage, scene), name=client.source)
        tasks.create_task(_knock(stage, scene), name="stranger")
        tasks.create_task(_fail_and_return(stage, scene), name="operator")
        tasks.create_task(_watch(stage, scene), name="watch")


async def _come_and_go(client: DemoClient, stage: Stage, scene: Scene) -> None:
    other = DemoClient(client.source, API)
    while True:
        await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - variety, no secret
        visitor = other if random.random() < _API_SHARE else client  # noqa: S311 - as above
        requests = random.randint(1, _REQUESTS)  # noqa: S311 - as above
        try:
            backend = await visitor.visit(stage.door, requests, _REQUEST_SECONDS)
        except (Refused, OSError) as error:
            scene.tell(f"{visitor.source}: {error}")
        else:
            scene.visited(visitor, backend)


async def _knock(stage: Stage, scene: Scene) -> None:
    while True:
        await asyncio.sleep(_STRANGER_SECONDS)
        try:
            backend = await STRANGER.visit(stage.door)
        except Refused as alert:
            scene.tell(f"{STRANGER.server_name} refused: the client hears {alert}")
        except OSError as error:
            scene.tell(f"{STRANGER.server_name}: {error}")
        else:
            scene.tell(f"{STRANGER.server_name} reached {backend}")


async def _fail_and_return(stage: Stage, scene: Scene) -> None:
    beta = stage.backend(_BETA)
    while True:
        await asyncio.sleep(_OUTAGE_SECONDS)
        await beta.stop()
        scene.tell(f"{_BETA} stopped; its clients go to the next server")
        await asyncio.sleep(_OUTAGE_SECONDS)
        await beta.start()
        scene.tell(f"{_BETA} started again")


async def _watch(stage: Stage, scene: Scene) -> None:
    while True:
        try:
            scene.status, scene.seen = await stage.status(), await stage.seen()
        except AdminUnavailable as error:
            scene.tell(str(error))
        await asyncio.sleep(_WATCH_SECONDS)
