"""Promises of `l4proxy.agent.peers.watch`: who has proved himself is in the set, and only he."""

import asyncio
import logging
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from attestation import SimulatedTee
from attestation.simulated_tee import CERTIFICATE_SECONDS
from l4proxy.agent.addresses import parse_address
from l4proxy.agent.peers import watch
from l4proxy.agent.peers.settings import PeersSettings, Place
from l4proxy.agent.peers.visit import Visitor
from l4proxy.agent.peers.watch import BadPeers, Peers
from l4proxy.client import AttestedClient, Basis, Rules, Strangers
from l4proxy.client.tls import Line
from l4proxy.set_wire import encode_set, parse_set
from tests.house.repository import ROOT
from tests.l4proxy.agent.parts import (
    KINDS,
    NAME,
    PATIENCE,
    application,
    connected,
    policy,
    settings,
    soon,
)
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST, SECRET, Enclave, Server, client, serving, switch

POLICY = "accept: [{simulated: {insecure_any_measurement: true}}]\nallow_simulated: true\n"


def watching(*ports: int, clock: float = 0.0) -> Peers:
    """The watch over servers on this machine."""
    places = tuple(parse_address(f"{HOST}:{port}") for port in ports)
    asked = PeersSettings(places, NAME, Path("policy.yaml"), 600.0)
    return Peers(asked, policy(), KINDS, lambda: time.time() + clock)


@asynccontextmanager
async def running(peers: Peers) -> AsyncIterator[None]:
    """Until the end of the block; every wait in it ends."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(peers.run())
        yield
        task.cancel()


def keys(peers: Peers) -> set[bytes]:
    """Whose are in the set."""
    return {entry.key for entry in parse_set(peers.document())}


async def test_who_has_proved_himself_is_in_the_set(caplog: pytest.LogCaptureFixture) -> None:
    """Who has not is left out, and the log says why; the others do not wait for him."""
    one, other = Server(), Server()
    false = Server(Enclave(SimulatedTee(b"other")))
    async with serving(one), serving(other), serving(false):
        peers = watching(one.port, false.port, other.port, one.port)
        assert keys(peers) == set()
        with caplog.at_level(logging.INFO):
            async with running(peers):
                await soon(lambda: len(keys(peers)) == 2 and "pcr0" in caplog.text)
        assert keys(peers) == {one.enclave.digest, other.enclave.digest}
        # Anybody may ask for it: it is made when it changes.
        assert peers.document() is peers.document()
    assert re.search(rf"peer {HOST}:{false.port}: no member: refused: pcr0: found", caplog.text)
    assert f"peer {HOST}:{one.port}: member: {one.enclave.digest.hex()[:12]}" in caplog.text


async def test_when_the_epoch_ends_the_entries_end() -> None:
    """They are verified again before that, or they are gone."""
    async with serving(Server()) as server:
        peers = watching(server.port)
        async with running(peers):
            await soon(lambda: bool(keys(peers)))
        late = watching()
        late._members = peers._members  # noqa: SLF001 - what the same watch has at a later time
        late._clock = lambda: time.time() + 601.0  # noqa: SLF001 - as above
        assert keys(late) == set()


async def test_who_has_short_evidence_stays_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is visited again before its evidence ends, however long an epoch is."""
    monkeypatch.setattr(watch, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(watch, "ROUND", 0.05)
    server = Server(Enclave(earlier=CERTIFICATE_SECONDS - 10.0))
    async with serving(server):
        peers = watching(server.port)
        async with running(peers):
            await soon(lambda: server.connections > 1)


async def test_a_peer_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there yet is tried again; one that fails is no member from then on."""
    monkeypatch.setattr(watch, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(watch, "LAST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(watch, "ROUND", 0.0001)
    server = Server()
    async with serving(server):
        peers = watching(server.port)
        true, server.enclave = server.enclave, Enclave(SimulatedTee(b"other"))
        async with running(peers):
            await soon(lambda: server.connections > 2)
            assert keys(peers) == set()
            server.enclave = true
            await soon(lambda: keys(peers) == {true.digest})
            server.enclave = Enclave(SimulatedTee(b"other"))
            await soon(lambda: keys(peers) == set())


async def test_another_reason_is_told_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A peer that was not there at first, and is another than expected; each reason once."""
    monkeypatch.setattr(watch, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(watch, "LAST_RETRY_SECONDS", 0.02)
    false = Server(Enclave(SimulatedTee(b"other")))
    async with serving(false), switch(1) as way, running(watching(way.port)):
        await soon(lambda: "tls_failed" in caplog.text)
        way.to = false.port
        await soon(lambda: false.connections > 2)
    assert caplog.text.count("no member: refused: pcr0") == 1
    assert caplog.text.count("no member: tls_failed") <= 2


async def test_a_mistake_of_ours_about_one_peer_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no member, and the others are."""
    async with serving(Server()) as server, serving(Server()) as other:
        peers = watching(server.port, other.port)
        prove = Visitor._prove  # noqa: SLF001 - what stands for any fault within it

        async def broken(self: Visitor, line: Line, place: Place) -> object:
            if str(place).endswith(f":{server.port}"):
                raise KeyError("mistake")
            return await prove(self, line, place)

        monkeypatch.setattr(Visitor, "_prove", broken)
        async with running(peers):
            await soon(lambda: "mistake" in caplog.text and bool(keys(peers)))
        assert keys(peers) == {other.enclave.digest}


def test_a_policy_of_a_file(tmp_path: Path) -> None:
    """It is read as any client's is."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    assert parse_set(Peers.from_settings(PeersSettings((), NAME, file, 1.0)).document()) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("a: [", "not YAML"),
        ("accept: []", "accept: found no set of measurements"),
        (POLICY + "freshness: {mode: nonce}\n", "found freshness nonce, expected exporter"),
        (POLICY + "ownership: {ca: none.pem, name: a}\n", "ownership.ca"),
    ],
)
def test_a_policy_that_cannot_be_used(tmp_path: Path, text: str | None, why: str) -> None:
    """The operator is told where; a set rests on nothing less than the exporter."""
    file = tmp_path / "policy.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadPeers, match=re.escape(why)):
        Peers.from_settings(PeersSettings((), NAME, file, 1.0))


@pytest.mark.parametrize("protocol", ["tcp", "http"])
async def test_agents_tell_clients(tmp_path: Path, protocol: str) -> None:
    """Whole: a client proves one agent, and is let in by another without a proof."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    rules = Rules(strangers=Strangers.REFUSE, timeout=PATIENCE)
    async with (
        asyncio.timeout(PATIENCE),
        application() as behind,
        agent_serving(settings(behind, instance="enclave-b", protocol=protocol)) as other,
    ):
        peers = {"addresses": [f"{HOST}:{other.port}"], "server_name": NAME, "policy": str(file)}
        asked = settings(behind, protocol=protocol, peers=peers)
        async with agent_serving(asked) as one, switch(one.port) as way:
            found = one.enclave.peers
            assert found is not None
            await soon(lambda: bool(keys(found)))
            asking = client(rules)
            assert await spoken(asking, way.port) == Basis.EXPORTER
            way.to = other.port
            assert await spoken(asking, way.port) == Basis.SET


async def spoken(asking: AttestedClient, port: int) -> Basis:
    """What a connection rests on that has carried something."""
    connection = await asking.connect(HOST, port, NAME)
    await connection.stream.write(SECRET)
    assert await connection.stream.read() == SECRET
    connection.close()
    return connection.account.basis


def test_the_agent_carries_no_configuration_of_the_daemon() -> None:
    """It is measured code: what it verifies peers with brings nothing large along."""
    found = "print(sorted({'aiohttp', 'pydantic', 'rich', 'uvloop'} & sys.modules.keys()))"
    command = [sys.executable, "-c", f"import sys; import l4proxy.agent.agent; {found}"]
    assert subprocess.check_output(command, cwd=ROOT, timeout=60.0) == b"[]\n"


async def test_the_set_has_a_path_too() -> None:
    """Whoever wants a hint reads it over HTTP; an agent without peers has an empty one."""
    request = b"GET /.well-known/attestation/set HTTP/1.1\r\n\r\n"
    async with (
        application() as behind,
        agent_serving(settings(behind, protocol="http")) as agent,
        connected(agent.port, "http/1.1") as there,
    ):
        assert await there.ask(request) == (200, encode_set(()))
