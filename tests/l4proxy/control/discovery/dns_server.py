"""A DNS server on the loopback that says what a test wants, over UDP and TCP."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from routing import Address
from tests.ports import free_port

NAME: Final = "enclaves.internal"

Reply = bytes | dns.message.Message
Script = Callable[[dns.message.Message], Sequence[Reply]]
"""What is sent back for a query, in order; nothing: silence."""


def records(
    by_kind: Mapping[str, Iterable[str]],
    *,
    ttl: int = 60,
    owner: str = NAME,
    code: dns.rcode.Rcode = dns.rcode.NOERROR,
) -> Script:
    """Answer with these records of the kind asked for; with none where there is no such kind."""

    def script(query: dns.message.Message) -> list[Reply]:
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        response = dns.message.make_response(query)
        response.set_rcode(code)
        texts = list(by_kind.get(kind, ()))
        if texts:
            response.answer.append(dns.rrset.from_text_list(f"{owner}.", ttl, "IN", kind, texts))
        return [response]

    return script


def aliases(*pairs: tuple[str, str], kind: str = "CNAME") -> Script:
    """Answer with these aliases and nothing else."""

    def script(query: dns.message.Message) -> list[Reply]:
        response = dns.message.make_response(query)
        for owner, target in pairs:
            response.answer.append(dns.rrset.from_text(f"{owner}.", 60, "IN", kind, f"{target}."))
        return [response]

    return script


def failure(code: dns.rcode.Rcode) -> Script:
    """Answer with this code and no record."""
    return records({}, code=code)


def silence(query: dns.message.Message) -> list[Reply]:
    """Say nothing."""
    del query
    return []


def truncated(query: dns.message.Message) -> list[Reply]:
    """Say that the answer is to be had over TCP, cut in the middle of a word."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return [response.to_wire()[:-3]]


@dataclass
class DnsServer:
    """Runs by two scripts, which a test changes as it goes.

    Attributes:
        address: Where it listens, over UDP and TCP.
        udp: What it says to datagrams.
        tcp: What it says over TCP; a message of bytes is sent as it is, without its length.
        queries: What it was asked, as (transport, kind).
    """

    address: Address
    udp: Script
    tcp: Script
    queries: list[tuple[str, str]] = field(default_factory=list)

    def say(self, script: Script) -> None:
        """Answer by this script from now on."""
        self.udp = self.tcp = script

    def answers(self, transport: str, script: Script, wire: bytes) -> Sequence[Reply]:
        """Return what the server sends for one query."""
        query = dns.message.from_wire(wire)
        self.queries.append((transport, dns.rdatatype.to_text(query.question[0].rdtype)))
        return script(query)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # typeshed names the base
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        for reply in self._server.answers("udp", self._server.udp, data):
            wire = reply if isinstance(reply, bytes) else reply.to_wire(max_size=65_507)
            self._transport.sendto(wire, addr)


@contextlib.asynccontextmanager
async def serve_dns(script: Script = silence) -> AsyncIterator[DnsServer]:
    """Run a server on a free port until the block ends."""
    loop = asyncio.get_running_loop()
    datagrams, stream = _sockets()
    server = DnsServer(Address(*stream.getsockname()), script, script)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            for reply in server.answers("tcp", server.tcp, wire):
                writer.write(_framed(reply))
            await writer.drain()
        writer.close()

    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), sock=datagrams)
    try:
        async with await asyncio.start_server(talk, sock=stream):
            yield server
    finally:
        transport.close()


def _framed(reply: Reply) -> bytes:
    if isinstance(reply, bytes):
        return reply
    return reply.to_wire(prepend_length=True, max_size=65_535)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """Bind the same free port for datagrams and streams."""
    for _ in itertools.repeat(None, 20):
        stream = socket.create_server(("127.0.0.1", free_port()))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            datagrams.bind(stream.getsockname())
            datagrams.setblocking(False)
            stream.setblocking(False)
            return datagrams, stream
        stream.close()
        datagrams.close()
    raise OSError("found no port that is free for datagrams and streams")
