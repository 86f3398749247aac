"""The publisher: every worker gets the newest, and it is known when all decide by it."""

import asyncio

import pytest

from l4proxy.config import parse_config
from l4proxy.control import publisher as module
from l4proxy.control.plan import Cells, Resources, plan
from l4proxy.control.publisher import Publisher
from l4proxy.control.workers import Seat
from l4proxy.messages import Publish

TEXT = 'listeners: ["127.0.0.1:0"]\nroutes: {a.b: app}\npools: {app: ["127.0.0.1:1"]}\n'
SNAPSHOT = plan(parse_config(TEXT, "publisher"), Cells(), Resources(1, 1_064))


class Sitting(Seat):
    """A seat whose worker obeys when a test says so."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()
        self.applied = 0
        self.heard: list[Publish] = []

    def publish(self, snapshot: Publish) -> None:
        """Note what was sent."""
        self.heard.append(snapshot)


@pytest.fixture
def seats() -> list[Sitting]:
    """Two workers."""
    return [Sitting(), Sitting()]


@pytest.fixture
def changed() -> asyncio.Event:
    """Whether something has changed that was not sent."""
    return asyncio.Event()


@pytest.fixture
def publisher(seats: list[Sitting], changed: asyncio.Event) -> Publisher:
    """Nothing was sent yet."""
    return Publisher(seats, changed, asyncio.Event())


def test_everybody_gets_the_same(publisher: Publisher, seats: list[Sitting]) -> None:
    """Numbered from one."""
    publisher.publish(SNAPSHOT)
    publisher.publish(SNAPSHOT)
    assert publisher.version == 2
    assert [each.version for each in seats[0].heard] == [1, 2]
    assert seats[0].heard == seats[1].heard


def test_what_was_said_since_is_in_the_next_version(
    publisher: Publisher, changed: asyncio.Event
) -> None:
    """If anything was said."""
    publisher.publish(SNAPSHOT)
    assert publisher.promised() == 1
    changed.set()
    assert publisher.promised() == 2


def test_a_version_is_obeyed_when_all_workers_are_there_and_decide_by_it(
    publisher: Publisher, seats: list[Sitting]
) -> None:
    """A worker that is being replaced is not there."""
    publisher.publish(SNAPSHOT)
    assert not publisher.obeyed(1)
    seats[0].applied = seats[1].applied = 1
    assert publisher.obeyed(1)
    assert not publisher.obeyed(2)
    seats[1].ready.clear()
    assert not publisher.obeyed(1)


async def test_who_waits_is_told_when_no_client_meets_an_older_one(
    publisher: Publisher, seats: list[Sitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is not there serves nobody; one that stands still is waited for a while."""
    publisher.publish(SNAPSHOT)
    seats[0].applied = 1
    seats[1].ready.clear()
    assert await publisher.settled(1)
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.01)
    assert not await publisher.settled(2)
