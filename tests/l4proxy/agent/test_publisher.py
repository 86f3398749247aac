"""Promises of `l4proxy.agent.publisher`: names for balancers, beside the clients' port."""

import asyncio
import json
import time

import pytest

from attestation import Expectation, commit_ticket_names
from l4proxy.agent import publisher
from l4proxy.agent.libssl import export
from l4proxy.agent.publisher import TICKET_NAMES, Publisher
from l4proxy.agent.well_known import MAX_HEAD_BYTES
from l4proxy.evidence_wire import ALPN
from tests.l4proxy.agent.parts import PATIENCE, connected, serving, settings, verdict
from tests.l4proxy.agent.test_stream import plain
from tests.ports import free_port

NAMES = (bytes(16), bytes(range(16)))


async def heard(request: bytes, *, ends: bool = False) -> bytes:
    """All that a client hears."""
    async with plain() as (client, agent):
        await client.write(request)
        if ends:
            await client.end()
        await Publisher(NAMES).serve(agent.socket)
        data = b""
        while part := await client.read():
            data += part
        return data


async def test_the_names_are_told() -> None:
    """In JSON, one answer a connection."""
    head, _, content = (await heard(b"GET /ticket-names HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in head
    assert json.loads(content) == {"ticket_names": [name.hex() for name in NAMES]}


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * MAX_HEAD_BYTES,
        b"GET /.well-known/attestation HTTP/1.1",
    ],
)
async def test_there_is_nothing_else(request_: bytes) -> None:
    """Other requests, and what is none, hear so."""
    assert (await heard(request_, ends=True)).startswith(b"HTTP/1.1 404 ")


async def test_who_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says nothing does not stay for ever."""
    monkeypatch.setattr(publisher, "ANSWER_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        await heard(b"GET /tick")


async def test_the_evidence_holds_the_digest_of_what_is_published() -> None:
    """Who reads the names there can tell that they are the agent's."""
    port = free_port()
    async with serving(settings(publish=f"127.0.0.1:{port}")) as agent:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {TICKET_NAMES} HTTP/1.1\r\n\r\n".encode())
            told = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["ticket_names"]
            writer.close()
        async with connected(agent.port, ALPN) as client:
            answer = await client.proof()
            here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
            result = verdict(answer, here, time.time())
    assert result.agent is not None
    assert result.agent.ticket_names == commit_ticket_names(map(bytes.fromhex, told))
