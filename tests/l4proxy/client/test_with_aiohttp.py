"""aiohttp over proved connections."""

import asyncio

import pytest
from aiohttp import ClientError, ClientOSError, ClientSession, InvalidURL

from l4proxy.client import AttestedClient, Continuity, NotAttested
from l4proxy.client.with_aiohttp import AttestedConnector
from tests.l4proxy.agent.parts import NAME, PATIENCE, application, policy, settings
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST, client
from tests.l4proxy.client.web import serve_pages

PAGE = f"https://{NAME}/page"


def over(asking: AttestedClient, port: int) -> ClientSession:
    """An aiohttp client whose connections are proved."""
    return ClientSession(connector=AttestedConnector(asking, (HOST, port)))


async def visit(web: ClientSession, url: str = PAGE) -> str:
    """A page."""
    async with web.get(url) as answer:
        return await answer.text()


async def test_pages_of_an_enclave() -> None:
    """Requests go over proved connections, which are kept and resumed."""
    async with (
        asyncio.timeout(PATIENCE),
        application(serve_pages) as behind,
        agent_serving(settings(behind, protocol="http")) as agent,
        client() as asking,
    ):
        standings = []
        for _ in range(2):
            async with over(asking, agent.port) as web:
                assert [await visit(web) for _ in range(2)] == ["/page", "/page"]
                assert isinstance(web.connector, AttestedConnector)
                assert web.connector.account is not None
                standings.append(web.connector.account.standing)
        async with ClientSession(connector=AttestedConnector(asking)) as web:
            assert await visit(web, f"https://localhost:{agent.port}/there") == "/there"
    assert standings == [Continuity.FRESH, Continuity.RESUMED]


async def test_a_refusal_has_its_reason() -> None:
    """An error of aiohttp is caused by ours, which has the verdict."""
    async with (
        asyncio.timeout(PATIENCE),
        application(serve_pages) as behind,
        agent_serving(settings(behind, protocol="http")) as agent,
        client(asked=policy(claims={"service": "other"})) as asking,
        over(asking, agent.port) as web,
    ):
        with pytest.raises(ClientOSError, match="claim_service") as caught:
            await visit(web)
    assert isinstance(caught.value.__cause__, NotAttested)
    assert caught.value.__cause__.result is not None


async def test_only_https() -> None:
    """A URL without the s asks for something else than a proved connection."""
    async with client() as asking, over(asking, 9) as web:
        with pytest.raises(InvalidURL, match="https"):
            await visit(web, f"http://{NAME}/")


async def test_nobody_is_there() -> None:
    """A dial that fails is an error of aiohttp, as from every connector."""
    async with client() as asking, over(asking, 1) as web:
        with pytest.raises(ClientError, match="unreachable"):
            await visit(web)
