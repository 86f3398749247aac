"""Servers for tests of the client: enclaves that prove themselves, and whoever is none."""

import asyncio
import hashlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from attestation import (
    AgentClaims,
    Evidence,
    KeyOrigin,
    Policy,
    SimulatedTee,
    TicketKeys,
    for_connection,
    in_user_data,
)
from l4proxy.agent.certificates import Credentials, TlsKey
from l4proxy.agent.libssl import TICKET_KEY, export
from l4proxy.agent.tls import server_context
from l4proxy.client import Account, AttestedClient, NotAttested, Rules, Strangers
from l4proxy.evidence_wire import ALPN, Answer, encode_answer, frame, parse_question
from l4proxy.set_wire import SET_ALPN, Entry, encode_set
from tests.l4proxy.agent.credentials import made_key
from tests.l4proxy.agent.parts import IMAGE, KINDS, NAME, PATIENCE, policy

HOST = "127.0.0.1"
SECRET = b"the application's secret"
"""What no peer may hear that is not verified."""

REFUSE = Rules(strangers=Strangers.REFUSE, timeout=PATIENCE)
"""By a set, and by nobody outside it."""

REATTEST = Rules(strangers=Strangers.REATTEST, timeout=PATIENCE)
"""By a set, and whoever is outside it proves himself."""


def client(rules: Rules | None = None, asked: Policy | None = None) -> AttestedClient:
    """A client by the policy that the simulated TEE of tests meets."""
    return AttestedClient(asked or policy(), rules or Rules(timeout=PATIENCE), kinds=KINDS)


@dataclass(slots=True)
class Enclave:
    """A small enclave: a TEE, a TLS key, what it says of itself.

    Attributes:
        tee: Signs.
        key: Of its TLS.
        claims: Covered by its evidence.
        ticket_key: Of its sessions.
        earlier: Seconds by which its clock is behind.

    """

    tee: SimulatedTee = field(default_factory=lambda: SimulatedTee(IMAGE.encode()))
    key: TlsKey = field(default_factory=made_key)
    claims: AgentClaims = field(
        default_factory=lambda: AgentClaims(
            key_origin=KeyOrigin.INSIDE,
            ticket_keys=TicketKeys.INSIDE,
            claims={"service": "app"},
        )
    )
    ticket_key: bytes = field(default_factory=lambda: secrets.token_bytes(TICKET_KEY))
    earlier: float = 0.0

    @property
    def credentials(self) -> Credentials:
        """Its certificate, which carries evidence for the key."""
        now = time.time() - self.earlier
        evidence = self.tee.evidence(in_user_data(self.key.spki, self.claims), now)
        return self.key.self_signed((NAME,), evidence, (now, now + 24 * 3600))

    def for_exporter(self, exporter: bytes) -> Evidence:
        """Evidence for one connection."""
        request = for_connection(self.key.spki, self.claims, exporter)
        return self.tee.evidence(request, time.time() - self.earlier)

    def for_nonce(self, nonce: bytes) -> Evidence:
        """Evidence for one question."""
        request = in_user_data(self.key.spki, self.claims, nonce)
        return self.tee.evidence(request, time.time() - self.earlier)

    def entry(self, age: float = 0.0, epoch: float = 600.0) -> Entry:
        """Its place in the set of one who has verified it so many seconds ago."""
        exporter, at = secrets.token_bytes(32), int(time.time() - age)
        evidence = self.for_exporter(exporter)
        return Entry(self.digest, exporter, at, int(at + epoch), evidence)

    @property
    def digest(self) -> bytes:
        """What it is known by."""
        return hashlib.sha256(self.key.spki).digest()

    def context(self, protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
        """Its end of TLS."""
        return server_context(self.credentials, self.ticket_key, protocols)


Say = Callable[[Enclave, ssl.SSLObject], Awaitable[bytes]]
"""What a server says first of all, framed."""

Reply = Callable[[Enclave, str], bytes]
"""What a server answers to a question over HTTP."""


async def proof(enclave: Enclave, tls: ssl.SSLObject) -> bytes:
    """What an honest one says."""
    return frame(encode_answer(Answer(enclave.for_exporter(export(tls)))))


def reply(enclave: Enclave, query: str) -> bytes:
    """What an honest one answers to a nonce."""
    nonce = parse_question(query).nonce
    return http(encode_answer(Answer(enclave.for_nonce(nonce or b""))))


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """An answer over HTTP."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Server:
    """A TLS server that answers as it is told, then repeats what it hears.

    Attributes:
        enclave: Whose key it has.
        say: What it says first, where ALPN asks for a proof.
        reply: What it answers over HTTP.
        protocols: What it agrees on by ALPN behind the proof.
        context: Its end of TLS; None: as its enclave has it.
        members: Those of the set that it sends to whoever asks.
        heard: All that it was told by the application.
        connections: How many it had.
        proofs: On how many of them it was asked for one.
        port: Where it listens.

    """

    enclave: Enclave = field(default_factory=Enclave)
    say: Say = proof
    reply: Reply = reply
    protocols: Sequence[str] = ("http/1.1",)
    context: ssl.SSLContext | None = None
    members: Callable[[], Sequence[Entry]] = tuple
    heard: bytearray = field(default_factory=bytearray)
    connections: int = 0
    proofs: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        self.connections += 1
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        agreed = tls.selected_alpn_protocol()
        if agreed in {ALPN, SET_ALPN}:
            self.proofs += 1
            writer.write(await self.say(self.enclave, tls))
        if agreed == SET_ALPN:
            writer.write(frame(encode_set(self.members())))
        await self._converse(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b"GET /.well-known/attestation?"
        while data := await reader.read(65_536):
            if data.startswith(asked):
                query = data[len(asked) :].partition(b" ")[0].decode()
                writer.write(self.reply(self.enclave, query))
                continue
            self.heard += data
            writer.write(data)
            await writer.drain()


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handle, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port whose connections end with the block, each after it was handled; nothing is left."""
    tasks = set[asyncio.Task[None] | None]()

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await handle(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(whole, HOST, 0, ssl=context)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            left = [task for task in tasks if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


async def waits(reader: asyncio.StreamReader) -> None:
    """Listen, and say nothing."""
    await reader.read()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """A server until the end of the block, and what it heard."""
    context = server.context or server.enclave.context(server.protocols)
    async with listening(server.serve, context) as server.port:
        yield server


async def exchange(asking: AttestedClient, port: int) -> bytes:
    """What comes back of a secret."""
    connection = await asking.connect(HOST, port, NAME)
    try:
        await connection.stream.write(SECRET)
        return await connection.stream.read()
    finally:
        connection.close()


async def account(asking: AttestedClient, port: int) -> Account:
    """What a client says of a connection that has carried something."""
    connection = await asking.connect(HOST, port, NAME)
    await connection.stream.write(SECRET)
    assert await connection.stream.read() == SECRET
    connection.close()
    return connection.account


async def refused(asking: AttestedClient, server: Server) -> NotAttested:
    """Why a client does not speak to a server, which has heard nothing of its application."""
    try:
        await exchange(asking, server.port)
    except NotAttested as error:
        assert not server.heard
        return error
    raise AssertionError("the connection was accepted")


async def diverted(asking: AttestedClient, first: Server, other: Server) -> NotAttested:
    """Why a client that one server has served does not speak to another, to which it is led."""
    async with serving(first), serving(other), switch(first.port) as way:
        await exchange(asking, way.port)
        way.to, other.port = other.port, way.port
        return await refused(asking, other)


def failing(error: NotAttested) -> str:
    """The check that refused it."""
    assert error.result is not None
    assert error.result.reason is not None
    return error.result.reason.name


@dataclass(slots=True)
class Way:
    """Where a switch leads; the next connection goes there."""

    to: int
    port: int = 0


@asynccontextmanager
async def switch(to: int) -> AsyncIterator[Way]:
    """A forwarder whose way can be changed, as a balancer might do it."""
    way = Way(to)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await lead(way.to, reader, writer)

    async with listening(forward) as way.port:
        yield way


async def lead(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lead a connection to a port."""
    there, back = await asyncio.open_connection(HOST, port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(copy(reader, back))
            both.create_task(copy(there, writer))
    finally:
        back.transport.abort()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on to their end."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


def without_tickets(enclave: Enclave) -> Enclave:
    """The same, which does not say who holds its ticket keys."""
    return replace(enclave, claims=replace(enclave.claims, ticket_keys=None))
