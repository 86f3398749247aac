"""The man in the middle: he is one, and an attesting client finds him out."""

import asyncio
import ssl

import pytest

from l4proxy.client import NotAttested
from l4proxy.demo.client import DemoClient
from l4proxy.demo.enclave import DemoEnclave
from l4proxy.demo.middle import Middle, own_credentials, standing_between
from l4proxy.demo.stage import APP
from tests.l4proxy.demo.conftest import nowhere

REQUEST = b"GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
PATIENCE = 20.0


async def careless(middle: Middle, request: bytes) -> bytes:
    """What a client hears that does not check."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        middle.address.host, middle.address.port, ssl=context, server_hostname=APP
    )
    writer.write(request)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read(1_000)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def test_who_does_not_check_is_read(alpha: DemoEnclave) -> None:
    """He passes everything on and hears all of it: a client without a check is served as ever."""
    middle = Middle(alpha.address, APP)
    async with standing_between(middle, own_credentials(APP)):
        answer = await careless(middle, REQUEST)
    assert answer.endswith(b"\r\n\r\nalpha\n")
    assert middle.heard == REQUEST


@pytest.mark.parametrize("check", ["key_binding", "exporter"])
async def test_who_checks_tells_him_nothing(
    alpha: DemoEnclave, client: DemoClient, check: str
) -> None:
    """With a key of his own, or with the enclave's: true evidence betrays him."""
    middle = Middle(alpha.address, APP)
    stolen = await alpha.leaked() if check == "exporter" else own_credentials(APP)
    async with standing_between(middle, stolen):
        with pytest.raises(NotAttested, match=f"^refused: {check}: found .*, expected "):
            await client.visit(middle.address, APP)
    assert not middle.heard


async def test_the_end_of_one_side_is_that_of_the_other(alpha: DemoEnclave) -> None:
    """When the service goes, so does he."""
    middle = Middle(alpha.address, APP)
    async with standing_between(middle, own_credentials(APP)), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(careless(middle, b"GET"))
        while not middle.heard:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
        await alpha.kill()
        assert not await waiting


async def test_without_a_service_he_has_nothing_to_say() -> None:
    """Where there is nobody behind him, clients are cut off."""
    middle = Middle(nowhere(), APP)
    async with standing_between(middle, own_credentials(APP)):
        assert not await careless(middle, REQUEST)
