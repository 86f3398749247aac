"""The API: streams, protocols, errors, and what is left behind: nothing."""

import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from l4proxy.agent.libssl import export
from l4proxy.client import (
    Account,
    AttestedClient,
    Continuity,
    Fault,
    LocalPort,
    NotAttested,
    Rules,
)
from l4proxy.config import ConfigError
from sni import BadServerName
from tests.l4proxy.agent.parts import NAME, PATIENCE, application, settings
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import (
    HOST,
    SECRET,
    Server,
    client,
    listening,
    proof,
    serving,
    waits,
)

POLICY = "accept: [{simulated: {insecure_any_measurement: true}}]\nallow_simulated: true\n"


@pytest.mark.parametrize("protocol", ["tcp", "http"])
async def test_streams_to_a_real_agent(protocol: str) -> None:
    """Reader and writer are those of asyncio, and say whose connection it is."""
    async with (
        application() as behind,
        agent_serving(settings(behind, protocol=protocol)) as agent,
        client() as asking,
    ):
        for standing in (Continuity.FRESH, Continuity.RESUMED):
            reader, writer = await asking.open_connection(HOST, agent.port, NAME)
            account = writer.get_extra_info("account")
            assert isinstance(account, Account)
            assert account.standing is standing
            assert account.name.startswith("enclave-a ")
            writer.write(SECRET)
            await writer.drain()
            writer.write_eof()
            assert await reader.read() == SECRET
            writer.close()
            await writer.wait_closed()


def test_it_runs_on_uvloop() -> None:
    """Another loop than asyncio's own does as well."""

    async def visit() -> bytes:
        async with serving(Server()) as server, client() as asking:
            reader, writer = await asking.open_connection(HOST, server.port, NAME)
            writer.write(SECRET)
            answer = await reader.readexactly(len(SECRET))
            writer.close()
            await writer.wait_closed()
            return answer

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(visit()) == SECRET


async def test_the_end_of_the_block_closes_what_is_open() -> None:
    """A connection that nobody has closed is reset, and its reader hears so."""
    async with serving(Server()) as server:
        async with client() as asking:
            reader, _ = await asking.open_connection(HOST, server.port, NAME)
            other = await asking.open_connection(HOST, server.port, NAME)
        assert await reader.read() == b""
        assert other[1].is_closing()


async def test_what_the_block_raises_goes_on_as_it_is() -> None:
    """No group is made of the caller's own error."""
    with pytest.raises(ZeroDivisionError):
        async with client():
            raise ZeroDivisionError


async def test_a_closed_client_gives_no_streams() -> None:
    """Streams are served by tasks, and these live as long as the block."""
    with pytest.raises(RuntimeError, match="async with"):
        await client().open_connection(HOST, 1, NAME)


async def test_a_protocol_that_cannot_be_made_leaves_nothing() -> None:
    """Its connection is closed at once, and not some time later."""
    over = asyncio.Event()
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await server.serve(reader, writer)
        finally:
            over.set()

    def fail() -> asyncio.Protocol:
        raise ZeroDivisionError

    async with listening(serve, server.enclave.context()) as port, client() as asking:
        with pytest.raises(ZeroDivisionError):
            await asking.create_connection(fail, HOST, port, NAME)
        async with asyncio.timeout(PATIENCE):
            await over.wait()


async def test_nobody_is_there() -> None:
    """A refused dial is told with its target."""
    async with serving(Server()) as server:
        port = server.port
    with pytest.raises(NotAttested) as caught:
        await client().connect(HOST, port, NAME)
    assert caught.value.fault is Fault.UNREACHABLE
    assert f"{HOST}:{port} ({NAME})" in str(caught.value)


async def test_who_says_nothing_in_the_handshake() -> None:
    """A server that accepts and is silent is given up at the deadline."""
    async with listening(lambda reader, _: waits(reader)) as port:
        with pytest.raises(NotAttested) as caught:
            await client(Rules(timeout=0.2)).connect(HOST, port, NAME)
    assert caught.value.fault is Fault.TIMEOUT


async def test_who_speaks_no_tls() -> None:
    """A server of another protocol is told as such."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    async with listening(greet) as port:
        with pytest.raises(NotAttested, match="tls_failed: handshake: "):
            await client().connect(HOST, port, NAME)


async def test_the_exporter_needs_tls_1_3() -> None:
    """A server that ends at TLS 1.2 is refused in the handshake."""
    server = Server()
    server.context = server.enclave.context()
    server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(server):
        with pytest.raises(NotAttested) as caught:
            await client().connect(HOST, server.port, NAME)
    assert caught.value.fault is Fault.TLS_FAILED


async def test_a_server_name_that_is_none() -> None:
    """The caller's own mistake is not the server's."""
    with pytest.raises(BadServerName):
        await client().connect(HOST, 1, "no name")


async def test_the_server_name_is_the_host_if_it_is_a_name() -> None:
    """An address is never said in the handshake, a name always."""
    names: list[str | None] = []

    async def say(enclave: object, tls: ssl.SSLObject) -> bytes:
        return await proof(server.enclave, tls)

    server = Server(say=say)
    server.context = server.enclave.context()
    server.context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(server):
        for host in ("localhost", HOST):
            (await client().connect(host, server.port)).close()
    assert names == ["localhost", None]


async def test_a_policy_from_a_file(tmp_path: Path) -> None:
    """A client by the file that pools and `l4proxy verify` read too."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    async with serving(Server()) as server:
        connection = await AttestedClient.from_file(file).connect(HOST, server.port, NAME)
        connection.close()
    assert connection.account.result.simulated


def test_a_wrong_policy_file(tmp_path: Path) -> None:
    """A mistake is told with its place, and nothing is connected."""
    file = tmp_path / "policy.yaml"
    file.write_text("accept: []\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"policy\.yaml:1:\d+"):
        AttestedClient.from_file(file)


async def test_many_at_once() -> None:
    """Connections of one client do not wait for each other, and each has its own proof."""
    async with serving(Server()) as server, client(Rules(timeout=PATIENCE)) as asking:
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(asking.connect(HOST, server.port, NAME)) for _ in range(32)]
        for task in found:
            connection = task.result()
            assert connection.account.standing is Continuity.FRESH
            connection.close()


async def test_the_exporter_is_that_of_the_connection() -> None:
    """What the client expects is what the other end has: no third value."""
    seen: list[bytes] = []

    async def say(enclave: object, tls: ssl.SSLObject) -> bytes:
        seen.append(export(tls))
        return await proof(server.enclave, tls)

    server = Server(say=say)
    async with serving(server):
        connection = await client().connect(HOST, server.port, NAME)
        claims = connection.account.result.claims
        connection.close()
    assert claims is not None
    assert claims.bound_data[-32:] == seen[0]


def test_its_parts_have_their_names() -> None:
    """What the package promises can be imported from it."""
    assert LocalPort.__module__ == "l4proxy.client.port"
