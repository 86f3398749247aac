"""A client of the demo: it verifies whom it talks to, and says why it was not let in."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from l4proxy.demo.backend import DemoBackend
from l4proxy.demo.certificates import Authority
from l4proxy.demo.client import DemoClient, Door, Refused
from routing import Address, BackendName
from sni import AlertDescription, encode_alert
from tests.l4proxy.demo.conftest import NAME


async def test_a_visit_tells_who_answered(alpha: DemoBackend, trust: ssl.SSLContext) -> None:
    """The name in the verified certificate and the name in the answer are one."""
    assert await DemoClient("127.1.7.1", NAME).visit(Door(alpha.address, trust)) == "alpha"


async def test_who_answers_under_another_name_is_found_out(
    authority: Authority, trust: ssl.SSLContext
) -> None:
    """A server that shows one name and says another is an error."""
    liar = DemoBackend(BackendName("beta"), NAME, authority.server_context("alpha", NAME))
    await liar.start()
    with pytest.raises(ConnectionError, match="alpha shows"):
        await DemoClient("127.1.0.1", NAME).visit(Door(liar.address, trust))
    await liar.stop()


async def test_a_wrong_certificate_is_refused(alpha: DemoBackend, trust: ssl.SSLContext) -> None:
    """A client does not talk to a server that has no certificate for the name."""
    with pytest.raises(Refused, match="CERTIFICATE_VERIFY_FAILED"):
        await DemoClient("127.1.0.1", "api.example.test").visit(Door(alpha.address, trust))


async def test_an_alert_is_a_refusal(trust: ssl.SSLContext) -> None:
    """The client's own TLS names the alert that it heard."""
    async with _refusing() as address:
        with pytest.raises(Refused, match="UNRECOGNIZED_NAME"):
            await DemoClient("127.1.0.1", NAME).visit(Door(address, trust))


@contextlib.asynccontextmanager
async def _refusing() -> AsyncIterator[Address]:
    """The address of a server that answers every hello with an alert."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(encode_alert(AlertDescription.UNRECOGNIZED_NAME))
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    yield Address(*server.sockets[0].getsockname())
    server.close()
    await server.wait_closed()
