"""Promises of `l4proxy.agent.telemetry.server`: who may read does, and nobody else."""

import asyncio
import hashlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from attestation import Expectation
from attestation.x509 import load_certificate
from l4proxy.agent import renewal
from l4proxy.agent.certificates import BadCertificate
from l4proxy.agent.libssl import export
from l4proxy.agent.server import accept
from l4proxy.agent.telemetry import MOST_SCRAPERS, Board, TelemetryServer, Traffic, open_telemetry
from l4proxy.agent.telemetry import server as module
from l4proxy.agent.telemetry.settings import TelemetrySettings
from l4proxy.agent_metrics import (
    CPU,
    DESCRIPTION_PATH,
    HTTP_REQUESTS,
    MEDIA_TYPE,
    MEMORY,
    METRICS_PATH,
    OPEN_SESSIONS,
    Scrapers,
)
from l4proxy.evidence_wire import ALPN
from l4proxy.secret_file import BadSecretFile
from tests.l4proxy.agent.credentials import credentials, made_key
from tests.l4proxy.agent.parts import (
    NAME,
    PATIENCE,
    Client,
    application,
    client_context,
    connected,
    handing_over,
    serving,
    settings,
    verdict,
)
from tests.ports import free_port

TOKEN = "a token of enough characters".replace(" ", "-")
GET = "GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"
ASK = GET.format(path=METRICS_PATH, token=TOKEN).encode()


def telemetry(folder: Path, **keys: object) -> dict[str, object]:
    """The key of the settings, with a token in a file."""
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(f"{TOKEN}\n")
    return {
        "listen": f"127.0.0.1:{free_port()}",
        "token_file": str(path),
        "metrics": [MEMORY, CPU],
        **keys,
    }


def parsed(folder: Path, **keys: object) -> TelemetrySettings:
    """The same, read."""
    found = settings(telemetry=telemetry(folder, **keys)).telemetry
    assert found is not None
    return found


@asynccontextmanager
async def reading(asked: TelemetrySettings) -> AsyncIterator[tuple[TelemetryServer, int]]:
    """A listener that serves; its server and its port."""
    server = open_telemetry(asked, credentials(), Board(asked, Traffic()))
    with asked.listen.bind() as listener:
        listener.listen()
        async with asyncio.TaskGroup() as tasks:
            serves = tasks.create_task(accept(listener, server.serve, MOST_SCRAPERS))
            yield server, listener.getsockname()[1]
            serves.cancel()


async def test_who_shows_the_token_reads(tmp_path: Path) -> None:
    """As often as it likes, on one connection, over TLS 1.3."""
    async with reading(parsed(tmp_path)) as (server, port), connected(port) as client:
        server.board.look()
        for _ in range(3):
            status, page = await client.ask(ASK)
            assert status == 200
            assert page.startswith(b"# TYPE")
            assert page.endswith(b"# EOF\n")
        described = await client.ask(GET.format(path=DESCRIPTION_PATH, token=TOKEN).encode())
        assert described == (200, server.settings.described)
        assert (await client.ask(GET.format(path="/other", token=TOKEN).encode()))[0] == 404
        assert client.tls.version() == "TLSv1.3"


async def test_the_page_says_what_it_is(tmp_path: Path) -> None:
    """Prometheus takes OpenMetrics for what it is by its media type."""
    async with reading(parsed(tmp_path)) as (_, port), connected(port) as client:
        client.writer.write(ASK)
        head = await client.reader.readuntil(b"\r\n\r\n")
    assert f"Content-Type: {MEDIA_TYPE}\r\n".encode() in head
    assert b"Connection: keep-alive" in head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.format(path=METRICS_PATH, token="x" * len(TOKEN)), 403),
        (GET.format(path=METRICS_PATH, token=""), 403),
        (f"GET {METRICS_PATH} HTTP/1.1\r\nAuthorization: Basic {TOKEN}\r\n\r\n", 403),
        (f"GET {METRICS_PATH} HTTP/1.1\r\n\r\n", 403),
        (f"GET {METRICS_PATH}?token={TOKEN} HTTP/1.1\r\n\r\n", 403),
        ("GET / HTTP/1.1\r\n\r\n", 403),
        (f"POST {METRICS_PATH} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n", 400),
        (f"GET {METRICS_PATH} HTTP/2\r\nAuthorization: Bearer {TOKEN}\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1\r\n\r\n", 400),
        ("x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: " + "x" * 9000, 400),
    ],
)
async def test_who_does_not_is_refused(
    request_: str, status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a word of what is there, and the connection ends; the token is in no log."""
    caplog.set_level("DEBUG")
    async with reading(parsed(tmp_path)) as (_, port), connected(port) as client:
        found, content = await client.ask(request_.encode())
        assert found == status
        assert b"l4proxy_agent" not in content
        assert await client.reader.read() == b""
    assert ("telemetry: reader: it shows no token" in caplog.text) == (status == 403)
    assert TOKEN not in caplog.text


async def test_readers_may_end_a_connection(tmp_path: Path) -> None:
    """By a word, by an old version of HTTP, or by leaving."""
    async with reading(parsed(tmp_path)) as (_, port):
        for ask in (ASK.replace(b"1.1", b"1.0"), ASK[:-2] + b"Connection: close\r\n\r\n"):
            async with connected(port) as client:
                assert (await client.ask(ask))[0] == 200
                assert await client.reader.read() == b""
        async with connected(port) as client:
            client.writer.close()
            await client.writer.wait_closed()


@contextmanager
def reader(folder: Path, *, name: str = "reader") -> Iterator[tuple[Path, ssl.SSLContext]]:
    """An authority, and a client with a certificate of it."""
    own = credentials(made_key())
    for part, data in (("crt", own.chain), ("key", own.key)):
        (folder / f"{name}.{part}").write_bytes(data)
    context = client_context()
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    yield folder / f"{name}.crt", context


async def _page(port: int, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reader_, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=NAME
        )
        try:
            return (await Client(reader_, writer).ask(b"GET /metrics HTTP/1.1\r\n\r\n"))[1]
        finally:
            writer.transport.abort()


async def test_who_shows_a_certificate_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of the authority, and no other; none at all neither."""
    with reader(tmp_path) as (ca, mine), reader(tmp_path, name="other") as (_, another):
        asked = telemetry(tmp_path, client_ca=str(ca))
        del asked["token_file"]
        found = settings(telemetry=asked).telemetry
        assert found is not None
        async with reading(found) as (_, port):
            for context in (another, client_context()):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await _page(port, context)
            assert "telemetry: reader: no handshake" in caplog.text
            assert (await _page(port, mine)).endswith(b"# EOF\n")


async def test_strangers_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing, before the handshake or after it, and who stays for ever, is shown out."""
    monkeypatch.setattr(module, "STRANGER_SECONDS", 0.05)
    async with reading(parsed(tmp_path)) as (_, port), asyncio.timeout(PATIENCE):
        silent, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await silent.read() == b""
        writer.close()
        async with connected(port) as client:
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await client.reader.readexactly(1)
        for name in ("IDLE_SECONDS", "LIFE_SECONDS"):
            monkeypatch.setattr(module, name, 0.05)
            async with connected(port) as client:
                assert (await client.ask(ASK))[0] == 200
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await client.reader.readexactly(1)


async def test_a_renewed_certificate_is_shown(tmp_path: Path) -> None:
    """To whoever connects from then on."""
    key = made_key()
    async with reading(parsed(tmp_path)) as (server, port):
        server.install(credentials(key))
        async with connected(port) as client:
            assert client.spki == key.spki


async def test_secrets_that_will_not_do_are_told(tmp_path: Path) -> None:
    """A token that could be guessed or that others may read, and what is no authority."""
    found = parsed(tmp_path)
    board = Board(found, Traffic())
    for data in ("short", "with blanks between its words", ""):
        found.secret.write_text(data)
        with pytest.raises(BadSecretFile, match=r"found (no|a short) token, expected one of"):
            open_telemetry(found, credentials(), board)
    found.secret.chmod(0o644)
    with pytest.raises(BadSecretFile, match="mode 0644"):
        open_telemetry(found, credentials(), board)
    given = replace(found, scrapers=Scrapers.CLIENT_CA)
    with pytest.raises(BadCertificate, match="token: no certificate of an authority"):
        open_telemetry(given, credentials(), board)
    with pytest.raises(OSError, match="none: No such file"):
        open_telemetry(replace(given, secret=tmp_path / "none"), credentials(), board)


async def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """What holds the token does not print it."""
    async with reading(parsed(tmp_path)) as (server, _):
        assert TOKEN not in repr(server)


async def test_the_agent_serves_it_with_the_attested_key(tmp_path: Path) -> None:
    """The evidence holds the digest of the description, and the listener has the evidence's key."""
    asked = telemetry(tmp_path, metrics=[OPEN_SESSIONS, HTTP_REQUESTS])
    port = int(str(asked["listen"]).rpartition(":")[2])
    async with (
        application() as place,
        serving(settings(place, protocol="http", telemetry=asked)) as agent,
        connected(agent.port) as client,
    ):
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await client.reader.readexactly(18)
        async with connected(agent.port, ALPN) as prover:
            answer = await prover.proof()
            here = Expectation(spki=prover.spki, exporter=answer.signed(export(prover.tls)))
            result = verdict(answer, here, time.time())
        async with connected(port) as scraper:
            described = await scraper.ask(GET.format(path=DESCRIPTION_PATH, token=TOKEN).encode())
            _, page = await scraper.ask(ASK)
            assert scraper.spki == client.spki
    assert f"{HTTP_REQUESTS} 1\n".encode() in page
    assert OPEN_SESSIONS.encode() in page
    assert result.agent is not None
    assert result.agent.telemetry == hashlib.sha256(described[1]).digest()
    assert json.loads(described[1])["metrics"] == [HTTP_REQUESTS, OPEN_SESSIONS]


async def test_it_is_never_on_the_clients_port(tmp_path: Path) -> None:
    """A client that asks there asks the application, token or not."""
    asked = telemetry(tmp_path)
    async with (
        application() as place,
        serving(settings(place, protocol="http", telemetry=asked)) as agent,
        connected(agent.port) as client,
    ):
        client.writer.write(ASK)
        assert await client.reader.readexactly(len(ASK)) == ASK


async def test_where_the_application_ends_tls_it_works_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key that the application was handed, and with each renewal of its certificate."""
    asked = telemetry(tmp_path)
    port = int(str(asked["listen"]).rpartition(":")[2])
    files: dict[str, object] = {"directory": str(tmp_path / "tls")}
    monkeypatch.setattr(renewal, "SHORTEST_SECONDS", 0.1)
    found = replace(handing_over(tmp_path, files=files, telemetry=asked), renew=0.1)
    async with serving(found) as agent:
        async with connected(port) as scraper:
            assert (await scraper.ask(ASK))[0] == 200
            first = scraper.certificate
            assert load_certificate(first).spki == agent.enclave.issuer.key.spki
        async with asyncio.timeout(PATIENCE):
            while True:
                async with connected(port) as scraper:
                    if scraper.certificate != first:
                        break
