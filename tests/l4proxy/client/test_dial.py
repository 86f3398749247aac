"""From a name to a socket."""

import asyncio
import socket

import pytest

from l4proxy.client import Fault, NotAttested
from l4proxy.client.dial import dial
from l4proxy.client.lineages import Target
from tests.l4proxy.agent.parts import PATIENCE


async def test_the_first_address_that_answers() -> None:
    """A name with several addresses leads to one that serves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.timeout(PATIENCE):
            found = await dial(Target("localhost", listener.getsockname()[1], ""))
        with found:
            assert found.getpeername() == listener.getsockname()
            assert not found.getblocking()
            assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_name_that_leads_nowhere() -> None:
    """A name without an address is told by name."""
    with pytest.raises(NotAttested, match=r"nowhere\.invalid:443") as caught:
        await dial(Target("nowhere.invalid", 443, ""))
    assert caught.value.fault is Fault.UNREACHABLE


async def test_giving_up_leaves_no_socket() -> None:
    """A dial that is cancelled closes what it has opened."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await dial(Target("127.0.0.1", 9, ""))
