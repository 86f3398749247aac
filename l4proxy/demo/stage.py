"""Everything a demo needs, set up and taken down: enclaves, balancer, clients."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l4proxy.admin.backends import BackendDocument, BackendsDocument
from l4proxy.admin.view import StatusDocument
from l4proxy.demo.balancer import BalancerFailed, DemoBalancer, running_balancer
from l4proxy.demo.client import DemoClient
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.policy import IMAGE, OTHER_IMAGE, write_policy
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import load_policy
from routing import Address, BackendName, PoolName

APP = "app.example.test"
API = "api.example.test"
UNKNOWN = "unknown.example.test"
"""A name that no route has."""

WRONG = BackendName("delta")
"""The enclave that runs something else than the policy accepts."""

_CAST = {
    PoolName("app"): (("alpha", APP), ("beta", APP), (WRONG, APP)),
    PoolName("api"): (("gamma", API),),
}

# For all to have been asked for proof, 15 s: a visit and a quote take a tenth of a second.
_LOOKS, _LOOK_SECONDS = 300, 0.05


@dataclass(frozen=True, slots=True)
class Stage:
    """A demo, set up.

    Attributes:
        pools: Our enclaves, by pool.
        balancer: In front of them.
        clients: Each remembers its own enclave.
        stranger: Another client, which asks for what it shall not have.
        tasks: Among which enclaves live.

    """

    pools: Mapping[PoolName, Sequence[DemoEnclave]]
    balancer: DemoBalancer
    clients: tuple[DemoClient, ...]
    stranger: DemoClient
    tasks: asyncio.TaskGroup

    @property
    def door(self) -> Address:
        """Where clients go in."""
        return self.balancer.address

    @property
    def enclaves(self) -> list[DemoEnclave]:
        """All of them."""
        return [enclave for enclaves in self.pools.values() for enclave in enclaves]

    def enclave(self, name: str) -> DemoEnclave:
        """Return an enclave by its name."""
        return next(enclave for enclave in self.enclaves if enclave.name == name)

    async def status(self) -> StatusDocument:
        """Ask the balancer what it has counted.

        Raises:
            AdminUnavailable: It does not answer.

        """
        return await asyncio.to_thread(self.balancer.admin.ask, "/api/v1/status", StatusDocument)

    async def seen(self) -> list[BackendDocument]:
        """Ask the balancer for its view of the enclaves.

        Raises:
            AdminUnavailable: It does not answer.

        """
        ask = self.balancer.admin.ask
        found = await asyncio.to_thread(ask, "/api/v1/backends", BackendsDocument)
        return found["backends"]

    async def known(self) -> None:
        """Wait until the balancer knows of each enclave what it runs, and its tickets.

        Raises:
            BalancerFailed: It does not, in time.

        """
        for _ in range(_LOOKS):
            if await self._decided():
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise BalancerFailed("the balancer has not asked all enclaves for proof")

    async def _decided(self) -> bool:
        """Tell whether there is a verdict on each enclave, by which every worker decides."""
        for found in await self.seen():
            tickets, trusted = found["tickets"], found["trust"] == "trusted"
            if found["trust"] == "untested" or found["eligible"] != trusted:
                return False
            if trusted and not (tickets and tickets["names"]):
                return False
        status = await self.status()
        return all(worker["applied"] >= status["snapshot"] for worker in status["workers"])


@contextlib.asynccontextmanager
async def stage(clients: int) -> AsyncIterator[Stage]:
    """Set everything up for so many clients; afterwards no process, port or file of it is left.

    Raises:
        BalancerFailed: The balancer did not start.

    """
    async with contextlib.AsyncExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="l4proxy-demo-")))
        tasks = await asyncio.TaskGroup().__aenter__()
        # What the block raises is the caller's own, and goes on as it is.
        undo.push_async_callback(tasks.__aexit__, None, None, None)
        pools = {
            pool: [_enclave(BackendName(name), asked) for name, asked in enclaves]
            for pool, enclaves in _CAST.items()
        }
        for enclaves in pools.values():
            for enclave in enclaves:
                undo.push_async_callback(enclave.kill)
                await enclave.start(tasks)
        path, kinds = write_policy(folder), installed_kinds()
        policy = load_policy(path, kinds)
        balancer = await undo.enter_async_context(running_balancer(path, pools))
        guests = tuple(
            DemoClient(f"client {number}", policy, kinds) for number in range(1, clients + 1)
        )
        ready = Stage(pools, balancer, guests, DemoClient("stranger", policy, kinds), tasks)
        await ready.known()
        yield ready


def _enclave(name: BackendName, asked: str) -> DemoEnclave:
    return DemoEnclave(name, asked, OTHER_IMAGE if name == WRONG else IMAGE)
