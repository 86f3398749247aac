"""Promises of `l4proxy.agent.parent`: an authority is asked by file or by HTTP."""

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from l4proxy.agent import parent
from l4proxy.agent.certificates import MAX_CHAIN_BYTES, BadCertificate, Csr
from l4proxy.agent.parent import ask
from tests.l4proxy.agent.credentials import EVIDENCE, credentials, made_key
from tests.l4proxy.agent.parts import NAME, PATIENCE, soon


class Authority:
    """Signs what it is asked to, evidence and all."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "parent")])

    def sign(self, request: bytes, when: dt.timedelta = dt.timedelta()) -> bytes:
        """The chain for a request, both in PEM; it is valid for an hour around then."""
        asked = x509.load_pem_x509_csr(request)
        now = dt.datetime.now(dt.UTC) + when
        builder = (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(self.name)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )
        for extension in asked.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)


class Office(BaseHTTPRequestHandler):
    """An authority's front door: what it answers stands in its server."""

    def do_POST(self) -> None:
        """Answer a request."""
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/pkcs10"
        self.send_response(403 if self.path == "/no" else 200)
        self.end_headers()
        if self.path == "/sign?a=b":
            self.wfile.write(Authority().sign(asked))
        elif self.path == "/late":
            self.wfile.write(Authority().sign(asked, dt.timedelta(hours=-9)))
        elif self.path == "/other":
            self.wfile.write(credentials().chain)
        elif self.path == "/huge":
            self.wfile.write(bytes(MAX_CHAIN_BYTES + 1))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Keep quiet."""


@pytest.fixture
def office() -> Iterator[str]:
    """An authority over HTTP; its address."""
    server = HTTPServer(("127.0.0.1", 0), Office)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_request_is_answered_over_http(office: str) -> None:
    """What is posted is the request, and the answer is the chain."""
    key = made_key()
    found = await ask(Csr((NAME,), url=f"{office}/sign?a=b"), key, key.request((NAME,), EVIDENCE))
    assert found.key == credentials(key).key


@pytest.mark.parametrize(
    ("path", "message"),
    [("/other", "for another key"), ("/huge", "at most"), ("/no", "status 403")],
)
async def test_other_answers_are_refused(office: str, path: str, message: str) -> None:
    """A chain of another key, too much of it, and a refusal are told."""
    key = made_key()
    with pytest.raises(BadCertificate, match=message):
        await ask(Csr((NAME,), url=office + path), key, key.request((NAME,), EVIDENCE))


async def test_an_authority_that_is_not_there_is_told() -> None:
    """Nobody at the address is an error, not a wait."""
    key = made_key()
    for url in ("http://127.0.0.1:1/", "https://127.0.0.1:1/"):
        with pytest.raises(OSError, match="Connection refused"):
            await ask(Csr((NAME,), url=url), key, b"request")


async def test_an_answer_that_is_no_http_is_told() -> None:
    """A server of something else is named so."""

    async def noise(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    server = await asyncio.start_server(noise, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((BadCertificate, ConnectionError)):
            await ask(Csr((NAME,), url=f"http://127.0.0.1:{port}/"), made_key(), b"request")


async def test_a_request_is_answered_by_file(tmp_path: Path) -> None:
    """The request appears whole; an old answer and a half of one are no answer."""
    key = made_key()
    source = Csr((NAME,), tmp_path / "request.pem", tmp_path / "chain.pem")
    assert source.request is not None
    assert source.answer is not None
    source.answer.write_bytes(credentials(key).chain)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(ask(source, key, key.request((NAME,), EVIDENCE)))
        await soon(source.request.exists)
        assert not source.answer.exists()
        chain = Authority().sign(source.request.read_bytes())
        source.answer.write_bytes(chain[:100])
        await asyncio.sleep(0.01)
        source.answer.write_bytes(chain)
    assert asked.result().chain == chain


async def test_a_source_without_a_place_is_told() -> None:
    """Neither an address nor files: there is nobody to ask."""
    with pytest.raises(BadCertificate, match="neither url nor request"):
        await ask(Csr((NAME,)), made_key(), b"request")


def logged(caplog: pytest.LogCaptureFixture, message: str) -> bool:
    """Whether the log has it by now."""
    return message in caplog.text


async def test_a_wrong_answer_by_file_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage, another's chain and one that has ended are named, and another one waited for."""
    monkeypatch.setattr(parent, "LOOK_SECONDS", 0.005)
    key, answer = made_key(), tmp_path / "chain.pem"
    ended = key.self_signed((NAME,), EVIDENCE, (0.0, 3600.0)).chain
    wrong = {
        b"no chain": "found no certificate",
        credentials().chain: "for another key",
        ended: "ended at 1970-01-01T01:00:00Z",
    }
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(ask(Csr((NAME,), tmp_path / "r", answer), key, b"request"))
        for chain, message in wrong.items():
            await soon((tmp_path / "r").exists)
            answer.write_bytes(chain)
            await soon(partial(logged, caplog, message))
            await asyncio.sleep(0.02)
        answer.write_bytes(credentials(key).chain)
    assert asked.result().chain == answer.read_bytes()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(wrong)


async def test_an_authority_over_http_gives_no_chain_that_has_ended(office: str) -> None:
    """The fault is the authority's, and it is named."""
    key = made_key()
    with pytest.raises(BadCertificate, match="ended at"):
        await ask(Csr((NAME,), url=f"{office}/late"), key, key.request((NAME,), EVIDENCE))


async def test_an_authority_has_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says a byte now and then does not keep the agent for ever."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    monkeypatch.setattr(parent, "HTTP_SECONDS", 0.1)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError, match="no answer within"):
            await ask(Csr((NAME,), url=f"http://127.0.0.1:{port}/"), made_key(), b"request")
        await asyncio.sleep(0.05)
