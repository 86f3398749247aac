"""Promises of `l4proxy.agent.peers.visit`: who has proved himself to the agent, and who has not."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from attestation import Expectation, KeyOrigin, MalformedEvidence, Policy, SimulatedTee, judge
from l4proxy.agent.addresses import parse_address
from l4proxy.agent.peers.settings import Named, PeersSettings, Place
from l4proxy.agent.peers.visit import Visitor
from l4proxy.client import Fault, NotAttested
from l4proxy.evidence_wire import Answer, encode_answer, frame
from l4proxy.set_wire import Entry
from tests.l4proxy.agent.parts import IMAGE, KINDS, NAME, application, policy, settings
from tests.l4proxy.agent.parts import serving as agent_serving
from tests.l4proxy.client.parts import HOST, Enclave, Server, failing, listening, serving


async def visit(port: int, asked: Policy | None = None, place: Place | None = None) -> Entry:
    """What comes of a visit to somebody on this machine."""
    found = place or parse_address(f"{HOST}:{port}")
    peers = PeersSettings((found,), NAME, Path("policy.yaml"), 600.0)
    visitor = Visitor.by(peers, asked or policy(), KINDS, time.time)
    entry, result = await visitor.visit(found)
    assert result.accepted
    return entry


async def test_a_peer_proves_itself() -> None:
    """What is kept of it can be judged again by whoever knows what its evidence signs."""
    async with application() as behind, agent_serving(settings(behind)) as agent:
        for place in (None, Named("localhost", agent.port)):
            entry = await visit(agent.port, place=place)
            assert entry.until - entry.verified_at == 600
            expected = Expectation(spki=agent.enclave.issuer.key.spki, exporter=entry.exporter)
            assert judge(entry.evidence, policy(), KINDS, expected, time.time()).accepted


async def test_a_member_ends_with_its_evidence() -> None:
    """However long the epoch is."""
    async with serving(Server(Enclave(earlier=3 * 3600.0 - 100.0))) as server:
        entry = await visit(server.port)
    assert entry.until - entry.verified_at <= 100


async def test_an_imported_key_enters_no_set() -> None:
    """Whatever the policy takes: others may hold it."""
    enclave = Enclave()
    enclave.claims = replace(enclave.claims, key_origin=KeyOrigin.IMPORTED)
    asked = policy(key_origin=["inside", "imported"], freshness={"mode": "exporter"})
    async with serving(Server(enclave)) as server:
        with pytest.raises(NotAttested, match="key_origin: found imported, expected inside"):
            await visit(server.port, asked)


async def test_other_code_enters_no_set() -> None:
    """The check that refused it is told."""
    async with serving(Server(Enclave(SimulatedTee(IMAGE.encode() + b"!")))) as server:
        with pytest.raises(NotAttested) as caught:
            await visit(server.port)
    assert failing(caught.value) == "pcr0"


async def test_who_stands_between_two_enclaves_enters_no_set() -> None:
    """With a key that leaked and the relayed proof of its enclave: the exporter is another."""
    enclave = Enclave()
    elsewhere = bytes(range(32))

    async def relayed(_: Enclave, __: object) -> bytes:
        return frame(encode_answer(Answer(enclave.for_exporter(elsewhere))))

    async with serving(Server(enclave, relayed)) as middle:
        with pytest.raises(NotAttested) as caught:
            await visit(middle.port)
    assert failing(caught.value) == "exporter"


async def test_nobody_is_there() -> None:
    """By address and by name."""
    async with serving(Server()) as server:
        port = server.port
    for place in (None, Named("localhost", port)):
        with pytest.raises(NotAttested) as caught:
            await visit(port, place=place)
        assert caught.value.fault is Fault.UNREACHABLE


async def test_a_certificate_that_is_none() -> None:
    """What cannot be read is told as such."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("l4proxy.client.tls.read_certificate", _unreadable)
        async with serving(Server()) as server:
            with pytest.raises(NotAttested) as caught:
                await visit(server.port)
    assert caught.value.fault is Fault.MALFORMED


def _unreadable(*_: object) -> None:
    raise MalformedEvidence("certificate")


async def test_no_tls_at_all() -> None:
    """What answers in the clear is told as such."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")

    async with listening(talk) as port:
        with pytest.raises(NotAttested) as caught:
            await visit(port)
    assert caught.value.fault is Fault.TLS_FAILED
