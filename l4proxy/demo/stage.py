"""Everything a demo needs, set up and taken down: servers, balancer, clients."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l4proxy.admin.backends import BackendDocument, BackendsDocument
from l4proxy.admin.view import StatusDocument
from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.balancer import BalancerFailed, DemoBalancer, running_balancer
from l4proxy.demo.certificates import Authority
from l4proxy.demo.client import DemoClient, Door
from l4proxy.demo.tee import IMAGE, OTHER_IMAGE, DemoTee
from routing import BackendName, PoolName

APP = "app.example.test"
API = "api.example.test"
STRANGER = DemoClient("127.2.0.1", "unknown.example.test")
"""A client that asks for a name which no route has."""

WRONG = BackendName("delta")
"""The server that runs something else than the policy accepts."""

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
        pools: Our servers, by pool.
        balancer: In front of them.
        door: Where clients go in.
        clients: For `app.example.test`, each from a network of its own.

    """

    pools: Mapping[PoolName, Sequence[DemoBackend]]
    balancer: DemoBalancer
    door: Door
    clients: tuple[DemoClient, ...]

    @property
    def backends(self) -> list[DemoBackend]:
        """All servers."""
        return [backend for backends in self.pools.values() for backend in backends]

    def backend(self, name: str) -> DemoBackend:
        """Return a server by its name."""
        return next(backend for backend in self.backends if backend.name == name)

    async def status(self) -> StatusDocument:
        """Ask the balancer what it has counted.

        Raises:
            AdminUnavailable: It does not answer.

        """
        return await asyncio.to_thread(self.balancer.admin.ask, "/api/v1/status", StatusDocument)

    async def seen(self) -> list[BackendDocument]:
        """Ask the balancer for its view of the servers.

        Raises:
            AdminUnavailable: It does not answer.

        """
        ask = self.balancer.admin.ask
        found = await asyncio.to_thread(ask, "/api/v1/backends", BackendsDocument)
        return found["backends"]

    async def proved(self) -> None:
        """Wait until each server has been asked for proof, and has given it or not.

        Raises:
            BalancerFailed: It was not, in time.

        """
        for _ in range(_LOOKS):
            if await self._decided():
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise BalancerFailed("the balancer has not asked all servers for proof")

    async def _decided(self) -> bool:
        """Tell whether there is a verdict on each server, by which every worker decides."""
        for found in await self.seen():
            if found["trust"] == "untested" or found["eligible"] != (found["trust"] == "trusted"):
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
        authority = Authority(folder)
        pools = {
            pool: [_server(BackendName(name), asked, authority) for name, asked in servers]
            for pool, servers in _CAST.items()
        }
        for backends in pools.values():
            for backend in backends:
                undo.push_async_callback(backend.stop)
                await backend.start()
        balancer = await undo.enter_async_context(running_balancer(folder, pools))
        door = Door(balancer.address, authority.client_context())
        ready = Stage(pools, balancer, door, _clients(clients))
        await ready.proved()
        yield ready


def _server(name: BackendName, asked: str, authority: Authority) -> DemoBackend:
    context = authority.server_context(name, asked)
    tee = DemoTee(OTHER_IMAGE if name == WRONG else IMAGE, authority.spki(name))
    return DemoBackend(name, asked, context, tee)


def _clients(count: int) -> tuple[DemoClient, ...]:
    return tuple(DemoClient(f"127.1.{number}.1", APP) for number in range(count))
