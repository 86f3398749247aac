"""The operator's own hook, whatever carries documents to it: each one arrives, at least once.

An order is up to three documents. Where one of them does not arrive, the next round sends that one
and those behind it, while the order stays the same. An order that arrived wholly and is given again
is told again, so that a hook which forgot it hears it. Its ids are the same.
"""

from collections.abc import Awaitable, Callable

from l4proxy.actuators.actuator import Order, Refusal
from l4proxy.actuators.events import Event, event_of, events_of

Deliver = Callable[[Event], Awaitable[None]]
"""Carries one document to the hook; raises `ActuatorError` if it did not take it."""


class Hook:
    """The actuator that tells a hook what is to be done."""

    def __init__(self, deliver: Deliver) -> None:
        """Tell it by this way."""
        self._deliver = deliver
        self._number: int | None = None
        self._arrived: set[str] = set()

    async def run(self) -> None:
        """Return at once: a hook is spoken to, and asks nothing."""

    async def apply(self, order: Order) -> None:
        """Tell the hook an order, or what of it did not arrive the last time.

        Raises:
            ActuatorError: It did not take a document; the documents behind it wait as well.

        """
        if order.number != self._number:
            self._number = order.number
            self._arrived.clear()
        for event in events_of(order):
            if event.id not in self._arrived:
                await self._deliver(event)
                self._arrived.add(event.id)
        self._arrived.clear()

    async def notify(self, refusal: Refusal) -> None:
        """Tell the hook of refused evidence.

        Raises:
            ActuatorError: It did not take the document.

        """
        await self._deliver(event_of(refusal))
