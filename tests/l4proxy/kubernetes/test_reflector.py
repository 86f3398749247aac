"""A list that is kept up to date loses nothing, whatever the server does to its watches."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from l4proxy.kubernetes import (
    Access,
    ApiError,
    ApiFault,
    Query,
    Reflector,
    backoff,
    client,
    reflector,
)
from l4proxy.kubernetes.objects import Object
from l4proxy.kubernetes.objects import field as at
from l4proxy.kubernetes.resources import ENDPOINT_SLICES
from tests.kubernetes_api.objects import Json
from tests.kubernetes_api.server import ApiServer, Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.waiting import until
from tests.kubernetes_api.watching import Break, gone

PATH = ENDPOINT_SLICES.path("default")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as can be."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.002)
    monkeypatch.setattr(backoff, "MOST_SECONDS", 0.01)
    monkeypatch.setattr(reflector, "LEAST_WATCH_SECONDS", 0.001)


@dataclass
class Followed:
    """A reflector at work, and what it told.

    Attributes:
        reflector: It.
        told: Each time, which value each object had.
    """

    reflector: Reflector
    told: list[dict[str, object]] = field(default_factory=list)

    def take(self, objects: Mapping[str, Object]) -> None:
        """Note what is there."""
        self.told.append({name: at(each, "value") for name, each in objects.items()})

    async def says(self, **values: object) -> None:
        """Wait until it says this."""
        await until(lambda: self.told and self.told[-1] == values)


@contextlib.asynccontextmanager
async def following(access: Access, labels: str = "") -> AsyncIterator[Followed]:
    """A reflector at work."""
    made = Followed(Reflector(lambda: access, lambda _: Query(PATH, labels)))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.reflector.run(made.take))
        try:
            yield made
        finally:
            task.cancel()


def slice_(value: object, **labels: object) -> Json:
    """An object with a value."""
    return {"metadata": {"labels": labels}, "value": value}


def lists(server: ApiServer) -> int:
    """How often the list was asked for."""
    return sum(asked.verb == "list" for asked in server.asked)


async def test_what_changes_is_told(server: ApiServer, access: Access) -> None:
    """The first list, then each change; a deletion, and what leaves the label."""
    server.add("endpointslices", "a", slice_(1, app="e"))
    server.add("endpointslices", "x", slice_(9, app="f"))
    async with following(access, "app=e") as followed:
        await followed.says(a=1)
        await until(lambda: server.watches.open)
        server.add("endpointslices", "b", slice_(2, app="e"))
        await followed.says(a=1, b=2)
        server.change("endpointslices", "a", slice_(1, app="f"))
        await followed.says(b=2)
        server.store.delete(Key("endpointslices", "default", "b"))
        await followed.says()
    assert lists(server) == 1
    assert followed.reflector.fault is None


async def test_an_empty_list_is_told_too(server: ApiServer, access: Access) -> None:
    """That there is nothing is something to know."""
    async with following(access) as followed:
        await followed.says()


async def test_a_watch_that_ends_goes_on_from_its_bookmark(
    server: ApiServer, access: Access
) -> None:
    """Nothing is listed again, though the versions between are forgotten."""
    server.add("endpointslices", "a", slice_(1))
    async with following(access) as followed:
        await until(lambda: server.watches.open)
        server.add("pods", "p", {})
        server.store.compact()
        server.watches.bookmark()
        server.watches.say(None)
        await until(lambda: server.watches.begun == 2)
        server.change("endpointslices", "a", slice_(2))
        await followed.says(a=2)
    assert lists(server) == 1


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_version_that_is_forgotten_means_a_new_list(
    server: ApiServer, access: Access, in_stream: bool
) -> None:
    """410 within a watch or before it: what went unseen is there, and what is gone is gone."""
    server.add("endpointslices", "a", slice_(1))
    server.add("endpointslices", "b", slice_(1))
    async with following(access) as followed:
        await followed.says(a=1, b=1)
        await until(lambda: server.watches.open)
        (watcher,) = server.watches.open
        server.watches.open.clear()  # this one hears no more
        server.store.delete(Key("endpointslices", "default", "a"))
        server.add("endpointslices", "c", slice_(3))
        server.store.compact()
        server.watches.open.append(watcher)
        server.watches.say(gone() if in_stream else None)
        server.watches.say(None)
        await followed.says(b=1, c=3)
    assert lists(server) == 2
    assert followed.reflector.faults == {ApiFault.GONE: 1}


async def test_versions_that_go_back_mean_a_new_list(server: ApiServer, access: Access) -> None:
    """As after a backup was played back: what is not there any more is gone."""
    server.add("endpointslices", "a", slice_(1))
    async with following(access) as followed:
        await followed.says(a=1)
        await until(lambda: server.watches.open)
        (watcher,) = server.watches.open
        server.watches.open.clear()
        server.store.delete(Key("endpointslices", "default", "a"))
        server.store.version = 7
        server.watches.open.append(watcher)
        server.watches.bookmark()
        await followed.says()
    assert followed.reflector.faults == {ApiFault.GONE: 1}


async def test_a_version_that_is_refused_means_a_new_list(
    server: ApiServer, access: Access
) -> None:
    """It would be refused for ever."""
    server.add("endpointslices", "a", slice_(1))
    server.faults.append(Fault(400, "watch=true"))
    async with following(access):
        await until(lambda: server.watches.open)
    assert lists(server) == 2


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault(500), ApiFault.SERVER),
        (Fault(429, headers={"Retry-After": "0"}), ApiFault.BUSY),
        (Fault(403), ApiFault.FORBIDDEN),
        (Fault(0, times=2), ApiFault.UNREACHABLE),
        (Fault(200, body=b'{"items": []}'), ApiFault.MALFORMED),
    ],
)
async def test_a_server_in_trouble_is_asked_again(
    server: ApiServer,
    access: Access,
    fault: Fault,
    word: ApiFault,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Until it answers; what was wrong is counted and told once."""
    server.add("endpointslices", "a", slice_(1))
    server.faults.append(replace(fault, times=3 * fault.times))
    caplog.set_level("INFO", "l4proxy.kubernetes")
    async with following(access) as followed:
        await followed.says(a=1)
    assert followed.reflector.faults[word] == 3
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert (len(warnings), "answers again" in caplog.text) == (1, True)


async def test_a_broken_watch_loses_nothing(server: ApiServer, access: Access) -> None:
    """A reset in the middle of a line: the watch goes on from the last whole one."""
    server.add("endpointslices", "a", slice_(1))
    async with following(access) as followed:
        await until(lambda: server.watches.open)
        server.change("endpointslices", "a", slice_(2))
        await followed.says(a=2)
        server.watches.say(Break(b'{"type":"DELETED","object":{"metadata":{"name":"a"'))
        await until(lambda: server.watches.begun == 2)
        server.change("endpointslices", "a", slice_(3))
        await followed.says(a=3)
    assert lists(server) == 1
    assert {"a": 2} in followed.told


async def test_nonsense_in_a_watch_means_a_new_list(server: ApiServer, access: Access) -> None:
    """What is no event, or an object without name or version: it is not known where we are."""
    nonsense: list[Json] = [
        {"type": "MODIFIED", "object": {"metadata": {"resourceVersion": "999"}}},
        {"type": "MODIFIED", "object": {"metadata": {"name": "a"}}},
        {"type": "OTHER", "object": {}},
    ]
    server.add("endpointslices", "a", slice_(1))
    async with following(access) as followed:
        for number, each in enumerate(nonsense, 1):
            await until(lambda: server.watches.begun == number and server.watches.open)  # noqa: B023 - called at once
            server.watches.say(each)
            await until(lambda: lists(server) == number + 1)  # noqa: B023 - as above
        await followed.says(a=1)
    assert followed.reflector.faults == {ApiFault.MALFORMED: 3}


async def test_a_list_that_grows_without_end_is_refused(
    server: ApiServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its watch, too."""
    monkeypatch.setattr(client, "MAX_ITEMS", 2)
    monkeypatch.setattr(reflector, "MAX_ITEMS", 2)
    async with following(access) as followed:
        await until(lambda: server.watches.open)
        for name in ("a", "b", "c"):
            server.add("endpointslices", name, slice_(1))
        await until(lambda: followed.reflector.faults[ApiFault.TOO_LARGE] > 1)
    assert all(len(told) <= 2 for told in followed.told)


async def test_credentials_are_loaded_again_after_a_failure(
    server: ApiServer, access: Access
) -> None:
    """Those that are missing, and those that are refused."""
    ways = iter([None, replace(access, token=lambda: "wrong"), access])
    last = access

    def load() -> Access:
        found = next(ways, last)
        if found is None:
            raise ApiError(ApiFault.CREDENTIALS, "none yet")
        return found

    told: list[int] = []
    watcher = Reflector(load, lambda _: Query(PATH))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watcher.run(lambda objects: told.append(len(objects))))
        await until(lambda: told)
        task.cancel()
    assert watcher.faults == {ApiFault.CREDENTIALS: 1, ApiFault.UNAUTHORIZED: 1}


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_it_ends_up_with_what_is_there(
    server: ApiServer, access: Access, seed: int
) -> None:
    """Changes, resets, ends, bookmarks and compactions in any order."""
    chance = random.Random(seed)
    server.watches.piece = chance.choice([0, 3, 1000])
    names = ("a", "b", "c")
    async with following(access) as followed:
        for number in range(60):
            _disturb(server, chance, chance.choice(names), number)
            await asyncio.sleep(chance.choice([0, 0.001, 0.003]))
        server.faults.clear()
        present = {key.name: server.store.get(key)["value"] for key in server.store}
        await followed.says(**present)


def _disturb(server: ApiServer, chance: random.Random, name: str, number: int) -> None:
    key = Key("endpointslices", "default", name)
    match chance.randrange(8):
        case 0 | 1 | 2 | 3 if key not in server.store:
            server.add("endpointslices", name, slice_(number))
        case 0 | 1 | 2:
            server.change("endpointslices", name, slice_(number))
        case 3:
            server.store.delete(key)
        case 4:
            server.watches.say(
                chance.choice([Break(json.dumps({"type": 1}).encode()), None, gone()])
            )
        case 5:
            server.store.compact()
        case 6:
            server.faults.append(Fault(chance.choice([500, 410, 0, 429])))
        case _:
            server.watches.bookmark()
