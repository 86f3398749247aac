"""The local port: what goes in comes out of a verified enclave, or is reset."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from attestation import SimulatedTee
from l4proxy.client import Account, AttestedClient, Continuity, Fault, LocalPort, NotAttested
from l4proxy.client.port import Behind, listen, local_address
from tests.l4proxy.agent.parts import NAME, PATIENCE, application, settings, soon
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST, SECRET, Enclave, Server, client, serving


@dataclass
class Told:
    """A watcher that remembers."""

    accounts: list[Account] = field(default_factory=list)
    errors: list[NotAttested] = field(default_factory=list)
    ended: int = 0

    def opened(self, account: Account) -> None:
        """Remember it."""
        self.accounts.append(account)

    def refused(self, error: NotAttested) -> None:
        """Remember it."""
        self.errors.append(error)

    def closed(self) -> None:
        """Count it."""
        self.ended += 1


@asynccontextmanager
async def port(asking: AttestedClient, behind: int, told: Told) -> AsyncIterator[int]:
    """A local port that leads there."""
    with listen(HOST, 0) as listener:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            local = LocalPort(asking, Behind(HOST, behind, NAME), told)
            task = tasks.create_task(local.serve(listener))
            yield listener.getsockname()[1]
            task.cancel()


async def say(local: int) -> bytes:
    """What an application hears that says its secret, and then no more."""
    reader, writer = await asyncio.open_connection(HOST, local)
    writer.write(SECRET)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("protocol", ["tcp", "http"])
async def test_applications_reach_the_enclave(protocol: str) -> None:
    """Plain TCP in, a proved connection behind it, halves and all; and each is told."""
    told = Told()
    async with (
        application() as behind,
        agent_serving(settings(behind, protocol=protocol)) as agent,
        port(client(), agent.port, told) as local,
    ):
        assert [await say(local) for _ in range(2)] == [SECRET, SECRET]
        await soon(lambda: told.ended == 2)
    assert [each.standing for each in told.accounts] == [Continuity.FRESH, Continuity.RESUMED]
    assert not told.errors


async def test_a_refusal_is_a_reset() -> None:
    """The application hears that it was cut off, never an end; nothing of it was sent."""
    told = Told()
    async with (
        serving(Server(Enclave(SimulatedTee(b"other")))) as server,
        port(client(), server.port, told) as local,
    ):
        with pytest.raises(ConnectionResetError):
            await say(local)
        await soon(lambda: bool(told.errors))
        assert not server.heard
    assert told.errors[0].fault is Fault.REFUSED
    assert not told.accounts


async def test_one_refusal_ends_no_other() -> None:
    """A connection that was proved goes on when the next one is refused."""
    told, server = Told(), Server()
    async with serving(server), port(client(), server.port, told) as local:
        reader, writer = await asyncio.open_connection(HOST, local)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        server.enclave.tee = SimulatedTee(b"other")
        reset = asyncio.open_connection(HOST, local)
        await soon(lambda: bool(told.accounts))
        other, its = await reset
        its.write(b"x")
        assert await other.read(1) == b"x"
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()
        its.close()
    assert [each.standing for each in told.accounts] == [Continuity.FRESH, Continuity.RESUMED]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - refused
def test_only_the_loopback_is_listened_on(host: str) -> None:
    """What is said to the port is in the clear, and must not leave the machine."""
    with pytest.raises(ValueError, match="loopback"):
        listen(host, 0)


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1")]
)
def test_loopback_addresses(host: str, expected: str) -> None:
    """Every address of the loopback will do, and its name."""
    assert local_address(host) == expected


def test_a_port_that_is_taken() -> None:
    """Two ports cannot be one."""
    with listen(HOST, 0) as taken, pytest.raises(OSError, match="in use"):
        listen(HOST, taken.getsockname()[1])


def test_it_listens_at_once() -> None:
    """An application that is quick waits, and is not turned away."""
    with listen(HOST, 0) as listener, socket.create_connection(listener.getsockname()[:2], 5.0):
        pass
