"""Promises of `l4proxy.agent.agent`: sealed first, then served; and no start without a TEE."""

import asyncio
import logging
import os
import resource
import signal
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from attestation import (
    Evidence,
    Expectation,
    KeyOrigin,
    MalformedEvidence,
    PolicyError,
    Request,
    TicketKeys,
    commit_ticket_names,
)
from attestation.manifest import digest
from l4proxy.agent import agent as module
from l4proxy.agent import quotes, renewal
from l4proxy.agent.agent import AgentFailed, attester, prepare, run
from l4proxy.agent.attesters import Simulated, TeeError
from l4proxy.agent.files import CERTIFICATE, TICKET_KEY
from l4proxy.agent.libssl import UnsuitableSsl, export
from l4proxy.agent.settings import Tee
from l4proxy.evidence_wire import ALPN
from tests.attestation.enclaves import MANIFEST
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.parts import (
    IMAGE,
    PATIENCE,
    application,
    connected,
    handing_over,
    policy,
    serving,
    settings,
    soon,
    verdict,
)
from tests.l4proxy.agent.test_certificates import given

NAME_OF_TICKETS = b"\xab" * 16


def written_manifest(folder: Path) -> Path:
    """The file of a manifest."""
    path = folder / "manifest.json"
    path.write_bytes(MANIFEST.encode())
    return path


class Watched(Simulated):
    """A simulated TEE that tells in what order it is asked."""

    def __init__(self) -> None:
        super().__init__(IMAGE.encode())
        self.calls: list[str] = []

    def seal(self, manifest: bytes | None) -> None:
        """Seal."""
        self.calls.append("seal")
        super().seal(manifest)

    def quote(self, request: Request) -> Evidence:
        """Quote."""
        self.calls.append("quote")
        return super().quote(request)


async def test_the_manifest_is_sealed_before_anything_else(tmp_path: Path) -> None:
    """Before the key is made, and so before anybody is served."""
    tee = Watched()
    prepare(settings(manifest=str(written_manifest(tmp_path))), tee)
    assert tee.calls == ["seal"]


def test_a_ready_file_of_yesterday_is_removed_first(tmp_path: Path) -> None:
    """Code that waits for it must not start before the manifest is sealed."""
    ready = tmp_path / "ready"
    ready.touch()
    with pytest.raises(FileNotFoundError):
        prepare(settings(ready_file=str(ready), manifest="/no/such"), Watched())
    assert not ready.exists()


async def test_a_policy_finds_all_that_it_asks_for(tmp_path: Path) -> None:
    """Manifest, ticket keys, key origin and claims, on one connection."""
    path = written_manifest(tmp_path)
    asked = settings(manifest=str(path), ticket_name=NAME_OF_TICKETS.hex())
    strict = policy(
        manifest=f"sha256:{digest(path.read_bytes()).hex()}",
        ticket_keys="inside",
        claims={"service": "app"},
        key_origin=["inside"],
    )
    async with serving(asked) as agent, connected(agent.port, ALPN) as client:
        answer = await client.proof()
        here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
        result = verdict(answer, here, time.time(), strict)
    assert result.accepted, result.reason
    assert result.resumption
    assert result.agent is not None
    assert result.agent.key_origin is KeyOrigin.INSIDE
    assert result.agent.ticket_keys is TicketKeys.INSIDE
    assert result.agent.ticket_names == commit_ticket_names([NAME_OF_TICKETS])


async def test_sessions_go_on_after_a_renewal() -> None:
    """The certificate changes, the key and the ticket key stay."""
    async with application() as place, serving(settings(place, renew="1s")) as agent:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        before, session, _ = await asyncio.to_thread(_visit, context, agent.port, None)
        async with asyncio.timeout(PATIENCE):
            # Each look is a connection, which takes its time.
            while (await _certificate(agent.port)) == before:
                pass
        _, _, resumed = await asyncio.to_thread(_visit, context, agent.port, session)
    assert resumed


async def _certificate(port: int) -> bytes:
    async with connected(port) as client:
        return client.certificate


def _visit(
    context: ssl.SSLContext, port: int, session: ssl.SSLSession | None
) -> tuple[bytes | None, ssl.SSLSession | None, bool | None]:
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as sock,
        context.wrap_socket(sock, session=session) as tls,
    ):
        tls.sendall(b"hello")
        assert tls.recv(5) == b"hello"
        return tls.getpeercert(binary_form=True), tls.session, tls.session_reused


async def test_an_imported_key_says_so(tmp_path: Path) -> None:
    """A policy that asks for keys from inside refuses it; one that takes it gets a proof."""
    paths = given(tmp_path)
    way = {"provided": {"certificate": str(paths.certificate), "key": str(paths.key)}}
    async with serving(settings(certificate=way)) as agent, connected(agent.port, ALPN) as client:
        answer = await client.proof()
        here = Expectation(spki=client.spki, exporter=answer.signed(export(client.tls)))
        refused = verdict(answer, here, time.time())
        taken = policy(key_origin=["imported"], freshness={"mode": "exporter"})
        assert verdict(answer, here, time.time(), taken).accepted
    assert refused.reason is not None
    assert refused.reason.name == "key_origin"


async def test_files_are_there_before_the_agent_is_ready(tmp_path: Path) -> None:
    """Who waits for the ready file finds what it needs; a renewal tells the application."""
    ready, told = tmp_path / "ready", tmp_path / "told"
    command = ["sh", "-c", f"echo x >> {told}"]
    files: dict[str, object] = {"directory": str(tmp_path / "tls"), "reload": command}
    asked = handing_over(tmp_path, files=files, ready_file=str(ready), renew="1s")
    async with serving(asked), asyncio.timeout(PATIENCE):
        await soon(ready.exists)
        first = (tmp_path / "tls" / CERTIFICATE).read_bytes()
        assert len((tmp_path / "tls" / TICKET_KEY).read_bytes()) == 80
        assert not told.exists()
        await soon(told.exists)
        assert (tmp_path / "tls" / CERTIFICATE).read_bytes() != first


@pytest.mark.parametrize(
    ("tee", "message"), [("nitro", "no Nitro enclave"), ("configfs-tsm", "no confidential")]
)
def test_without_a_tee_it_does_not_start(tee: str, message: str) -> None:
    """There is a clear word, and never a simulated TEE in its place."""
    found = replace(settings(), tee=Tee(tee))
    with pytest.raises(TeeError, match=message):
        attester(found)
    with pytest.raises(AgentFailed, match=message):
        run(found)


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    """A manifest that is none, a file that is missing, an address that is taken."""
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(MalformedEvidence, match=str(broken)):
        prepare(settings(manifest=str(broken)), Simulated(b"image"))
    with pytest.raises(AgentFailed, match="No such file"):
        run(settings(manifest=str(tmp_path / "none")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AgentFailed, match="cannot listen"):
            run(settings(listen=listen))


@pytest.mark.parametrize(("limit", "asked"), [((64, 4096), [264]), ((4096, 4096), [])])
def test_there_are_descriptors_for_all_connections(
    limit: tuple[int, int], asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The soft limit is raised to what is needed, and left alone where it is enough."""
    raised: list[int] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: limit)
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: raised.append(limits[0]))
    with pytest.raises(AgentFailed, match="No such file"):
        run(settings(connections=100, manifest="/no/such"))
    # The first is that of core files.
    assert raised == [0, *asked]


def test_no_core_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold the keys, and may lie where the operator reads it."""
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr("resource.setrlimit", lambda what, limit: limits.append((what, limit)))
    with pytest.raises(AgentFailed):
        run(settings(manifest="/no/such"))
    assert limits[0] == (resource.RLIMIT_CORE, (0, 0))


def test_claims_that_no_verifier_takes_are_told() -> None:
    """An agent that started with them would prove nothing to anybody."""
    for one in (settings(claims={"n": 1 << 64}), settings(instance="x" * 300)):
        with pytest.raises(AgentFailed, match="agent claims"):
            run(one)


def test_too_few_descriptors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that could never be served are not promised."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 200))
    with pytest.raises(AgentFailed, match="100 need 264 descriptors, and the limit is 200"):
        run(settings(connections=100))


def test_an_unsuitable_ssl_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test comes before the first client."""

    def fail(_: object) -> None:
        raise UnsuitableSsl("has no exporter")

    monkeypatch.setattr(module, "self_test", fail)
    with pytest.raises(AgentFailed, match="has no exporter"):
        run(settings())


def test_a_signal_ends_it(tmp_path: Path) -> None:
    """SIGTERM is an orderly end, with connections open or not."""
    ready = tmp_path / "ready"

    def tell() -> None:
        end = time.monotonic() + PATIENCE
        while not ready.exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=tell)
    thread.start()
    run(settings(ready_file=str(ready)))
    thread.join()
    assert ready.exists()


def test_secrets_are_not_shown() -> None:
    """What holds the ticket key does not print it."""
    assert repr(prepare(settings(), Simulated(b"image"))) == "Enclave(enclave-a)"


class Hung(Simulated):
    """A simulated TEE that does not answer until the test is over."""

    def __init__(self) -> None:
        super().__init__(IMAGE.encode())
        self.asked, self.over = threading.Event(), threading.Event()

    def quote(self, request: Request) -> Evidence:
        """Wait."""
        self.asked.set()
        assert self.over.wait(PATIENCE)
        return super().quote(request)


def test_a_signal_ends_it_while_the_tee_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TEE that does not answer keeps nobody: not the loop, and not the process at its end."""
    tee = Hung()
    monkeypatch.setattr(module, "attester", lambda _: tee)

    def tell() -> None:
        assert tee.asked.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGTERM)

    thread, before = threading.Thread(target=tell), set(threading.enumerate())
    thread.start()
    run(settings())
    thread.join()
    assert not tee.over.is_set()
    [left] = set(threading.enumerate()) - before
    assert left.daemon
    tee.over.set()
    left.join()


def test_a_tee_that_hangs_at_the_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a deadline for the first certificate too."""
    tee = Hung()
    monkeypatch.setattr(module, "attester", lambda _: tee)
    monkeypatch.setattr(quotes, "ANSWER_SECONDS", 0.02)
    with pytest.raises(AgentFailed, match="no evidence within"):
        run(settings())
    tee.over.set()


def test_no_more_leaves_than_the_manifest_says(tmp_path: Path) -> None:
    """An agent whose settings let out what its manifest does not name does not start."""
    manifest = replace(MANIFEST, metrics=("l4proxy_agent_cpu",))
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest.encode())
    telemetry = {"listen": "127.0.0.1:9102", "token_file": "/run/token"}
    names = ["l4proxy_agent_cpu", "l4proxy_agent_memory"]
    for metrics, fault in ((names, "found l4proxy_agent_memory, expected only"), (names[:1], None)):
        asked = settings(manifest=str(path), telemetry={**telemetry, "metrics": metrics})
        tee = Watched()
        if fault is None:
            prepare(asked, tee)
            continue
        with pytest.raises(PolicyError, match=fault):
            prepare(asked, tee)
        assert not tee.calls


def test_telemetry_that_nobody_could_read_is_told(tmp_path: Path) -> None:
    """Without its token there is no start, rather than telemetry that is open or missing."""
    telemetry = {"listen": "127.0.0.1:9102", "metrics": ["l4proxy_agent_cpu"]}
    for key in ("token_file", "client_ca"):
        with pytest.raises(AgentFailed, match="No such file"):
            run(settings(telemetry={**telemetry, key: str(tmp_path / "none")}))


async def test_readers_whose_authority_is_gone_cost_no_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients get the renewed one, nobody asks for another, and the log says what is wrong."""
    monkeypatch.setattr(renewal, "SHORTEST_SECONDS", 0.05)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(credentials().chain)
    telemetry = {"listen": "127.0.0.1:0", "metrics": ["l4proxy_agent_cpu"]}
    asked = settings(telemetry={**telemetry, "client_ca": str(authority)})
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(PATIENCE), serving(replace(asked, renew=0.05)):
            authority.unlink()
            await soon(lambda: caplog.text.count("certificate: renewed") > 2)
    assert caplog.text.count("telemetry: renewed certificate: ") == 1
    assert "No such file" in caplog.text
    assert "cannot be renewed" not in caplog.text
