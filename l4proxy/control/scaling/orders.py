"""From decisions to an actuator: one order at a time, the newest only, each with a deadline.

However slow an actuator is, no round waits for it. What it could not carry out is told once, and
given again, as it is by then, with the next round.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from l4proxy.actuators import Actuator, ActuatorError, Notified, Order, Refusal

log = logging.getLogger(__name__)

ORDER_SECONDS: Final = 10.0
"""How long an actuator may take for an order: two rounds, then the newest is the better one."""

REPEAT_SECONDS: Final = 60.0
"""How often an order is given again that was carried out: somebody else may have undone it."""

REVIVE_SECONDS: Final = 5.0
"""How long an actuator rests that could not serve."""

MAX_REFUSALS: Final = 64
"""News of refused evidence that wait for a slow actuator; then the oldest is dropped."""


class Orders:
    """What one actuator is to do, and how it fares.

    Attributes:
        failures: Times that it did not do it.
        fault: Why it did not, the last time; None: all is well.
        applied: The order that it carried out last; None: none yet.
    """

    def __init__(self, called: str, actuator: Actuator) -> None:
        """Have nothing to do yet.

        Args:
            called: The pool and the actuator, for the log.
            actuator: Who does it.
        """
        self.failures = 0
        self.fault: str | None = None
        self.applied: Order | None = None
        self._called = called
        self._actuator = actuator
        self._newest: Order | None = None
        self._applied_at = 0.0
        self._refusals: deque[Refusal] = deque(maxlen=MAX_REFUSALS)
        self._news = asyncio.Event()

    def give(self, order: Order) -> None:
        """Have an order carried out, if it is another one, or the last one was not or long ago.

        Its number is that of the order before it where it says the same.
        """
        before = self._newest
        same = before is not None and _said(order) == _said(before)
        if before is not None:
            number = before.number if same else max(order.number, before.number + 1)
            order = replace(order, number=number)
        self._newest = order
        stale = time.monotonic() - self._applied_at >= REPEAT_SECONDS
        if not same or self.fault is not None or stale:
            self._news.set()

    def refused(self, refusal: Refusal) -> None:
        """Have it told that evidence was refused, if the actuator wants to hear of that."""
        if isinstance(self._actuator, Notified):
            self._refusals.append(refusal)
            self._news.set()

    async def run(self) -> None:
        """Let the actuator serve, and hand it what there is, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_serving(), name=f"actuator of {self._called}")
            while True:
                await self._news.wait()
                self._news.clear()
                await self._hand_over()

    async def _keep_serving(self) -> None:
        while True:
            try:
                await self._actuator.run()
            except ActuatorError as error:
                self._failed(str(error))
            except Exception:  # a bug of an actuator must not end the balancer
                log.exception("scaling of %s", self._called)
                self._failed("internal")
            else:
                return
            await asyncio.sleep(REVIVE_SECONDS)

    async def _hand_over(self) -> None:
        order = self._newest
        if order is not None and await self._done(partial(self._actuator.apply, order)):
            self.applied, self._applied_at = order, time.monotonic()
            if self.fault is not None:
                log.info("scaling of %s: order %d is carried out", self._called, order.number)
            self.fault = None
        while self._refusals and isinstance(self._actuator, Notified):
            told = self._refusals[0]
            if not await self._done(partial(self._actuator.notify, told)):
                break  # an order may have come meanwhile: it goes first
            if self._refusals and self._refusals[0] is told:
                self._refusals.popleft()

    async def _done(self, do: Callable[[], Awaitable[None]]) -> bool:
        """Wait for the actuator, but not for ever; return whether it did what it was asked."""
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                await do()
        except ActuatorError as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed(f"found no end within {ORDER_SECONDS:.0f} s")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed("cancelled itself")  # nobody asked us to stop
        except Exception:  # a bug of an actuator must not end the balancer
            log.exception("scaling of %s", self._called)
            self._failed("internal")
        else:
            return True
        return False

    def _failed(self, why: str) -> None:
        self.failures += 1
        if self.fault != why:
            log.error("scaling of %s: %s", self._called, why)
        self.fault = why


def _said(order: Order) -> tuple[object, ...]:
    """Return what makes an order another one: not its time, its reasons, nor sessions."""
    named = (order.drain, order.release, order.evict)
    return order.desired, *(tuple(victim[:2] for victim in victims) for victims in named)
