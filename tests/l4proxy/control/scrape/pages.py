"""Backends that have a metrics page, well-behaved and hostile, and somebody who hears of them."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.source import ScrapeFault, Subject, TelemetrySource
from l4proxy.scaling.report import MetricName
from l4proxy.series import parse_series
from routing import Address, BackendName, PoolName
from tests.l4proxy.control.servers import PATIENCE_SECONDS

QUEUE = MetricName("queue")
PAGE = b"# TYPE queue gauge\nqueue 7\n"

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer_of(page: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer that says how long its page is."""
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(page) + page


def key_in(chain: bytes) -> bytes:
    """The name of the key of a certificate in PEM."""
    key = x509.load_pem_x509_certificate(chain).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


@dataclass
class Exporter:
    """What a backend with a metrics page saw."""

    address: Address
    connections: int = 0
    questions: list[bytes] = field(default_factory=list)


def always(*answers: bytes) -> Answering:
    """Answer each question, the last answer ever again; an empty one ends the connection."""
    left = list(answers)

    async def script(writer: asyncio.StreamWriter) -> None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if not answer:
            raise ConnectionResetError
        writer.write(answer)
        await writer.drain()

    return script


@asynccontextmanager
async def exporter(
    script: Answering, context: ssl.SSLContext | None = None
) -> AsyncIterator[Exporter]:
    """A backend that plays its script for each question, on connections that it keeps."""
    seen = Exporter(Address("127.0.0.1", 1))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                seen.questions.append(await reader.readuntil(b"\r\n\r\n"))
                await script(writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    seen.address = Address(*server.sockets[0].getsockname()[:2])
    try:
        yield seen
    finally:
        server.close()


class Heard:
    """A report that can be waited for."""

    def __init__(self) -> None:
        self.found: list[Mapping[MetricName, float | Refused]] = []
        self.faults: list[tuple[ScrapeFault, str]] = []
        self._news = asyncio.Event()

    def took(self, found: Mapping[MetricName, float | Refused]) -> None:
        """Hear samples."""
        self.found.append(found)
        self._news.set()

    def failed(self, fault: ScrapeFault, detail: str = "") -> None:
        """Hear a fault."""
        self.faults.append((fault, detail))
        self._news.set()

    async def until(self, many: int) -> None:
        """Wait for so many attempts."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.found) + len(self.faults) < many:
                self._news.clear()
                await self._news.wait()


def subject_at(
    address: Address, *, attested: bool = False, key: Callable[[], bytes] = bytes
) -> Subject:
    """A backend whose queue is wanted."""
    who = PoolName("app"), BackendName("one"), address
    return Subject(*who, {QUEUE: parse_series("queue")}, None, attested, key)


async def watched(source: TelemetrySource, subject: Subject, attempts: int = 1) -> Heard:
    """What is heard of a backend in so many attempts."""
    heard = Heard()
    watching = asyncio.get_running_loop().create_task(source.watch(subject, heard))
    try:
        await heard.until(attempts)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return heard
