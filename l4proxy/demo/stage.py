"""Everything a demo needs, set up and taken down: servers, balancer, clients."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l4proxy.admin.view import BackendDocument, BackendsDocument, StatusDocument
from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.balancer import DemoBalancer, running_balancer
from l4proxy.demo.certificates import Authority
from l4proxy.demo.client import DemoClient, Door
from routing import BackendName, PoolName

APP = "app.example.test"
API = "api.example.test"
STRANGER = DemoClient("127.2.0.1", "unknown.example.test")
"""A client that asks for a name which no route has."""

_CAST = {
    PoolName("app"): (("alpha", APP), ("beta", APP)),
    PoolName("api"): (("gamma", API),),
}


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
            pool: [
                DemoBackend(BackendName(name), asked, authority.server_context(name, asked))
                for name, asked in servers
            ]
            for pool, servers in _CAST.items()
        }
        for backends in pools.values():
            for backend in backends:
                undo.push_async_callback(backend.stop)
                await backend.start()
        balancer = await undo.enter_async_context(running_balancer(folder, pools))
        door = Door(balancer.address, authority.client_context())
        yield Stage(pools, balancer, door, _clients(clients))


def _clients(count: int) -> tuple[DemoClient, ...]:
    return tuple(DemoClient(f"127.1.{number}.1", APP) for number in range(count))
