"""The actuator `webhook`, against hooks that answer, that are slow, strange or somebody else."""

import asyncio
import base64
import hmac
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import ValidationError

from l4proxy.actuators import ActuatorError, webhook
from l4proxy.actuators.events import event_of
from l4proxy.actuators.webhook import Webhook, WebhookSettings, read_url
from l4proxy.config.mistakes import BadValueError
from l4proxy.conformance import check_actuator_kind
from tests.e2e.certificates import Authority
from tests.l4proxy.actuators.hooks import hook, served
from tests.l4proxy.actuators.orders import ORDER, POOL, REFUSAL, order, read

KEY = base64.b64encode(bytes(range(24))).decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the hook's certificate and ours."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    """Settings that name a token and a key."""
    for name, text in (("token", "s3cr3t-token"), ("key", f"whsec_{KEY}\n")):
        path = tmp_path / name
        path.touch(0o600)
        path.write_text(text)
    return f"token_file: {tmp_path}/token\nsecret_file: {tmp_path}/key\n"


def context(authority: Authority, *, asks: bool = False) -> ssl.SSLContext:
    """A hook's side of TLS, for `localhost`."""
    own = authority.issue("localhost")
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.root)
    made.load_cert_chain(own.certificate, own.key)
    made.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
    return made


async def apply(text: str) -> None:
    """One order of one document, through an actuator with these settings."""
    await Webhook().make(read(WebhookSettings, text), POOL).apply(order(3))


async def test_every_document_is_posted_and_signed(secrets: str) -> None:
    """With its id, its time, the token and a signature over what was sent."""
    async with hook() as there:
        text = f"url: http://127.0.0.1:{there.port}/scale?a=b\n{secrets}"
        await Webhook().make(read(WebhookSettings, text), POOL).apply(ORDER)
    assert [request.line for request in there.requests] == ["POST /scale?a=b HTTP/1.1"] * 3
    for request, event in zip(there.requests, ("scale", "drain", "evict"), strict=True):
        told, fields = json.loads(request.body), request.fields
        assert (told["event"], told["id"]) == (event, f"app:7:{event}")
        assert fields["content-type"] == "application/json"
        assert fields["authorization"] == "Bearer s3cr3t-token"
        assert fields["webhook-id"] == told["id"]
        assert fields["idempotency-key"] == f'"{told["id"]}"'
        signed = f"{told['id']}.{fields['webhook-timestamp']}.".encode() + request.body
        mac = hmac.digest(base64.b64decode(KEY), signed, "sha256")
        assert fields["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


async def test_without_secrets_it_is_a_plain_post() -> None:
    """There is no signature and no token."""
    async with hook() as there:
        await apply(f"url: http://localhost:{there.port}/")
    (request,) = there.requests
    assert not {"authorization", "webhook-signature", "cookie"} & set(request.fields)


async def test_refused_evidence_is_posted() -> None:
    """As every other event."""
    async with hook() as there:
        made = Webhook().make(read(WebhookSettings, f"url: http://127.0.0.1:{there.port}/"), POOL)
        await made.notify(REFUSAL)
    assert json.loads(there.requests[0].body)["id"] == event_of(REFUSAL).id


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "found status 500, expected 200 to 299"),
        (b"HTTP/1.1 304 Same\r\n\r\n", "found status 304"),
        (b"HTTP/1.1 307 There\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "found status 307"),
        (b"HTTP/1.1 200 " + b"a" * 9_000 + b"\r\n\r\n", "Got more than 8190 bytes"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 9_000 + b"\r\n\r\n", "the webhook at"),
        (b"SSH-2.0-OpenSSH\r\n", "the webhook at"),
        (b"", "the webhook at http://127.0.0.1: Server disconnected"),
    ],
)
async def test_another_answer_than_success_is_a_failure(answer: bytes, said: str) -> None:
    """A redirection is not followed; what is no HTTP is told as such."""
    async with hook() as there:
        there.answer = answer
        with pytest.raises(ActuatorError) as caught:
            await apply(f"url: http://127.0.0.1:{there.port}/secret-path")
    assert said in str(caught.value)
    assert "secret-path" not in str(caught.value)
    assert len(there.requests) == 1


async def test_a_body_without_end_is_not_read() -> None:
    """The status is all that counts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    async with served(serve) as port:
        await apply(f"url: http://127.0.0.1:{port}/")


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
async def test_a_hook_that_does_not_answer_meets_the_deadline(begin: bytes) -> None:
    """Whether it says nothing, or never ends its head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await reader.read(-1)

    async with served(serve) as port:
        with pytest.raises(ActuatorError, match=r"found no answer in 0\.1 s"):
            await apply(f"url: http://127.0.0.1:{port}/\ntimeout: 100ms")


async def test_nobody_there_is_a_failure() -> None:
    """Told without the path."""
    with pytest.raises(ActuatorError, match=r"the webhook at http://127\.0\.0\.1"):
        await apply("url: http://127.0.0.1:1/")


async def test_over_tls_both_sides_are_known(authority: Authority) -> None:
    """The hook by the authority that the settings name, and we by our certificate."""
    own = authority.issue("l4proxy")
    async with hook(context(authority, asks=True)) as there:
        await apply(
            f"url: https://localhost:{there.port}/\nca: {authority.root}\n"
            f"certificate: {own.certificate}\nkey: {own.key}\n"
        )
    assert len(there.requests) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_another_hook_hears_nothing(
    authority: Authority, tmp_path: Path, host: str, secrets: str
) -> None:
    """Neither one of another authority, nor one of another name: not even the token."""
    trusted = Authority(tmp_path).root if host == "localhost" else authority.root
    async with hook(context(authority)) as there:
        with pytest.raises(ActuatorError, match="certificate"):
            await apply(f"url: https://{host}:{there.port}/\nca: {trusted}\n{secrets}")
    assert not there.requests


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url: http://hooks.example.com/", "found http to hooks.example.com, expected https"),
        ("url: 'http://127.0.0.1.example.com/'", "expected https"),
        ("url: 'https://user:word@a.example/'", "without a user"),
        ("url: 'https://a.example/#part'", "without a fragment"),
        ("url: 'https://'", "expected a URL"),
        ("url: 'https://a.example:0/'", "expected a URL"),
        ("url: 'https://a.example:99999/'", "expected a URL"),
        ("url: 'https://a.example/a b'", "no space"),
        (r"url: 'https://a.example\@b.example/'", "no backslash"),
        ("url: 'https://[::1/'", "expected a URL"),
        (f"url: 'https://a.example/{'a' * 2_100}'", "at most 2048 characters"),
        ("url: 'https://ä.example/'", "expected a URL"),
        ("url: https://a.example/\nkey: /k.pem", "only one of certificate and key"),
        ("url: http://[::1]/\nca: /ca.pem", "beside an http URL"),
        ("url: https://a.example/\ntimeout: 1m", "expected a duration from 100ms to 10s"),
    ],
)
def test_settings_that_contradict_themselves_are_mistakes(text: str, said: str) -> None:
    """Plain http goes to this machine alone, or is said to be insecure."""
    with pytest.raises(ValidationError) as caught:
        read(WebhookSettings, text)
    assert said in str(caught.value)


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Where it stands says the mistake's line."""
    with pytest.raises(BadValueError) as caught:
        read_url("https://user:password@hooks.example.com/")
    assert "password" not in str(caught.value)


async def test_a_url_that_cannot_be_asked_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path may hold a secret, and the error of who cannot ask it is its text."""

    async def posted(settings: WebhookSettings, _event: object) -> int:
        raise aiohttp.InvalidURL(settings.url)

    monkeypatch.setattr(webhook, "_posted", posted)
    with pytest.raises(ActuatorError, match="a URL that cannot be asked") as caught:
        await apply("url: https://hooks.example.com/secret-path")
    assert "secret-path" not in str(caught.value)


def test_plain_http_elsewhere_is_for_those_who_say_so() -> None:
    """Inside a network that protects it otherwise."""
    assert read(WebhookSettings, "url: http://hooks.example.com/\ninsecure: true").insecure


@pytest.mark.parametrize("name", ["ca", "secret_file", "token_file", "certificate"])
def test_a_file_that_cannot_be_used_is_told_at_once(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    """Before there is any order."""
    (tmp_path / "empty").touch(0o600)
    own = f"key: {authority.issue('a').key}" if name == "certificate" else ""
    settings = read(WebhookSettings, f"url: https://a.example/\n{name}: {tmp_path}/empty\n{own}")
    with pytest.raises(ActuatorError, match="the webhook of pool app: "):
        Webhook().make(settings, POOL)


async def test_a_key_that_is_changed_on_disk_is_used_at_once(tmp_path: Path, secrets: str) -> None:
    """A token is rotated without a reload; one that is gone sends nothing."""
    async with hook() as there:
        settings = read(WebhookSettings, f"url: http://127.0.0.1:{there.port}/\n{secrets}")
        made = Webhook().make(settings, POOL)
        (tmp_path / "token").write_text("another")
        await made.apply(order(3))
        (tmp_path / "token").unlink()
        with pytest.raises(ActuatorError, match="No such file"):
            await made.apply(order(4, number=2))
    assert [one.fields["authorization"] for one in there.requests] == ["Bearer another"]


@pytest.fixture
def in_a_thread() -> Iterator[int]:
    """The port of a hook beside the event loop of the conformance test."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None: ...  # noqa: A002 - the library's name

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_keeps_the_promises_of_an_actuator(in_a_thread: int) -> None:
    """As every plug-in has to."""
    working = f"url: http://127.0.0.1:{in_a_thread}/"
    check_actuator_kind(Webhook(), working, failing="url: http://127.0.0.1:1/")
