"""An enclave of a demo: a real agent with a simulated TEE, and an application behind it.

Only the walls are missing: its memory is that of the demo's own process.
"""

import asyncio
import contextlib
from socket import SO_ACCEPTCONN, SOL_SOCKET, socket

import yaml

from l4proxy.agent.agent import Enclave, live, prepare
from l4proxy.agent.attesters import Simulated
from l4proxy.agent.certificates import Credentials
from l4proxy.agent.settings import Settings, parse_settings
from l4proxy.demo.application import Application
from l4proxy.demo.policy import IMAGE
from routing import Address, BackendName

_LOOK_SECONDS = 0.01

_LOOPBACK = "127.0.0.1"


class DemoEnclave:
    """An enclave on a free port of the loopback, which it keeps over `kill` and `start`.

    Attributes:
        name: What it calls its instance, and its application answers.
        server_name: The name that clients ask for.
        application: Inside.

    """

    def __init__(self, name: BackendName, server_name: str, image: str = IMAGE) -> None:
        """Prepare an enclave; `start` runs it.

        Args:
            name: Its own.
            server_name: The name that clients ask for.
            image: What it runs, and its TEE measures.

        """
        self.name = name
        self.server_name = server_name
        self.application = Application(name)
        self._image = image
        self._port = 0
        self._agent: Enclave | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """Where its agent listens, or has listened last."""
        return Address(_LOOPBACK, self._port)

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._life is not None

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Boot it, with a new TLS key and a new ticket key; return when it serves.

        Args:
            tasks: It lives among these, until `kill`.

        Raises:
            OSError: Its port is taken.

        """
        settings = self._settings(await self.application.start())
        self._agent = prepare(settings, Simulated(settings.image))
        listener = settings.listen.bind()
        self._port = listener.getsockname()[1]
        self._life = tasks.create_task(_alive(self._agent, listener), name=self.name)
        while not (self._life.done() or listener.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(_LOOK_SECONDS)

    async def kill(self) -> None:
        """End it at once: what is open is reset, and its keys are gone."""
        # Whoever is cancelled in here can be followed by another, who finishes it.
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
            self._life = None
        await self.application.stop()

    async def leaked(self) -> Credentials:
        """Return its TLS key and certificate, as a fault in its code might give them away.

        Raises:
            RuntimeError: It was never started.

        """
        if self._agent is None:
            raise RuntimeError(f"{self.name} has no key: it was never started")
        return await self._agent.issuer.issue()

    def _settings(self, application: Address) -> Settings:
        return parse_settings(
            yaml.safe_dump(
                {
                    "listen": str(self.address),
                    "application": str(application),
                    "protocol": "http",
                    "tee": "simulated",
                    "image": self._image,
                    "instance": str(self.name),
                    "certificate": {"self_signed": {"names": [self.server_name]}},
                }
            )
        )


async def _alive(agent: Enclave, listener: socket) -> None:
    with contextlib.closing(listener):
        await live(agent, listener)
