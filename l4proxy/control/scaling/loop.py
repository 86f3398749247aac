"""The control loop: a round for each scaled pool every few seconds, and at once when hellos wait.

Nothing that may be slow is waited for: telemetry is what it was last, actuators are tasks of their
own. A pool that stays over a reload goes on with all that is known of it.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from l4proxy.config import Config, PoolSettings
from l4proxy.control.membership import MemberKey
from l4proxy.control.scaling.actuators import Chosen, ChosenActuators
from l4proxy.control.scaling.loads import claimed_load
from l4proxy.control.scaling.observe import Ground, Moment
from l4proxy.control.scaling.orders import Orders
from l4proxy.control.scaling.scaler import ROUND_SECONDS, Scaler
from routing import Balance, PoolName

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 1.0
"""How often it is looked for hellos that wait: workers report as often."""


class Publishing(Protocol):
    """How what was carried out reaches the workers."""

    def promised(self) -> int:
        """Return the version of the snapshot that will hold all that has been said so far."""
        ...

    def obeyed(self, version: int) -> bool:
        """Return whether every worker is there and decides by that version, or a newer one."""
        ...


class Scaling:
    """Scales the pools that are to be.

    Attributes:
        pools: Those that are, by name, in the configuration's order.
        actuators: The actuator of each.
    """

    def __init__(self, ground: Ground, publishing: Publishing) -> None:
        """Scale nothing yet."""
        self.pools: dict[PoolName, Scaler] = {}
        self.actuators: ChosenActuators = {}
        self._ground = ground
        self._publishing = publishing
        self._settings: Mapping[PoolName, PoolSettings] = {}
        self._orders: dict[PoolName, tuple[Chosen, Orders]] = {}
        self._tasks: dict[Orders, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._version = 0
        self._due = 0.0

    def adopt(self, config: Config, actuators: ChosenActuators) -> None:
        """Scale by a configuration from now on, with the actuators made for it."""
        self._settings, self.actuators = config.pools, actuators
        self._orders = {name: self._orders_of(name, made) for name, made in actuators.items()}
        before, self.pools = self.pools, {}
        for name, settings in config.pools.items():
            if settings.scaling is None:
                continue
            told = settings, settings.scaling, self._orders[name][1]
            if name in before:
                before[name].adopt(*told)
            self.pools[name] = before.get(name) or Scaler(name, self._ground, *told)
        self._start_and_stop()

    async def run(self) -> None:
        """Scale until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_and_stop()
            self._due = time.monotonic() + ROUND_SECONDS
            try:
                while True:
                    await asyncio.sleep(TICK_SECONDS)
                    self._tick(time.monotonic())
            finally:
                self._group = None
                self._tasks.clear()

    def round(self, now: float, utc: float) -> None:
        """Give every pool a round at once; times in seconds, monotonic and since the epoch."""
        self._rounds(self.pools.values(), now, utc)
        self._take_loads(now)

    def _tick(self, now: float) -> None:
        if now >= self._due:
            self._due = now + ROUND_SECONDS
            self.round(now, time.time())
        else:
            waiting = [scaler for scaler in self.pools.values() if scaler.parked()]
            self._rounds(waiting, now, time.time())

    def _rounds(self, scalers: Collection[Scaler], now: float, utc: float) -> None:
        moment = Moment(now, utc, self._publishing.obeyed(self._version))
        for scaler in scalers:
            try:
                scaler.round(moment)
            except Exception:  # a bug of ours in one pool's scaling must not end the balancer
                log.exception("scaling of pool %s", scaler.name)
        if scalers:
            self._version = self._publishing.promised()

    def _take_loads(self, now: float) -> None:
        """Let workers know of the load that backends claim, where they choose by it."""
        ground, loads = self._ground, dict[MemberKey, float]()
        for name, settings in self._settings.items():
            if settings.balance is not Balance.LOAD:
                continue
            for member in ground.roster.members(name):
                readings = ground.claims.readings(name, member.name, now)
                load = claimed_load(readings, settings)
                if load is not None:
                    loads[name, member.name] = load
        if loads != ground.roster.loads:
            ground.roster.loads = loads
            ground.roster.changed.set()

    def _orders_of(self, name: PoolName, made: Chosen) -> tuple[Chosen, Orders]:
        """Return the orders of an actuator: those that there are, if it is the same one."""
        if name in self._orders and self._orders[name][0] is made:
            return self._orders[name]
        return made, Orders(f"{name} by {made.choice.name}", made.actuator)

    def _start_and_stop(self) -> None:
        """Bring the tasks in line with the actuators."""
        if self._group is None:
            return
        wanted = {orders for _, orders in self._orders.values()}
        for orders in self._tasks.keys() - wanted:
            self._tasks.pop(orders).cancel()
        for name, (_, orders) in self._orders.items():
            if orders not in self._tasks:
                task = self._group.create_task(orders.run(), name=f"scaling of {name}")
                self._tasks[orders] = task
