"""Orders: the newest only, each with a deadline; a failure is told once, and tried again."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial

import pytest

from l4proxy.actuators import ActuatorError, Order, Refusal, Victim
from l4proxy.control.scaling import orders as module
from l4proxy.control.scaling.orders import MAX_REFUSALS, Orders
from routing import Address
from tests.l4proxy.control.scaling.stand import APP, A, B, Hand

HERE = Address("127.0.0.1", 1)
REFUSAL = Refusal(APP, A, HERE, 1.0, "measurement", "measurement: another one")


def order(desired: int, number: int = 7, sessions: int = 0) -> Order:
    """An order for so many, with one backend that drains."""
    return Order(APP, number, 1.0, 3, desired, (Victim(B, HERE, sessions),))


@contextlib.asynccontextmanager
async def working(hand: Hand) -> AsyncIterator[Orders]:
    """Orders that are handed over."""
    orders = Orders("app by a test", hand)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(orders.run())
        yield orders
        task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
        await asyncio.sleep(0.001)


def _has(orders: list[Order], count: int) -> bool:
    return len(orders) == count


def _failed(orders: Orders, count: int) -> bool:
    return orders.failures == count


async def test_an_order_is_carried_out_once() -> None:
    """The same again changes nothing, whatever its time and the sessions; another one does."""
    hand = Hand()
    async with working(hand) as orders:
        orders.give(order(3))
        await until(lambda: orders.applied)
        orders.give(order(3, number=9, sessions=5))
        await asyncio.sleep(0.01)
        assert len(hand.orders) == 1
        orders.give(order(4, number=7))
        await until(lambda: len(hand.orders) == 2)
    assert [(each.desired, each.number) for each in hand.orders] == [(3, 7), (4, 8)]
    assert (orders.failures, orders.fault) == (0, None)


async def test_an_order_is_repeated_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have undone it; it keeps its number."""
    monkeypatch.setattr(module, "REPEAT_SECONDS", 0.0)
    hand = Hand()
    async with working(hand) as orders:
        for count in (1, 2):
            orders.give(order(3, number=count))
            await until(partial(_has, hand.orders, count))
    assert [each.number for each in hand.orders] == [1, 1]


async def test_a_failure_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """With the next round, as the order is by then; success is told, too."""
    caplog.set_level(logging.INFO)
    hand = Hand()
    hand.error = ActuatorError("the API server: found status 503")
    async with working(hand) as orders:
        for count in (1, 2):
            orders.give(order(3))
            await until(partial(_failed, orders, count))
        assert orders.fault == "the API server: found status 503"
        assert caplog.text.count("found status 503") == 1
        hand.error = None
        orders.give(order(5))
        await until(lambda: orders.applied)
    assert hand.orders[0].desired == 5
    assert "scaling of app by a test: order 8 is carried out" in caplog.text


async def test_a_slow_actuator_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile orders come and go: of those only the newest is handed over afterwards."""
    monkeypatch.setattr(module, "ORDER_SECONDS", 0.02)
    hand = Hand()
    hand.slow = True
    async with working(hand) as orders:
        orders.give(order(3))
        await until(lambda: orders.failures == 1)
        assert orders.fault == "found no end within 0 s"
        hand.slow = False
        for desired in (4, 5, 6):
            orders.give(order(desired))
        await until(lambda: orders.applied)
    assert [each.desired for each in hand.orders] == [6]


async def test_a_bug_of_an_actuator_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with all that is known, and counts as a failure."""
    hand = Hand()
    hand.error = ZeroDivisionError("oops")
    async with working(hand) as orders:
        orders.give(order(3))
        await until(lambda: orders.failures)
    assert orders.fault == "internal"
    assert "ZeroDivisionError: oops" in caplog.text


class Odd(Hand):
    """An actuator that fails as no coroutine does."""

    def apply(self, order: Order) -> Coroutine[None, None, None]:
        """Fail before there is anything to wait for, or be cancelled by nobody."""
        if not self.orders:
            self.orders.append(order)
            raise ZeroDivisionError
        return self._cancelled()

    async def _cancelled(self) -> None:
        raise asyncio.CancelledError


async def test_whatever_an_actuator_does_orders_go_on() -> None:
    """Neither an error before the wait nor a cancellation of its own ends the balancer's part."""
    async with working(Odd()) as orders:
        orders.give(order(3))
        await until(partial(_failed, orders, 1))
        assert orders.fault == "internal"
        orders.give(order(3))
        await until(partial(_failed, orders, 2))
        assert orders.fault == "cancelled itself"


class Hushed(Hand):
    """An actuator that does not take refusals at first."""

    deaf = True

    async def notify(self, refusal: Refusal) -> None:
        """Fail once."""
        if self.deaf:
            self.deaf = False
            raise ActuatorError("the hook: found status 503")
        await super().notify(refusal)


async def test_a_refusal_is_told_until_it_is_heard() -> None:
    """Between two tries the newest order has its turn."""
    hand = Hushed()
    async with working(hand) as orders:
        orders.give(order(3))
        orders.refused(REFUSAL)
        await until(partial(_failed, orders, 1))
        assert hand.refusals == []
        orders.give(order(4))
        await until(lambda: hand.refusals)
    assert (hand.refusals, hand.orders[-1].desired) == ([REFUSAL], 4)


class Serving(Hand):
    """An actuator that cannot serve at first, in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = [ActuatorError("its address is taken"), OSError("odd")]

    async def run(self) -> None:
        """Fail, fail, and serve."""
        if self.faults:
            raise self.faults.pop(0)
        await asyncio.Event().wait()


async def test_an_actuator_that_cannot_serve_is_revived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failures are told, and after a rest it tries again."""
    monkeypatch.setattr(module, "REVIVE_SECONDS", 0.0)
    hand = Serving()
    async with working(hand) as orders:
        await until(lambda: not hand.faults)
    assert orders.failures == 2
    assert "its address is taken" in caplog.text
    assert "OSError: odd" in caplog.text


async def test_refusals_are_passed_on_and_bounded() -> None:
    """Where the actuator wants to hear of them; of too many the oldest are dropped."""
    hand = Hand()
    orders = Orders("app by a test", hand)
    for _ in range(MAX_REFUSALS + 9):
        orders.refused(REFUSAL)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(orders.run())
        await until(lambda: len(hand.refusals) == MAX_REFUSALS)
        task.cancel()
    assert hand.refusals == [REFUSAL] * MAX_REFUSALS


class Deaf:
    """An actuator that has no ear for refusals."""

    async def run(self) -> None:
        """Have nothing to serve."""

    async def apply(self, order: Order) -> None:
        """Leave everything as it is."""


async def test_an_actuator_need_not_hear_of_refusals() -> None:
    """Nothing is kept for one that does not listen."""
    orders = Orders("app by a test", Deaf())
    orders.refused(REFUSAL)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(orders.run())
        orders.give(order(3))
        await until(lambda: orders.applied)
        task.cancel()
    assert orders.failures == 0
