"""For scripts that do not know asyncio: a local port in a thread.

with BlockingPort(policy, Behind("app.example.com", 443)) as port:
    requests.get(port.url + "/orders")
"""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from attestation import Kinds, Policy
from l4proxy.client.account import Account
from l4proxy.client.client import AttestedClient
from l4proxy.client.errors import NotAttested
from l4proxy.client.port import Behind, LocalPort, listen
from l4proxy.client.rules import Rules

STOP_SECONDS: Final = 10.0
"""Seconds that the thread has to start, and to end: it has nothing to wait for."""


class BlockingPort:
    """A local port that a thread serves, for as long as the block lasts.

    Attributes:
        account: What is known of the connection that was proved last; None: none was.
        refusal: Why a connection was refused last: the script itself hears of a reset only.

    """

    def __init__(
        self,
        policy: Policy,
        behind: Behind,
        rules: Rules | None = None,
        *,
        kinds: Kinds | None = None,
    ) -> None:
        """Serve nothing yet.

        Args:
            policy: What is accepted.
            behind: Where connections lead.
            rules: How they are made; None: as the policy says, or by the defaults.
            kinds: Those that the policy was read with; None: those that are installed.

        """
        self._client = AttestedClient(policy, rules, kinds=kinds)
        self._port = LocalPort(self._client, behind, self)
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._thread = threading.Thread(target=self._run, name="attested port", daemon=True)
        self.account: Account | None = None
        self.refusal: NotAttested | None = None

    def __enter__(self) -> Self:
        self._listener = listen("127.0.0.1", 0)
        self._thread.start()
        self._loop, self._task = self._started.result(STOP_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(STOP_SECONDS)
        self._listener.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """Where it listens, for clients of HTTP."""
        return "http://{}:{}".format(*self.address)

    def opened(self, account: Account) -> None:
        """Hear of a connection that is proved."""
        self.account = account

    def refused(self, error: NotAttested) -> None:
        """Hear of one that was not made."""
        self.refusal = error

    def closed(self) -> None:
        """Hear that one has ended."""

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None  # noqa: S101 - this coroutine is one
        self._started.set_result((asyncio.get_running_loop(), task))
        await self._port.serve(self._listener)
