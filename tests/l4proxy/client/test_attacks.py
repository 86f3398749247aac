"""Attacks on a live connection: each is refused by name, and hears nothing of the application."""

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from attestation import KeyOrigin, SimulatedTee, for_connection
from attestation.manifest import digest
from l4proxy.agent.certificates import TlsKey
from l4proxy.agent.libssl import export
from l4proxy.agent.tls import server_context
from l4proxy.agent_metrics import CPU, Scrapers, describe
from l4proxy.client import Fault, Reattest, Rules
from l4proxy.evidence_wire import (
    ALPN,
    FRAME_HEADER,
    Answer,
    encode_answer,
    frame,
    frame_size,
    parse_answer,
)
from l4proxy.merkle import grow
from tests.l4proxy.agent.credentials import made_key
from tests.l4proxy.agent.parts import IMAGE, NAME, PATIENCE, connected, policy
from tests.l4proxy.client.parts import (
    HOST,
    SECRET,
    Enclave,
    Say,
    Server,
    client,
    exchange,
    failing,
    http,
    proof,
    refused,
    reply,
    serving,
    switch,
    without_tickets,
)

BY_NONCE = {"freshness": {"mode": "nonce"}}
MANIFEST = b'{"version": 1, "claims": {"service": "app"}}'
FORGED = b'{"version": 1, "claims": {"service": "app", "debug": true}}'


async def taken_from(port: int) -> bytes:
    """The proof that an enclave gives to whoever stands in the middle."""
    async with connected(port, ALPN) as there:
        header = await there.reader.readexactly(FRAME_HEADER)
        return header + await there.reader.readexactly(frame_size(header))


def passing_on(port: int) -> Say:
    """Ask the true enclave, and pass its proof on as one's own."""

    async def say(_: Enclave, __: ssl.SSLObject) -> bytes:
        return await taken_from(port)

    return say


@asynccontextmanager
async def man_in_the_middle(key: TlsKey) -> AsyncIterator[Server]:
    """Who ends TLS with this key, and has a true enclave behind it."""
    async with serving(Server(Enclave(key=key))) as enclave:
        own = Enclave(key=key)
        async with serving(Server(own, passing_on(enclave.port))) as middle:
            yield middle


async def test_a_man_in_the_middle_with_a_certificate_of_his_own() -> None:
    """The evidence that he passes on is for another key than that of the connection."""
    async with (
        serving(Server()) as enclave,
        serving(Server(say=passing_on(enclave.port))) as middle,
    ):
        error = await refused(client(), middle)
    assert error.fault is Fault.REFUSED
    assert failing(error) == "key_binding"
    assert "found key" in error.detail
    assert "expected key" in error.detail


async def test_a_stolen_certificate_without_its_key() -> None:
    """He cannot sign the handshake."""
    true = Enclave()
    async with serving(Server(true, context=_with_another_key(true))) as thief:
        error = await refused(client(), thief)
    assert error.fault is Fault.TLS_FAILED
    assert error.result is None


def _with_another_key(enclave: Enclave) -> ssl.SSLContext:
    """A server with the enclave's certificate, and a key that only claims to be its own."""
    own = enclave.key.own
    assert own is not None
    other = ec.generate_private_key(ec.SECP256R1())
    wrong = other.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    true, claimed = (
        key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        for key in (other, own)
    )
    encoded = ssl.DER_cert_to_PEM_cert(wrong.replace(true, claimed)).replace(
        "CERTIFICATE", "PRIVATE KEY"
    )
    credentials = replace(enclave.credentials, key=encoded.encode())
    return server_context(credentials, enclave.ticket_key, ())


async def test_a_leaked_key_and_the_relayed_proof_of_its_enclave() -> None:
    """Who holds a true enclave's TLS key, and asks that enclave, has another exporter value."""
    async with man_in_the_middle(made_key()) as middle:
        error = await refused(client(), middle)
    assert error.fault is Fault.REFUSED
    assert failing(error) == "exporter"


async def test_a_leaked_key_is_enough_where_the_policy_asks_for_a_nonce_alone() -> None:
    """What "nonce only" means: this is why the client says so, and the exporter is the default."""
    async with serving(Server()) as leaked:
        found = await client(asked=policy(**BY_NONCE)).connect(HOST, leaked.port, NAME)
        found.close()
    assert found.account.basis.value == "nonce only"


async def test_the_proof_of_an_earlier_connection() -> None:
    """A proof that was recorded on one connection is none on the next."""
    recorded: list[bytes] = []

    async def replay(enclave: Enclave, tls: ssl.SSLObject) -> bytes:
        recorded.append(await proof(enclave, tls))
        return recorded[0]

    async with serving(Server(say=replay)) as server:
        await exchange(client(), server.port)
        server.heard.clear()
        error = await refused(client(), server)
    assert failing(error) == "exporter"


async def test_the_answer_to_an_earlier_nonce() -> None:
    """An answer that was recorded is none to the next question."""
    recorded: list[bytes] = []

    def replay(enclave: Enclave, query: str) -> bytes:
        recorded.append(reply(enclave, query))
        return recorded[0]

    asked = policy(**BY_NONCE)
    async with serving(Server(reply=replay)) as server:
        await exchange(client(asked=asked), server.port)
        server.heard.clear()
        error = await refused(client(asked=asked), server)
    assert failing(error) == "nonce"


async def test_old_evidence() -> None:
    """Evidence whose certificates have ended is refused, for this connection or not."""
    async with serving(Server(Enclave(earlier=4 * 3600.0))) as server:
        error = await refused(client(), server)
    assert failing(error) == "certificate_validity"


async def test_evidence_from_the_future() -> None:
    """A clock that is ahead by hours is refused too: whose it is cannot be told."""
    async with serving(Server(Enclave(earlier=-4 * 3600.0))) as server:
        error = await refused(client(), server)
    assert failing(error) == "certificate_validity"


@pytest.mark.parametrize("shown", [FORGED, None])
async def test_a_forged_manifest(shown: bytes | None) -> None:
    """A manifest that is not the one in the register is refused, and so is none at all."""
    enclave = Enclave(SimulatedTee(IMAGE.encode(), FORGED))

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        evidence = replace(own.for_exporter(export(tls)), manifest=shown)
        return frame(encode_answer(Answer(evidence)))

    asked = policy(manifest=f"sha256:{digest(MANIFEST).hex()}")
    async with serving(Server(enclave, say)) as server:
        error = await refused(client(asked=asked), server)
    assert failing(error) == "manifest"


async def test_the_right_manifest_beside_another_register() -> None:
    """To send the file that is expected is not enough: the register holds another's digest."""
    enclave = Enclave(SimulatedTee(IMAGE.encode(), FORGED))

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        evidence = replace(own.for_exporter(export(tls)), manifest=MANIFEST)
        return frame(encode_answer(Answer(evidence)))

    asked = policy(manifest=f"sha256:{digest(MANIFEST).hex()}")
    async with serving(Server(enclave, say)) as server:
        error = await refused(client(asked=asked), server)
    assert failing(error) == "manifest"


async def test_other_code() -> None:
    """A genuine enclave that runs something else is refused by its measurements."""
    async with serving(Server(Enclave(SimulatedTee(b"other")))) as server:
        error = await refused(client(), server)
    assert failing(error) == "pcr0"


async def test_a_debug_enclave() -> None:
    """An enclave whose memory its operator can read is refused."""
    async with serving(Server(Enclave(SimulatedTee(IMAGE.encode(), debug=True)))) as server:
        error = await refused(client(), server)
    assert error.fault is Fault.REFUSED


async def test_an_imported_key() -> None:
    """A key that somebody brought in is refused, unless the policy takes such keys."""
    enclave = Enclave()
    enclave.claims = replace(enclave.claims, key_origin=KeyOrigin.IMPORTED)
    async with serving(Server(enclave)) as server:
        error = await refused(client(), server)
    assert failing(error) == "key_origin"


async def test_a_key_that_was_swapped_after_attestation() -> None:
    """Evidence of the key before, over this very connection's value, is for another key."""
    before = made_key()

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        request = for_connection(before.spki, own.claims, export(tls))
        return frame(encode_answer(Answer(own.tee.evidence(request, time.time()))))

    async with serving(Server(say=say)) as server:
        error = await refused(client(), server)
    assert failing(error) == "key_binding"


async def test_lying_telemetry() -> None:
    """The evidence holds the digest of what an enclave tells; who says otherwise beside it lies."""
    told, lie = (
        hashlib.sha256(describe(metrics, Scrapers.TOKEN)).digest()
        for metrics in ([CPU], [CPU, "app_secrets_total"])
    )
    enclave = Enclave()
    enclave.claims = replace(enclave.claims, telemetry=told)
    false = replace(enclave.claims, telemetry=lie).encode()

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        evidence = own.for_exporter(export(tls))
        return frame(encode_answer(Answer(replace(evidence, agent_claims=false))))

    async with serving(Server(enclave)) as honest:
        connection = await client().connect(HOST, honest.port, NAME)
        connection.close()
    assert connection.account.result.agent is not None
    assert connection.account.result.agent.telemetry == told
    async with serving(Server(enclave, say)) as server:
        assert failing(await refused(client(), server)) == "agent_claims"


async def test_the_ticket_files_of_another_instance() -> None:
    """Who resumes with stolen ticket keys is refused once he has to prove himself."""
    true, thief = Server(), Server(Enclave(SimulatedTee(b"other")))
    thief.enclave.ticket_key = true.enclave.ticket_key
    async with serving(true) as one, serving(thief) as other, switch(one.port) as way:
        asking = client(Rules(reattest=Reattest.ALWAYS))
        await exchange(asking, way.port)
        way.to, other.port = other.port, way.port
        error = await refused(asking, other)
    assert error.fault is Fault.REFUSED
    assert failing(error) == "pcr0"


async def test_ticket_files_that_others_may_have() -> None:
    """Where nobody says that ticket keys stay inside, no session is resumed with a thief."""
    true, thief = Server(without_tickets(Enclave())), Server(Enclave(SimulatedTee(b"other")))
    thief.enclave.ticket_key = true.enclave.ticket_key
    async with serving(true) as one, serving(thief) as other, switch(one.port) as way:
        asking = client()
        await exchange(asking, way.port)
        way.to, other.port = other.port, way.port
        assert failing(await refused(asking, other)) == "pcr0"


async def test_a_bystander_is_told_apart_in_a_crowd() -> None:
    """Of many connections at once each is judged by its own proof."""
    async with man_in_the_middle(made_key()) as middle, serving(Server()) as enclave:
        asking = client()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            good = [tasks.create_task(exchange(asking, enclave.port)) for _ in range(8)]
            bad = [tasks.create_task(refused(asking, middle)) for _ in range(8)]
    assert {task.result() for task in good} == {SECRET}
    assert {failing(task.result()) for task in bad} == {"exporter"}


async def test_the_way_of_another_question() -> None:
    """Who shares a quote with us has a way to its root that is not ours."""

    async def say(own: Enclave, tls: ssl.SSLObject) -> bytes:
        root, (_, way) = grow([export(tls), b"e" * 32])
        return frame(encode_answer(Answer(own.for_exporter(root), way)))

    async with serving(Server(say=say)) as server:
        assert failing(await refused(client(), server)) == "exporter"


async def test_no_enclave_at_all() -> None:
    """A web server that has never heard of evidence is refused by what it answers."""

    def answer(_: Enclave, __: str) -> bytes:
        return http(b"<html>", "404 Not Found")

    enclave = Enclave()
    context = enclave.context()
    context.set_alpn_protocols(["http/1.1"])
    async with serving(Server(enclave, reply=answer, context=context)) as server:
        error = await refused(client(), server)
    assert error.fault is Fault.NO_PROOF
    assert "404" in error.detail


async def test_a_proof_is_read_as_it_was_sent() -> None:
    """The proof that a man in the middle takes is a true one: it is not refused for its form."""
    async with serving(Server()) as enclave:
        taken = await taken_from(enclave.port)
    assert parse_answer(taken[FRAME_HEADER:]).evidence.kind == "simulated"
