"""A client: before it sends a byte it has the enclave prove itself, on that very connection."""

import asyncio
import re
from collections.abc import Awaitable, Iterable
from typing import NamedTuple, TypeVar

from attestation import Kinds, Policy
from l4proxy.client import Account, AttestedClient, Connection, Rules
from routing import Address, BackendName

MOST_VISITS = 50
"""Visits at once: each takes four descriptors of the demo's process, and 1,024 is a usual limit."""

# For connecting and proving, and for each answer: all of it is on this machine.
_PATIENCE_SECONDS = 10.0

_NUMBER = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")

_T = TypeVar("_T")


class Visit(NamedTuple):
    """What came of a visit.

    Attributes:
        enclave: Whose application answered.
        account: What the client can honestly say of the connection.

    """

    enclave: BackendName
    account: Account


class DemoClient:
    """One client: what it remembers of enclaves lives as long as it does.

    Attributes:
        name: For the news.

    """

    def __init__(self, name: str, policy: Policy, kinds: Kinds) -> None:
        """Connect nowhere yet.

        Args:
            name: Its own.
            policy: What it accepts.
            kinds: Those that the policy was read with.

        """
        self.name = name
        self._attested = AttestedClient(policy, Rules(timeout=_PATIENCE_SECONDS), kinds=kinds)

    async def visit(
        self, door: Address, server_name: str, requests: int = 1, pause: float = 0.0
    ) -> Visit:
        """Connect, ask so many times, and go; return who answered.

        Args:
            door: Where to go in.
            server_name: The name to ask for.
            requests: GET requests to send.
            pause: Seconds after each answer.

        Raises:
            NotAttested: What is there has not proved itself; it was told nothing.
            OSError: The connection broke.

        """
        connection = await self._attested.connect(door.host, door.port, server_name)
        found, whole = BackendName(""), False
        try:
            for _ in range(requests):
                found = await _get(connection, server_name)
                await asyncio.sleep(pause)
            whole = True
        finally:
            connection.close(abort=not whole)
        said = connection.account.result.agent
        if said is None or found != said.instance:
            raise ConnectionError(f"{connection.account.name} proved itself, {found} answers")
        return Visit(found, connection.account)


async def together(visits: Iterable[Awaitable[_T]]) -> list[_T]:
    """Make visits, `MOST_VISITS` at once, and return what came of them, in order.

    Raises:
        OSError: One failed: the first; the others have ended.

    """
    room = asyncio.Semaphore(MOST_VISITS)

    async def one(visit: Awaitable[_T]) -> _T:
        async with room:
            return await visit

    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(one(visit)) for visit in visits]
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    return [task.result() for task in made]


def shortened(error: OSError) -> str:
    """Return what a client says, on a line that has room for it: of long numbers the beginning."""
    return _NUMBER.sub(r"\1…", str(error))


async def _get(connection: Connection, server_name: str) -> BackendName:
    """Return the one line that the application answers."""
    request = f"GET / HTTP/1.1\r\nHost: {server_name}\r\n\r\n"
    answer, line = b"", b""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await connection.stream.write(request.encode("ascii"))
        while not line.endswith(b"\n"):
            part = await connection.stream.read()
            if not part:
                raise ConnectionError("the enclave went away")
            answer += part
            line = answer.partition(b"\r\n\r\n")[2]
    return BackendName(line.decode("ascii").strip())
