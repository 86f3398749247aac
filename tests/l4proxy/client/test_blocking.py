"""A local port for scripts that know no asyncio."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from l4proxy.client import Continuity, Fault, Rules
from l4proxy.client.blocking import BlockingPort
from l4proxy.client.port import Behind
from tests.l4proxy.agent.parts import KINDS, NAME, PATIENCE, application, policy, settings
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST
from tests.l4proxy.client.web import serve_pages


@contextmanager
def agent() -> Iterator[int]:
    """An agent in front of a page, in a thread of its own; its port."""
    ready, over = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with (
            application(serve_pages) as behind,
            agent_serving(settings(behind, protocol="http")) as found,
        ):
            ports.append(found.port)
            ready.set()
            await asyncio.to_thread(over.wait, PATIENCE)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield ports[0]
    finally:
        over.set()
        thread.join(PATIENCE)


def get(url: str) -> bytes:
    """A page, as any blocking library gets it."""
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", "/page", headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_scripts_reach_the_enclave() -> None:
    """A script speaks HTTP to an address, and can see what that rests on."""
    with agent() as behind:
        with BlockingPort(policy(), Behind(HOST, behind, NAME), kinds=KINDS) as port:
            found = [get(port.url), get(port.url)]
            account, address = port.account, port.address
            assert port.refusal is None
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(address, 5.0).close()
    assert found == [b"/page", b"/page"]
    assert account is not None
    assert account.standing is Continuity.RESUMED


def test_a_refusal_can_be_asked_for() -> None:
    """The script hears of a reset, and the port knows why."""
    other = policy(claims={"service": "other"})
    rules = Rules(timeout=PATIENCE)
    with agent() as behind, BlockingPort(other, Behind(HOST, behind, NAME), rules) as port:
        with pytest.raises(OSError, match=r"."):
            get(port.url)
        end = time.monotonic() + PATIENCE
        while port.refusal is None and time.monotonic() < end:
            time.sleep(0.01)
        assert port.refusal is not None
        assert port.refusal.fault is Fault.REFUSED
        assert "claim_service" in str(port.refusal)


def test_nothing_is_left_behind() -> None:
    """Its thread ends with the block, whatever the block raises."""
    with (
        pytest.raises(ZeroDivisionError),
        BlockingPort(policy(), Behind(HOST, 9, NAME), kinds=KINDS),
    ):
        raise ZeroDivisionError
    assert "attested port" not in {thread.name for thread in threading.enumerate()}
