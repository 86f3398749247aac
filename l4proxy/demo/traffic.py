"""The traffic of the live demo: clients come and go, an enclave dies, intruders try their luck."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from l4proxy.admin.backends import BackendDocument
from l4proxy.admin.client import AdminUnavailable
from l4proxy.admin.view import StatusDocument
from l4proxy.agent.certificates import Credentials
from l4proxy.client import Continuity, NotAttested
from l4proxy.demo.client import DemoClient, Visit, shortened
from l4proxy.demo.middle import Middle, own_credentials, standing_between
from l4proxy.demo.stage import API, APP, UNKNOWN, Stage

NEWS_KEPT = 8
"""News that are shown."""

VISITS_KEPT = 6
"""Visits that are shown."""

# Between two attempts of the stranger.
_STRANGER_SECONDS = 4.0

# How long beta is dead, and how long it then runs.
_OUTAGE_SECONDS = 8.0

# Between two looks at the balancer.
_WATCH_SECONDS = 0.5

# Of a visit and of the pause after it, at the most.
_REQUESTS = 6
_REQUEST_SECONDS = 0.3
_PAUSE_SECONDS = 2.0

_BETA = "beta"
_API_SHARE = 0.2


class Come(NamedTuple):
    """A visit that has ended.

    Attributes:
        when: The time of day.
        who: The client.
        visit: What came of it.

    """

    when: str
    who: str
    visit: Visit


@dataclass(slots=True)
class Scene:
    """What can be seen now.

    Attributes:
        visits: The newest, the newest last.
        standings: How often clients said what of their connections.
        cut_off: Visits that an enclave's end has ended.
        news: Refusals, failures and what the operator does, the newest last.
        status: What the balancer says of itself; None before it was asked.
        seen: What it says of the enclaves.

    """

    visits: deque[Come] = field(default_factory=lambda: deque(maxlen=VISITS_KEPT))
    standings: Counter[Continuity] = field(default_factory=Counter)
    cut_off: int = 0
    news: deque[str] = field(default_factory=lambda: deque(maxlen=NEWS_KEPT))
    status: StatusDocument | None = None
    seen: list[BackendDocument] = field(default_factory=list)

    def visited(self, client: DemoClient, visit: Visit) -> None:
        """Take note of a visit."""
        self.standings[visit.account.standing] += 1
        self.visits.append(Come(_clock(), client.name, visit))

    def tell(self, line: str) -> None:
        """Take note of something worth a line."""
        self.news.append(f"{_clock()}  {line}")


async def play(stage: Stage, scene: Scene) -> None:
    """Let everybody act until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for client in stage.clients:
            tasks.create_task(_come_and_go(client, stage, scene), name=client.name)
        tasks.create_task(_intrude(stage, scene), name="stranger")
        tasks.create_task(_fail_and_return(stage, scene), name="operator")
        tasks.create_task(_watch(stage, scene), name="watch")


async def _come_and_go(client: DemoClient, stage: Stage, scene: Scene) -> None:
    while True:
        await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - variety, no secret
        name = API if random.random() < _API_SHARE else APP  # noqa: S311 - as above
        requests = random.randint(1, _REQUESTS)  # noqa: S311 - as above
        try:
            visit = await client.visit(stage.door, name, requests, _REQUEST_SECONDS)
        except NotAttested as error:
            scene.tell(f"{client.name}: {shortened(error)}")
        except OSError:
            scene.cut_off += 1
        else:
            scene.visited(client, visit)


async def _intrude(stage: Stage, scene: Scene) -> None:
    """Ask for a name that nobody has; then stand in the middle, once with each sort of key."""
    own, victim = own_credentials(APP), stage.enclaves[0]
    while True:
        await asyncio.sleep(_STRANGER_SECONDS)
        scene.tell(f"{UNKNOWN}: {await _attempt(stage, UNKNOWN)}")
        await asyncio.sleep(_STRANGER_SECONDS)
        said = await _between(stage, Middle(stage.door, APP), own)
        scene.tell(f"man in the middle {said}")
        await asyncio.sleep(_STRANGER_SECONDS)
        said = await _between(stage, Middle(victim.address, APP), await victim.leaked())
        scene.tell(f"… with {victim.name}'s key {said}")


async def _between(stage: Stage, middle: Middle, credentials: Credentials) -> str:
    async with standing_between(middle, credentials):
        said = await _attempt(stage, APP, middle)
    return f"hears {len(middle.heard)} bytes: {said}"


async def _attempt(stage: Stage, server_name: str, middle: Middle | None = None) -> str:
    """Return what the stranger says that goes where nobody should be served."""
    door = stage.door if middle is None else middle.address
    try:
        visit = await stage.stranger.visit(door, server_name)
    except OSError as error:
        return shortened(error)
    return f"served by {visit.enclave}"


async def _fail_and_return(stage: Stage, scene: Scene) -> None:
    beta = stage.enclave(_BETA)
    while True:
        await asyncio.sleep(_OUTAGE_SECONDS)
        await beta.kill()
        scene.tell(f"{_BETA} killed: its clients go to the next enclave")
        await asyncio.sleep(_OUTAGE_SECONDS)
        await beta.start(stage.tasks)
        scene.tell(f"{_BETA} started again, with a new key: it has to prove itself")


async def _watch(stage: Stage, scene: Scene) -> None:
    while True:
        try:
            scene.status, scene.seen = await stage.status(), await stage.seen()
        except AdminUnavailable as error:
            scene.tell(str(error))
        await asyncio.sleep(_WATCH_SECONDS)


def _clock() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"
