"""A proved connection as asyncio has them: whole bytes, both halves, honest ends."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from l4proxy.client import ProvedTransport
from l4proxy.client.transport import MAX_WRITE_BYTES
from tests.l4proxy.agent.parts import NAME, PATIENCE, application, settings, soon
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import (
    HOST,
    SECRET,
    Enclave,
    Server,
    client,
    listening,
    proof,
    serving,
)

MUCH = bytes(range(256)) * 20_000


class Told(asyncio.Protocol):
    """A protocol that remembers what it was told."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.words: list[str] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.came += data

    def eof_received(self) -> bool:
        """Keep the other half open."""
        self.words.append("eof")
        return True

    def pause_writing(self) -> None:
        """Remember it."""
        self.words.append("pause")

    def resume_writing(self) -> None:
        """Remember it."""
        self.words.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember why."""
        self.lost.set_result(exc)


@asynccontextmanager
async def joined(port: int) -> AsyncIterator[tuple[ProvedTransport, Told]]:
    """A transport and its protocol."""
    async with asyncio.timeout(PATIENCE), client() as asking:
        yield await asking.create_connection(Told, HOST, port, NAME)


async def test_much_goes_both_ways() -> None:
    """Megabytes come back as they went, however slowly somebody reads."""
    async with (
        application() as behind,
        agent_serving(settings(behind)) as agent,
        asyncio.timeout(PATIENCE),
        client() as asking,
    ):
        reader, writer = await asking.open_connection(HOST, agent.port, NAME)
        async with asyncio.TaskGroup() as tasks:
            back = tasks.create_task(reader.read())
            for start in range(0, len(MUCH), 300_000):
                writer.write(MUCH[start : start + 300_000])
                await writer.drain()
            writer.write_eof()
        assert back.result() == MUCH
        writer.close()
        await writer.wait_closed()


async def test_writing_pauses_and_goes_on() -> None:
    """A protocol that writes more than is taken is asked to pause, and told when to go on."""
    async with serving(Server()) as server, joined(server.port) as (transport, told):
        transport.write(bytes(MAX_WRITE_BYTES))
        assert not told.words
        transport.write(b"x")
        assert told.words == ["pause"]
        assert transport.get_write_buffer_size() == MAX_WRITE_BYTES + 1
        await soon(lambda: "resume" in told.words)
        transport.close()
        assert await told.lost is None


async def test_what_was_written_before_the_end_arrives() -> None:
    """Closing waits for what was written, and takes nothing more."""
    async with serving(Server()) as server, joined(server.port) as (transport, told):
        transport.write(SECRET)
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        assert await told.lost is None
        await soon(lambda: server.heard == SECRET)


async def test_one_half_can_be_ended() -> None:
    """The other end answers to an end of file, and is heard."""
    async with (
        application() as behind,
        agent_serving(settings(behind)) as agent,
        joined(agent.port) as (transport, told),
    ):
        assert transport.can_write_eof()
        transport.write(SECRET)
        transport.write_eof()
        transport.write(b"too late")
        await soon(lambda: "eof" in told.words)
        assert told.came == SECRET
        assert not transport.is_closing()
        transport.close()
        assert await told.lost is None


async def test_a_connection_that_is_cut_off_has_not_ended() -> None:
    """Who stands in between cannot make a part of an answer look whole."""

    async def cut(enclave: Enclave, tls: ssl.SSLObject) -> bytes:
        return await proof(enclave, tls) + b"half an answer"

    class Cutting(Server):
        """Hangs up after it was asked, with no word of TLS."""

        async def _converse(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read(1)
            raise ConnectionAbortedError

    async with serving(Cutting(say=cut)) as server, joined(server.port) as (transport, told):
        transport.write(b"?")
        lost = await told.lost
    assert isinstance(lost, OSError)
    assert told.came == b"half an answer"
    assert "eof" not in told.words


async def test_a_peer_that_has_gone_already_is_told_as_any_other() -> None:
    """Reset behind its proof: there is a transport without its address, and then an error."""
    server, may = Server(), asyncio.Event()

    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await proof(server.enclave, writer.get_extra_info("ssl_object")))
        await may.wait()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with listening(reset, server.enclave.context()) as port, asyncio.timeout(PATIENCE):
        connection = await client().connect(HOST, port, NAME)
        may.set()
        await soon(lambda: not _named(connection.stream.socket))
        told = Told()
        transport = ProvedTransport(connection, told)
        assert transport.get_extra_info("peername") is None
        assert transport.get_extra_info("account") is connection.account
        await transport.run()
        assert isinstance(await told.lost, OSError)


def _named(sock: socket.socket) -> bool:
    try:
        return bool(sock.getpeername())
    except OSError:
        return False


async def test_reading_can_pause() -> None:
    """What is not wanted yet stays where it is."""
    async with serving(Server()) as server, joined(server.port) as (transport, told):
        transport.pause_reading()
        assert not transport.is_reading()
        transport.write(SECRET)
        await soon(lambda: server.heard == SECRET)
        await asyncio.sleep(0.05)
        assert not told.came
        transport.resume_reading()
        assert transport.is_reading()
        await soon(lambda: told.came == SECRET)
        transport.close()
        assert await told.lost is None


async def test_it_can_be_aborted() -> None:
    """A connection that is given up ends at once."""
    async with serving(Server()) as server, joined(server.port) as (transport, told):
        await asyncio.sleep(0)
        transport.abort()
        assert transport.is_closing()
        assert await told.lost is None


async def test_one_that_never_ran_is_closed_all_the_same() -> None:
    """A client that ends at once leaves no socket behind."""
    async with serving(Server()) as server:
        async with client() as asking:
            _, told = await asking.create_connection(Told, HOST, server.port, NAME)
        assert await told.lost is None


async def test_the_protocol_can_be_changed() -> None:
    """Another protocol hears what comes from then on."""
    async with serving(Server()) as server, joined(server.port) as (transport, told):
        other = Told()
        transport.set_protocol(other)
        assert transport.get_protocol() is other
        with pytest.raises(TypeError):
            transport.set_protocol(asyncio.DatagramProtocol())
        transport.write(SECRET)
        await soon(lambda: other.came == SECRET)
        assert not told.came
        transport.close()
        assert await other.lost is None


async def test_a_protocol_that_fails_ends_its_own_connection() -> None:
    """A mistake in one protocol is told to it, and ends no other connection of the client."""

    class Failing(Told):
        def data_received(self, data: bytes) -> None:
            """Fail."""
            raise ZeroDivisionError

    async with serving(Server()) as server, asyncio.timeout(PATIENCE), client() as asking:
        _, good = await asking.create_connection(Told, HOST, server.port, NAME)
        transport, bad = await asking.create_connection(Failing, HOST, server.port, NAME)
        transport.write(SECRET)
        assert isinstance(await bad.lost, ZeroDivisionError)
        assert not good.lost.done()
