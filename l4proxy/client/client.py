"""The attesting client: a connection is made, proved, and only then given away.

Before a byte of the application is sent, the other end of this very connection is an enclave that
meets the policy; or it goes on with the session of one, for as long as that one's proof holds.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from attestation import FreshnessMode, Kinds, Policy, PolicyError
from l4proxy.client.attempts import Attempts
from l4proxy.client.connection import Connection
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Target
from l4proxy.client.rules import Rules
from l4proxy.client.transport import ProvedTransport
from sni import BadServerName, ServerName

_P = TypeVar("_P", bound=asyncio.Protocol)


class AttestedClient:
    """A client whose connections lead to verified enclaves only.

    As a context manager it closes those connections at its end that go by streams or protocols.
    What it remembers of instances lives as long as it does, and belongs to one event loop.
    """

    def __init__(
        self,
        policy: Policy,
        rules: Rules | None = None,
        *,
        kinds: Kinds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connect nowhere yet.

        Args:
            policy: What is accepted.
            rules: How it connects; None: as the policy says, or by the defaults.
            kinds: Those that the policy was read with; None: those that are installed.
            clock: Seconds since the epoch, UTC.

        Raises:
            PolicyError: A set is to be used, and the policy does not ask for the exporter.

        """
        self._rules = rules or Rules.by(policy)
        mode = policy.freshness.mode
        if self._rules.strangers is not None and mode is not FreshnessMode.EXPORTER:
            raise PolicyError(("freshness",), mode, "exporter: a set rests on nothing less")
        found = _installed() if kinds is None else kinds
        self._attempts = Attempts(policy, found, self._rules, clock)
        self._tasks: asyncio.TaskGroup | None = None
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    def from_file(cls, path: Path, rules: Rules | None = None) -> Self:
        """Return a client by the policy of a file.

        Raises:
            ConfigError: The file cannot be read, or is no policy.
            AttestationError: A kind that it names cannot be used, or it is none for these rules.

        """
        from l4proxy.policy_file import load_policy  # noqa: PLC0415 - as of `_installed`

        kinds = _installed()
        return cls(load_policy(path, kinds), rules, kinds=kinds)

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks, self._tasks = self._tasks, None
        for task in self._open:
            task.cancel()
        if tasks is not None:
            # What the block raised is the caller's own, and goes on as it is.
            await tasks.__aexit__(None, None, None)

    async def connect(self, host: str, port: int, server_name: str | None = None) -> Connection:
        """Return a proved connection, which the caller closes.

        Args:
            host: A name or an address.
            port: Of it.
            server_name: Said in the handshake; None: the host, if it is a name.

        Raises:
            NotAttested: There is none; nothing of the application was sent.
            BadServerName: The server name is none.

        """
        target = Target(host, port, _named(host, server_name))
        try:
            async with asyncio.timeout(self._rules.timeout):
                return await self._attempts.connect(target)
        except TimeoutError as error:
            found = f"{target}: found no proof, expected one within {self._rules.timeout:g} s"
            raise NotAttested(Fault.TIMEOUT, found) from error

    async def create_connection(
        self, factory: Callable[[], _P], host: str, port: int, server_name: str | None = None
    ) -> tuple[ProvedTransport, _P]:
        """Return transport and protocol of a proved connection, as a loop's own method does.

        Args:
            factory: Makes the protocol.
            host: A name or an address.
            port: Of it.
            server_name: Said in the handshake; None: the host, if it is a name.

        Raises:
            NotAttested, BadServerName: As of `connect`.

        """
        if self._tasks is None:
            raise RuntimeError("found a client that is not open, expected one in `async with`")
        connection = await self.connect(host, port, server_name)
        try:
            protocol = factory()
            transport = ProvedTransport(connection, protocol)
        except BaseException:
            connection.close(abort=True)
            raise
        task = self._tasks.create_task(transport.run(), name=f"attested {host}:{port}")
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        # One that is cancelled before its first step has not closed anything.
        task.add_done_callback(lambda _: transport.finish())
        return transport, protocol

    async def open_connection(
        self, host: str, port: int, server_name: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a proved connection as streams; `get_extra_info("account")` is its `Account`.

        Args:
            host: A name or an address.
            port: Of it.
            server_name: Said in the handshake; None: the host, if it is a name.

        Raises:
            NotAttested, BadServerName: As of `connect`.

        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        transport, protocol = await self.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port, server_name
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _installed() -> Kinds:
    # The agent verifies its peers with this package, and carries no configuration of the daemon.
    from l4proxy.plugins import installed_kinds  # noqa: PLC0415 - see above

    return installed_kinds()


def _named(host: str, server_name: str | None) -> str:
    if server_name is not None:
        return str(ServerName.parse(server_name))
    with contextlib.suppress(BadServerName):
        return str(ServerName.parse(host))
    return ""
