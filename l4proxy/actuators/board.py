"""The numbers that others come and ask for: one a pool, shared by all who answer at one address.

KEDA and Agones ask; so what an order changes is only what they are told next. Pools whose settings
are the same share one listener, which one of them serves for all.
"""

import asyncio
from collections.abc import Awaitable, Callable

from l4proxy.actuators.actuator import Order
from routing import PoolName


class OrderBoard:
    """What is to be told of each pool whose actuator runs."""

    def __init__(self) -> None:
        """Begin without any."""
        self._pools: dict[PoolName, OrderedNumber] = {}

    def find(self, pool: str) -> "OrderedNumber | None":
        """Return what is to be told of a pool; None: no such pool is told of here."""
        return self._pools.get(PoolName(pool))

    def enter(self, pool: PoolName, answer: "OrderedNumber") -> None:
        """Tell of a pool from now on."""
        self._pools[pool] = answer

    def leave(self, pool: PoolName, answer: "OrderedNumber") -> None:
        """Tell no more of it, unless another answer has replaced this one."""
        if self._pools.get(pool) is answer:
            del self._pools[pool]


class OrderedNumber:
    """The number of backends that a pool is to have; None before its first order."""

    def __init__(self) -> None:
        """Begin without an order."""
        self.desired: int | None = None
        self._changed = asyncio.Event()

    def change(self, desired: int) -> None:
        """Tell this number from now on, at once to those who wait for another one."""
        if desired != self.desired:
            self.desired = desired
            self._changed.set()
            self._changed = asyncio.Event()

    async def other_than(self, seen: int | None) -> int:
        """Return the number as soon as there is one that is not `seen`."""
        while self.desired is None or self.desired == seen:
            await self._changed.wait()
        return self.desired


class Desk:
    """A listener and its board."""

    def __init__(self, serve: Callable[[OrderBoard], Awaitable[None]]) -> None:
        """Serve in this way, which returns never and raises `ActuatorError` if it cannot."""
        self.board = OrderBoard()
        self._serve = serve
        self._serving = asyncio.Lock()

    async def serve(self) -> None:
        """Serve until cancelled; while another task does, wait to take its place.

        Raises:
            ActuatorError: It cannot serve.

        """
        async with self._serving:
            await self._serve(self.board)


class Asked:
    """The actuator of a pool whose number somebody else asks for."""

    def __init__(self, desk: Desk, pool: PoolName) -> None:
        """Tell it at this desk."""
        self._desk = desk
        self._pool = pool
        self._answer = OrderedNumber()

    async def run(self) -> None:
        """Answer until cancelled.

        Raises:
            ActuatorError: The address cannot be served.

        """
        self._desk.board.enter(self._pool, self._answer)
        try:
            await self._desk.serve()
        finally:
            self._desk.board.leave(self._pool, self._answer)

    async def apply(self, order: Order) -> None:
        """Answer with the number of this order from now on."""
        self._answer.change(order.desired)
