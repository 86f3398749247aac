"""A server of the demo: it answers with its name, dies when told, and comes back."""

import asyncio
import ssl

import pytest

from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.client import DemoClient, Door
from tests.l4proxy.demo.conftest import NAME

CLIENT = DemoClient("127.1.0.1", NAME)
PATIENCE = 20.0


async def test_it_answers_each_line_with_its_name(
    alpha: DemoBackend, trust: ssl.SSLContext
) -> None:
    """Each request is answered and counted."""
    assert await CLIENT.visit(Door(alpha.address, trust), requests=3) == "alpha"
    assert alpha.requests == 3


async def test_it_keeps_its_port(alpha: DemoBackend, trust: ssl.SSLContext) -> None:
    """A server that is stopped refuses, and is back at the same address when started again."""
    door = Door(alpha.address, trust)
    await alpha.stop()
    states = [alpha.running]
    with pytest.raises(ConnectionRefusedError):
        await CLIENT.visit(door)
    await alpha.start()
    assert [*states, alpha.running] == [False, True]
    assert await CLIENT.visit(door) == "alpha"


async def test_stopping_cuts_what_is_open(alpha: DemoBackend, trust: ssl.SSLContext) -> None:
    """A client in the middle of a visit notices that its server is gone."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        visit = tasks.create_task(_visit_until_cut(Door(alpha.address, trust)))
        while not alpha.requests:  # noqa: ASYNC110 - no event tells of requests
            await asyncio.sleep(0.01)
        await alpha.stop()
        assert await visit


async def test_stopping_twice_does_nothing(alpha: DemoBackend) -> None:
    """The end of a demo need not know what its story has stopped."""
    await alpha.stop()
    await alpha.stop()


async def _visit_until_cut(door: Door) -> bool:
    try:
        await CLIENT.visit(door, requests=100_000, pause=0.01)
    except OSError:
        return True
    return False
