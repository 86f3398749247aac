"""The numbers that others ask for, and the one listener that all pools of it share."""

import asyncio

import pytest

from l4proxy.actuators import ActuatorError
from l4proxy.actuators.board import Asked, Desk, OrderBoard, OrderedNumber
from routing import PoolName
from tests.l4proxy.actuators.orders import order

PATIENCE = 20.0
A, B = PoolName("a"), PoolName("b")


async def test_who_waits_hears_another_number_at_once() -> None:
    """The first order too, and never the same number twice."""
    answer = OrderedNumber()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(answer.other_than(None))
        await asyncio.sleep(0)
        assert not first.done()
        answer.change(3)
        assert await first == 3
        second = tasks.create_task(answer.other_than(3))
        await asyncio.sleep(0)
        answer.change(3)
        await asyncio.sleep(0)
        assert not second.done()
        answer.change(0)
        assert await second == 0
    assert await answer.other_than(3) == 0


def test_a_pool_that_left_is_told_of_no_more() -> None:
    """Unless another actuator has taken its place meanwhile."""
    board, old, new = OrderBoard(), OrderedNumber(), OrderedNumber()
    board.enter(A, old)
    board.enter(A, new)
    board.leave(A, old)
    assert board.find("a") is new
    board.leave(A, new)
    assert board.find("a") is None


class Listener:
    """Serves one at a time, and counts."""

    def __init__(self) -> None:
        self.times = 0
        self.open = 0
        self.opened = asyncio.Event()
        self.fault = ""

    async def serve(self, _: OrderBoard) -> None:
        """Serves until cancelled."""
        if self.fault:
            raise ActuatorError(self.fault)
        self.times += 1
        self.open += 1
        self.opened.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.open -= 1


async def test_one_serves_for_all_and_the_next_takes_its_place() -> None:
    """So a pool that is removed takes nothing from the others."""
    listener = Listener()
    desk = Desk(listener.serve)
    first, second = Asked(desk, A), Asked(desk, B)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.run()) for one in (first, second)]
        await listener.opened.wait()
        await asyncio.sleep(0)
        assert listener.open == 1
        await second.apply(order(4))
        found = desk.board.find("b")
        assert found is not None
        assert found.desired == 4
        listener.opened.clear()
        running[0].cancel()
        await listener.opened.wait()
        assert (listener.open, listener.times) == (1, 2)
        assert desk.board.find("a") is None
        running[1].cancel()
    assert (listener.open, desk.board.find("b")) == (0, None)


async def test_a_listener_that_cannot_open_is_told_to_each() -> None:
    """Each may try again, and keeps its number meanwhile."""
    listener = Listener()
    listener.fault = "taken"
    actuator = Asked(Desk(listener.serve), A)
    await actuator.apply(order(4))
    for _ in range(2):
        with pytest.raises(ActuatorError, match="taken"):
            await actuator.run()
