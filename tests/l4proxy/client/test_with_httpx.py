"""httpx over proved connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from l4proxy.client import Account, AttestedClient, Continuity, NotAttested, Rules
from l4proxy.client.with_httpx import AttestedTransport
from tests.l4proxy.agent.parts import NAME, PATIENCE, application, policy, settings
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST, Server, client, listening, serving, waits
from tests.l4proxy.client.web import serve_pages

PAGE = f"https://{NAME}/page"


@asynccontextmanager
async def agent() -> AsyncIterator[int]:
    """An agent in front of pages."""
    async with (
        asyncio.timeout(PATIENCE),
        application(serve_pages) as behind,
        agent_serving(settings(behind, protocol="http")) as found,
    ):
        yield found.port


def over(asking: AttestedClient, port: int) -> httpx.AsyncClient:
    """An httpx client whose connections are proved."""
    return httpx.AsyncClient(transport=AttestedTransport(asking, (HOST, port)))


async def test_pages_of_an_enclave() -> None:
    """Requests go over proved connections, which are kept and resumed."""
    async with agent() as port, client() as asking:
        accounts = []
        for _ in range(2):
            async with over(asking, port) as web:
                for _ in range(2):
                    answer = await web.get(PAGE)
                    assert (answer.status_code, answer.text) == (200, "/page")
                    stream = answer.extensions["network_stream"]
                    accounts.append(stream.get_extra_info("account"))
    assert all(isinstance(each, Account) for each in accounts)
    assert [each.standing for each in accounts] == [Continuity.FRESH] * 2 + [Continuity.RESUMED] * 2
    assert accounts[0] is accounts[1]


async def test_a_refusal_has_its_reason() -> None:
    """An error of httpx is caused by ours, which has the verdict."""
    other = client(asked=policy(claims={"service": "other"}))
    async with agent() as port, other as asking, over(asking, port) as web:
        with pytest.raises(httpx.ConnectError, match="claim_service") as caught:
            await web.get(PAGE)
    cause = caught.value.__cause__
    assert isinstance(cause, NotAttested)
    assert cause.result is not None


async def test_only_https() -> None:
    """A URL without the s asks for something else than a proved connection."""
    async with client() as asking, over(asking, 9) as web:
        with pytest.raises(httpx.UnsupportedProtocol):
            await web.get(f"http://{NAME}/")


async def test_the_url_says_where() -> None:
    """Without another address the URL's host is dialled, and is the server name."""
    async with agent() as port, client() as asking:
        transport = AttestedTransport(asking)
        async with httpx.AsyncClient(transport=transport) as web:
            assert (await web.get(f"https://localhost:{port}/there")).text == "/there"


async def test_deadlines_are_those_of_httpx() -> None:
    """A server that does not answer meets the caller's own deadline for reading."""

    class Silent(Server):
        async def _converse(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            """Hear the request, and say nothing."""
            await waits(reader)

    async with serving(Silent()) as server, client() as asking, over(asking, server.port) as web:
        with pytest.raises(httpx.ReadTimeout):
            await web.get(PAGE, timeout=httpx.Timeout(PATIENCE, read=0.1))


async def test_who_hangs_up() -> None:
    """A connection that is cut off while an answer is awaited is an error of httpx."""

    class Rude(Server):
        async def _converse(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            """Hear the request, and hang up."""
            await reader.read(1)

    async with serving(Rude()) as server, client() as asking, over(asking, server.port) as web:
        with pytest.raises(httpx.ReadError):
            await web.get(PAGE)


async def test_who_does_not_read() -> None:
    """A request that nobody takes meets the caller's own deadline for writing."""

    class Deaf(Server):
        async def _converse(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            """Hear nothing."""
            await asyncio.sleep(PATIENCE)

    async with serving(Deaf()) as server, client() as asking, over(asking, server.port) as web:
        with pytest.raises(httpx.WriteTimeout):
            await web.post(PAGE, content=bytes(32 << 20), timeout=httpx.Timeout(1.0, write=0.2))


async def test_a_connection_that_takes_too_long() -> None:
    """The deadline for connecting holds over the proof too."""
    async with (
        listening(lambda reader, _: waits(reader)) as port,
        client(Rules(timeout=PATIENCE)) as asking,
        over(asking, port) as web,
    ):
        with pytest.raises(httpx.ConnectTimeout):
            await web.get(PAGE, timeout=httpx.Timeout(PATIENCE, connect=0.1))
