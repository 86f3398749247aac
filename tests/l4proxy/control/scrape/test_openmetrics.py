"""The built-in source: pages of real and of hostile backends, over TLS and in the clear."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import make_wsgi_app

from l4proxy import agent_metrics
from l4proxy.agent.server import accept
from l4proxy.agent.telemetry import Board, Traffic, open_telemetry
from l4proxy.config.telemetry import CAPACITY, DEFAULT_SERIES, OpenMetricsSettings
from l4proxy.control.scrape import openmetrics
from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.connection import page_context
from l4proxy.control.scrape.openmetrics import OpenMetrics, PageSource
from l4proxy.control.scrape.source import BadTelemetry, ScrapeFault, Subject
from l4proxy.scaling.report import MEMORY, REQUESTS, MetricName
from l4proxy.series import parse_series
from routing import Address, BackendName, PoolName
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.telemetry.test_server import parsed
from tests.l4proxy.control.scrape.pages import (
    PAGE,
    QUEUE,
    Heard,
    always,
    answer_of,
    exporter,
    key_in,
    subject_at,
    watched,
)
from tests.l4proxy.control.servers import Certificate, make_certificate
from tests.ports import free_port

POOL = PoolName("app")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have scrapes follow each other as fast as settings alone would not allow."""
    monkeypatch.setattr(openmetrics, "_chance", lambda: 0.0)


def settings(**block: object) -> OpenMetricsSettings:
    """Settings that a configuration could say, in a hurry that it could not."""
    read = OpenMetricsSettings.model_validate(block)
    return read.model_copy(update={"every": 0.02})


def plain(**more: object) -> PageSource:
    """A source that asks in the clear."""
    return OpenMetrics().make(settings(url="http://{host}:{port}/metrics", **more), POOL)


def pinned(**more: object) -> PageSource:
    """A source that asks over TLS, and knows backends by their keys."""
    return OpenMetrics().make(settings(**more), POOL)


async def test_a_page_is_asked_for_again_and_again_over_one_connection() -> None:
    """The connection is kept, and the question says what is wanted."""
    async with exporter(always(answer_of(PAGE))) as backend:
        heard = await watched(plain(), subject_at(backend.address), 3)
    assert heard.found[:3] == [{QUEUE: 7.0}] * 3
    assert (backend.connections, heard.faults) == (1, [])
    assert backend.questions[0].startswith(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAccept: application/openmetrics-text" in backend.questions[0]


async def test_an_attested_backend_shows_the_key_that_it_has_proved(
    certificate: Certificate,
) -> None:
    """With that key it is asked, and hears the token."""
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        subject = subject_at(
            backend.address, attested=True, key=lambda: key_in(certificate.chain.read_bytes())
        )
        source = PageSource(settings(), page_context(), "secret")
        heard = await watched(source, subject, 2)
    assert heard.found[:2] == [{QUEUE: 7.0}] * 2
    assert backend.connections == 1
    assert b"\r\nAuthorization: Bearer secret\r\n" in backend.questions[0]


async def test_another_key_is_refused_before_it_hears_anything(certificate: Certificate) -> None:
    """Not even the question, and no token."""
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        subject = subject_at(backend.address, attested=True, key=lambda: b"\1" * 32)
        heard = await watched(PageSource(settings(), page_context(), "secret"), subject)
    assert heard.faults[0] == (ScrapeFault.WRONG_KEY, key_in(certificate.chain.read_bytes()).hex())
    assert backend.questions == []


async def test_a_backend_without_proof_is_not_even_dialled() -> None:
    """It has no key that it could show."""
    async with exporter(always(answer_of(PAGE))) as backend:
        heard = await watched(pinned(), subject_at(backend.address, attested=True))
    assert heard.faults[0] == (ScrapeFault.UNATTESTED, "")
    assert backend.connections == 0


async def test_a_kept_connection_ends_with_the_trust_in_its_key(certificate: Certificate) -> None:
    """What was proved on Monday says nothing once it is revoked."""
    keys = [key_in(certificate.chain.read_bytes())]
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        subject = subject_at(backend.address, attested=True, key=lambda: keys[-1])
        source = pinned()
        heard = await watched(source, subject)
        keys.append(b"\1" * 32)
        again = await watched(source, subject)
        asked = len(heard.found)
    assert asked
    assert (again.found, again.faults[0][0]) == ([], ScrapeFault.WRONG_KEY)


async def test_authorities_know_backends_by_their_names(certificate: Certificate) -> None:
    """One whose certificate is for somebody else is refused."""
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        heard = await watched(pinned(ca=str(certificate.chain)), subject_at(backend.address))
    assert heard.faults[0][0] is ScrapeFault.TLS
    assert "CERTIFICATE_VERIFY_FAILED" in heard.faults[0][1]


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ([answer_of(b"", b"HTTP/1.1 503 No")], ScrapeFault.REFUSED),
        ([answer_of(b"", b"HTTP/1.1 302 Found\r\nLocation: /")], ScrapeFault.REFUSED),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], ScrapeFault.MALFORMED),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"], ScrapeFault.TOO_LONG),
        ([b"HTTP/1.1 200 OK\r\n\r\nqueue 7\n"], ScrapeFault.MALFORMED),
        ([b""], ScrapeFault.UNREACHABLE),
        ([b"x" * 100_000], ScrapeFault.TOO_LONG),
    ],
)
async def test_what_is_no_page_is_a_fault(answers: list[bytes], fault: ScrapeFault) -> None:
    """Each with its own name; nothing is read out of it."""
    async with exporter(always(*answers)) as backend:
        heard = await watched(plain(), subject_at(backend.address))
    assert (heard.found, heard.faults[0][0]) == ([], fault)


async def test_nobody_there_is_a_fault() -> None:
    """A port that nobody listens at."""
    heard = await watched(plain(), subject_at(Address("127.0.0.1", free_port())))
    assert heard.faults[0][0] is ScrapeFault.UNREACHABLE


async def test_a_unix_socket_has_no_page_of_its_own() -> None:
    """Unless the configuration says where it is."""
    heard = await watched(plain(), subject_at(Address("/run/app.sock", 0)))
    assert heard.faults == [
        (ScrapeFault.UNREACHABLE, "a unix socket has no host: write it into the url")
    ]


async def test_a_backend_that_never_ends_is_given_up(certificate: Certificate) -> None:
    """Silence, a page that comes byte by byte: the deadline is for all of it."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        while True:
            writer.write(b"#")
            await asyncio.sleep(0.02)

    async with exporter(drip) as backend:
        heard = await watched(plain(timeout="100ms"), subject_at(backend.address))
    assert heard.faults[0] == (ScrapeFault.TIMEOUT, "")


async def test_a_server_that_closes_what_it_kept_is_asked_anew() -> None:
    """Once, at once: it had closed the connection before the question came."""
    async with exporter(always(answer_of(PAGE), b"", answer_of(PAGE))) as backend:
        heard = await watched(plain(), subject_at(backend.address), 2)
    assert heard.found[:2] == [{QUEUE: 7.0}] * 2
    assert (heard.faults, backend.connections) == ([], 2)


async def test_a_server_that_keeps_nothing_is_dialled_each_time() -> None:
    """As its answer says."""
    closing = answer_of(PAGE, b"HTTP/1.1 200 OK\r\nConnection: close")
    async with exporter(always(closing)) as backend:
        heard = await watched(plain(), subject_at(backend.address), 2)
    assert heard.faults == []
    assert backend.connections >= 2


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    """They would be taken for the next answer."""
    async with exporter(always(answer_of(PAGE) + answer_of(b"queue 9\n"))) as backend:
        heard = await watched(plain(), subject_at(backend.address))
    assert (heard.found, heard.faults[0][0]) == ([], ScrapeFault.MALFORMED)


async def test_a_large_page_waits_for_room_and_comes_whole() -> None:
    """Half a megabyte, in pieces, with the wanted line at its end."""
    page = b"other 1\n" * 65_536 + PAGE
    async with exporter(always(answer_of(page))) as backend:
        heard = await watched(plain(), subject_at(backend.address), 2)
    assert heard.found[0] == {QUEUE: 7.0}
    assert heard.faults == []


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
        """Say nothing."""


@pytest.fixture
def real_exporter() -> Iterator[Address]:
    """What Python applications use: the exporter of prometheus_client."""
    registry = CollectorRegistry()
    requests = Counter("http_requests", "Requests.", ["method"], registry=registry)
    requests.labels("GET").inc(40)
    requests.labels("POST").inc(2)
    Gauge("queue", 'With "quotes",\nand lines.', registry=registry).set(7)
    app = make_wsgi_app(registry)
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


async def test_a_real_exporter_is_understood(real_exporter: Address) -> None:
    """Labels are added up, or one of them is chosen."""
    wanted = {
        QUEUE: parse_series("queue"),
        MetricName("all"): parse_series("http_requests_total"),
        MetricName("posts"): parse_series('http_requests_total{method="POST"}'),
        MetricName("none"): parse_series('http_requests_total{method="PUT"}'),
    }
    subject = Subject(POOL, BackendName("one"), real_exporter, wanted)
    heard = await watched(plain(), subject)
    assert list(heard.found[0].values()) == [7.0, 42.0, 2.0, Refused.ABSENT]


def test_files_are_read_when_the_source_is_made(tmp_path: Path) -> None:
    """A token that others could read, or a certificate that is none, is a mistake at once."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o644)
    with pytest.raises(BadTelemetry, match=r"telemetry of pool app: .*0600"):
        pinned(token_file=str(token))
    token.chmod(0o600)
    pinned(token_file=str(token))
    token.write_text("two words\n")
    with pytest.raises(BadTelemetry, match="found no token, expected one of visible ASCII"):
        pinned(token_file=str(token))
    with pytest.raises(BadTelemetry, match="telemetry of pool app"):
        pinned(ca=str(token))


async def test_a_client_certificate_is_shown(certificate: Certificate, tmp_path: Path) -> None:
    """To a backend that asks for one."""
    ours = make_certificate(tmp_path)
    context = certificate.context()
    context.load_verify_locations(ours.chain)
    context.verify_mode = ssl.CERT_REQUIRED
    async with exporter(always(answer_of(PAGE)), context) as backend:
        subject = subject_at(
            backend.address, attested=True, key=lambda: key_in(certificate.chain.read_bytes())
        )
        source = pinned(client_certificate=str(ours.chain), client_key=str(ours.key))
        heard = await watched(source, subject)
        refused = await watched(pinned(), subject)
    assert heard.found[0] == {QUEUE: 7.0}
    assert refused.faults[0][0] in {ScrapeFault.TLS, ScrapeFault.UNREACHABLE}


async def test_the_agent_is_understood(tmp_path: Path) -> None:
    """Its real listener, with its token, its key and its names, over one connection."""
    asked = parsed(tmp_path, capacity=40, metrics=[agent_metrics.CAPACITY, agent_metrics.MEMORY])
    shown, board = credentials(), Board(asked, Traffic())
    server = open_telemetry(asked, shown, board)
    board.look()
    with asked.listen.bind() as listener:
        listener.listen()
        serving = asyncio.get_running_loop().create_task(accept(listener, server.serve, 16))
        subject = Subject(
            *(POOL, BackendName("one"), Address(*listener.getsockname()[:2]), DEFAULT_SERIES),
            attested=True,
            key=lambda: key_in(shown.chain),
        )
        heard = await watched(pinned(token_file=str(asked.secret)), subject, 2)
        refused = await watched(pinned(), subject)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    assert heard.faults == []
    for found in heard.found:
        assert (found[CAPACITY], found[REQUESTS]) == (40.0, Refused.ABSENT)
        assert isinstance(found[MEMORY], float)
    assert refused.faults[0] == (ScrapeFault.REFUSED, "status 403")


async def test_a_backend_that_has_proved_itself_is_asked_without_delay(
    certificate: Certificate,
) -> None:
    """However long it took: without proof it has not even been dialled."""
    keys = [b""]
    async with exporter(always(answer_of(PAGE)), certificate.context()) as backend:
        subject = subject_at(backend.address, attested=True, key=lambda: keys[-1])
        heard = Heard()
        watching = asyncio.get_running_loop().create_task(pinned().watch(subject, heard))
        await heard.until(8)
        keys.append(key_in(certificate.chain.read_bytes()))
        await heard.until(len(heard.faults) + 1)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert {fault for fault, _ in heard.faults} == {ScrapeFault.UNATTESTED}
    assert heard.found[0] == {QUEUE: 7.0}
