"""An agent in this process: a simulated TEE, an application that repeats, clients."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_ACCEPTCONN, SOL_SOCKET
from typing import NamedTuple

import yaml

from attestation import (
    AttestationResult,
    Expectation,
    Policy,
    SimulatedTee,
    built_in_kinds,
    judge,
    read_policy,
    register,
)
from attestation.x509 import load_certificate
from l4proxy.agent.agent import Enclave, live, prepare
from l4proxy.agent.attesters import Simulated
from l4proxy.agent.settings import Settings, parse_settings
from l4proxy.evidence_wire import FRAME_HEADER, Answer, frame_size, parse_answer

NAME = "app.example.com"
IMAGE = "image"
KINDS = register(built_in_kinds())
PATIENCE = 20.0
"""Seconds until something that has not happened is taken for broken."""


def document(application: str = "127.0.0.1:9", **keys: object) -> dict[str, object]:
    """The settings of an agent with a simulated TEE, with these keys besides or instead."""
    return {
        "listen": "127.0.0.1:0",
        "application": application,
        "protocol": "tcp",
        "tee": "simulated",
        "image": IMAGE,
        "instance": "enclave-a",
        "claims": {"service": "app"},
        "certificate": {"self_signed": {"names": [NAME]}},
        **keys,
    }


def settings(application: str = "127.0.0.1:9", **keys: object) -> Settings:
    """The same, read."""
    return parse_settings(yaml.safe_dump(document(application, **keys)))


def handing_over(directory: Path, **keys: object) -> Settings:
    """The settings of an agent that hands files over, with these keys besides or instead."""
    found = {**document(files={"directory": str(directory)}), **keys}
    del found["application"], found["protocol"]
    return parse_settings(yaml.safe_dump(found))


def policy(**keys: object) -> Policy:
    """A policy that accepts the agent's simulated TEE."""
    pcrs = SimulatedTee(IMAGE.encode()).registers()
    accept = [{"simulated": {"pcrs": {index: pcrs[index].hex() for index in (0, 1, 2)}}}]
    found = {"accept": accept, "allow_simulated": True, **keys}
    return read_policy(found, KINDS, lambda name: Path(name).read_bytes())


def verdict(
    answer: Answer, expectation: Expectation, now: float, asked: Policy | None = None
) -> AttestationResult:
    """The verdict on what an agent answered."""
    return judge(answer.evidence, asked or policy(), KINDS, expectation, now)


class Running(NamedTuple):
    """An agent that serves."""

    enclave: Enclave
    port: int


@asynccontextmanager
async def serving(asked: Settings) -> AsyncIterator[Running]:
    """An agent until the end of the block."""
    enclave = prepare(asked, Simulated(asked.image))
    with asked.listen.bind() as listener:
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(live(enclave, listener))
            await soon(lambda: life.done() or bool(listener.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)))
            yield Running(enclave, listener.getsockname()[1])
            life.cancel()


async def soon(happened: Callable[[], bool]) -> None:
    """Wait for what tells nobody that it came, such as a file; the caller sets the deadline."""
    while not happened():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def application(handle: Handle | None = None) -> AsyncIterator[str]:
    """An application that repeats all it hears, or does something else; its address."""
    server = await asyncio.start_server(handle or _repeat, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


async def _repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        pass
    finally:
        writer.close()


def client_context(*protocols: str) -> ssl.SSLContext:
    """A client that trusts any certificate: evidence is what counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Client(NamedTuple):
    """A connection to an agent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def tls(self) -> ssl.SSLObject:
        """Its TLS."""
        found: object = self.writer.get_extra_info("ssl_object")
        assert isinstance(found, ssl.SSLObject)
        return found

    @property
    def certificate(self) -> bytes:
        """The agent's certificate, in DER."""
        found = self.tls.getpeercert(binary_form=True)
        assert found is not None
        return found

    @property
    def spki(self) -> bytes:
        """The agent's key."""
        return load_certificate(self.certificate).spki

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and content of an answer over HTTP."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split(b" ")[1]), await self.reader.readexactly(size)

    async def proof(self) -> Answer:
        """What the agent says first, framed."""
        size = frame_size(await self.reader.readexactly(FRAME_HEADER))
        return parse_answer(await self.reader.readexactly(size))


@asynccontextmanager
async def connected(port: int, *protocols: str) -> AsyncIterator[Client]:
    """A connection over TLS until the end of the block; every wait in it ends."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(*protocols), server_hostname=NAME
        )
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()
