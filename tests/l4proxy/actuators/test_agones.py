"""The actuator `agones`, asked as Agones asks."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from l4proxy.actuators import ActuatorError
from l4proxy.actuators.agones import MAX_REVIEW_BYTES, Agones, AgonesSettings
from l4proxy.conformance import check_actuator_kind
from routing import PoolName
from tests.e2e.certificates import Authority
from tests.l4proxy.actuators.orders import order, read

PATIENCE = 20.0
UID = "9b6a0d9e-6f2c-4e0c-9f5e-0c4b8b0f8f0a"
# As Agones 1.57 sends it.
REVIEW: dict[str, object] = {
    "request": {
        "uid": UID,
        "name": "simple-game-server",
        "namespace": "default",
        "status": {
            "replicas": 2,
            "readyReplicas": 1,
            "reservedReplicas": 0,
            "allocatedReplicas": 1,
        },
        "metadata": {"labels": {"app": "enclaves"}},
    },
    "response": None,
}
APP, API = PoolName("app"), PoolName("api")


def settings(folder: Path, more: str = "") -> AgonesSettings:
    """Settings that listen below a folder of the test."""
    return read(AgonesSettings, f"listen: unix:{folder}/agones.sock\n{more}")


@contextlib.asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of what listens there, once it does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(str(folder / "agones.sock"))
                writer.close()
                break
            await asyncio.sleep(0.01)
        connector = aiohttp.UnixConnector(str(folder / "agones.sock"))
        async with aiohttp.ClientSession("http://agones", connector=connector) as session:
            yield session


async def test_agones_is_told_the_number_of_each_pool(tmp_path: Path) -> None:
    """One listener for both; before the first order nothing is scaled."""
    kind = Agones()
    first, second = (kind.make(settings(tmp_path), pool) for pool in (APP, API))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.run()) for one in (first, second)]
        async with asking(tmp_path) as client:
            await first.apply(order(5))
            answers = []
            for pool in ("app", "api"):
                async with client.post(f"/fleet/{pool}", json=REVIEW) as answer:
                    assert answer.status == 200
                    answers.append(await answer.json())
        for task in running:
            task.cancel()
    assert answers == [
        {"response": {"uid": UID, "scale": True, "replicas": 5}},
        {"response": {"uid": UID, "scale": False, "replicas": 0}},
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/fleet/other", json.dumps(REVIEW).encode(), 404),
        ("POST", "/app", json.dumps(REVIEW).encode(), 404),
        ("POST", "/fleet/", json.dumps(REVIEW).encode(), 404),
        ("GET", "/fleet/app", b"", 405),
        ("POST", "/fleet/app", b"", 400),
        ("POST", "/fleet/app", b"\xff", 400),
        ("POST", "/fleet/app", b"[" * 100_000, 400),
        ("POST", "/fleet/app", b"[]", 400),
        ("POST", "/fleet/app", b'{"request": []}', 400),
        ("POST", "/fleet/app", b'{"request": {"uid": 3}}', 400),
        ("POST", "/fleet/app", b'{"request": {"uid": "%s"}}' % (b"a" * 129), 400),
        ("POST", "/fleet/app", b'{"request": {"uid": "a"}}'.ljust(MAX_REVIEW_BYTES + 1), 400),
    ],
)
async def test_another_question_gets_no_number(
    tmp_path: Path, method: str, path: str, body: bytes, status: int
) -> None:
    """It is told what was expected, and the next one is answered as ever."""
    actuator = Agones().make(settings(tmp_path), APP)
    await actuator.apply(order(5))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(actuator.run())
        async with asking(tmp_path) as client:
            async with client.request(method, path, data=body or None) as answer:
                assert answer.status == status
                assert "expected" in (await answer.json())["error"]
            async with client.post("/fleet/app", json=REVIEW) as answer:
                assert (await answer.json())["response"]["replicas"] == 5
        running.cancel()


async def test_it_is_asked_over_tls(tmp_path: Path) -> None:
    """By those who trust its certificate, on an address of its own."""
    authority = Authority(tmp_path)
    own = authority.issue("agones")
    files = f"certificate: {own.certificate}\nkey: {own.key}"
    actuator = Agones().make(settings(tmp_path, files), APP)
    trusting = ssl.create_default_context(cafile=authority.root)
    body = json.dumps(REVIEW).encode()
    head = f"POST /fleet/app HTTP/1.1\r\nHost: agones\r\nContent-Length: {len(body)}\r\n\r\n"
    path = str(tmp_path / "agones.sock")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(actuator.run())
        async with asking(tmp_path):
            pass
        strict = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_unix_connection(path, ssl=strict, server_hostname="agones")
        reader, writer = await asyncio.open_unix_connection(
            path, ssl=trusting, server_hostname="agones"
        )
        writer.write(head.encode() + body)
        assert UID.encode() in await reader.readuntil(b"}\n")
        writer.close()
        await writer.wait_closed()
        running.cancel()


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    """By another pool with other settings, or by anybody."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    taken = read(AgonesSettings, f"listen: 127.0.0.1:{port}")
    with pytest.raises(ActuatorError, match="the agones listener: cannot listen on 127"):
        await Agones().make(taken, APP).run()
    server.close()


def test_a_certificate_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    """Before there is any order."""
    (tmp_path / "a.pem").touch()
    files = f"certificate: {tmp_path}/a.pem\nkey: {tmp_path}/a.pem"
    with pytest.raises(ActuatorError, match="the agones listener of pool app"):
        Agones().make(settings(tmp_path, files), APP)


def test_it_keeps_the_promises_of_an_actuator(tmp_path: Path) -> None:
    """As every plug-in has to."""
    check_actuator_kind(Agones(), f"listen: unix:{tmp_path}/agones.sock")
