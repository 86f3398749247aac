"""What it costs to ask many backends for their metrics pages: CPU of this process, TLS included.

    make bench-scrape                      1,000 endpoints every 5 seconds, half a minute
    make bench-scrape ARGS='--pages 50000' the same with pages of 50 kB

The endpoints are another process: TLS servers on addresses of the loopback, with pages as a whole
exporter has them. Handshakes fall into the first period, which is measured apart.
"""

import argparse
import asyncio
import json
import multiprocessing
import ssl
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client.parser import text_string_to_metric_families

from l4proxy.config.telemetry import DEFAULT_SERIES, TelemetrySettings
from l4proxy.control.attesting.trust import key_of
from l4proxy.control.scrape import Telemetry, TelemetryRules
from l4proxy.control.scrape.openmetrics import OpenMetrics
from l4proxy.control.scrape.page import PageReader
from routing import Address, BackendName, PoolName

POOL = PoolName("app")
LINE = b'http_request_duration_seconds_bucket{handler="/api/v1/items",le="0.%d"} %d\n'
ROUNDS = 200


class Endpoint(NamedTuple):
    """A backend of the benchmark."""

    name: BackendName
    address: Address


def page_of(size: int) -> bytes:
    """A page of about so many bytes, in which an agent's series stand last."""
    wanted = b"".join(
        b"# TYPE %s gauge\n%s 0.5\n" % ((series.name.encode(),) * 2)
        for series in DEFAULT_SERIES.values()
    )
    lines, number = bytearray(), 0
    while len(lines) + len(wanted) < size:
        lines += LINE % (number, number)
        number += 1
    return bytes(lines) + wanted


class _Server(asyncio.Protocol):
    """Answers whatever ends like a question."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape alone

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if data.endswith(b"\r\n\r\n") and self._transport is not None:
            self._transport.write(self._answer)


def certificate(folder: Path) -> bytes:
    """Write a key and its certificate, and return the name of the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "endpoint")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(secret + made.public_bytes(Encoding.PEM))
    return key_of(made.public_bytes(Encoding.DER))


async def _serve(
    folder: str, hosts: list[str], answer: bytes, ready: "Connection[int, int]"
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder) / "both.pem")
    loop = asyncio.get_running_loop()
    port = 0
    for host in hosts:
        server = await loop.create_server(lambda: _Server(answer), host, port, ssl=context)
        port = server.sockets[0].getsockname()[1]
    ready.send(port)
    await asyncio.Event().wait()


def serve(folder: str, hosts: list[str], answer: bytes, ready: "Connection[int, int]") -> None:
    """Serve all endpoints, in a process of its own."""
    uvloop.run(_serve(folder, hosts, answer, ready))


def _hosts(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"127.1.{number // 250}.{number % 250 + 1}"


async def measure(
    telemetry: Telemetry, seconds: float, every: float
) -> tuple[float, float, float, int]:
    """Return CPU seconds of the first period and of the rest, how long that took, and scrapes."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(telemetry.run())
        begun = time.process_time()
        await asyncio.sleep(every * 1.2)
        first, scrapes = time.process_time() - begun, telemetry.outcomes[POOL, ""]
        cpu, wall = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        spent, took = time.process_time() - cpu, time.monotonic() - wall
        scrapes = telemetry.outcomes[POOL, ""] - scrapes
        task.cancel()
    return first, spent, took, scrapes


def parsing(page: bytes) -> tuple[float, float]:
    """Return the microseconds that a page takes: our scanner, a whole parse."""
    reader, text = PageReader(DEFAULT_SERIES.values()), page.decode()
    begun = time.process_time()
    for _ in range(ROUNDS):
        reader.read(page)
    ours = time.process_time() - begun
    begun = time.process_time()
    for _ in range(ROUNDS // 10):
        list(text_string_to_metric_families(text))
    return ours / ROUNDS * 1e6, (time.process_time() - begun) / (ROUNDS // 10) * 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--endpoints", type=int, default=1_000)
    parser.add_argument("--every", type=int, default=5, help="seconds")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pages", type=int, default=3_000, help="bytes of a page")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    page = page_of(asked.pages)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    hosts = list(_hosts(asked.endpoints))
    with tempfile.TemporaryDirectory() as folder:
        key = certificate(Path(folder))
        ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(folder, hosts, answer, theirs), daemon=True
        )
        process.start()
        port = int(ours.recv())
        settings = TelemetrySettings.model_validate({"every": f"{asked.every}s"})
        rules = TelemetryRules(OpenMetrics().make(settings, POOL), settings.wanted(), attested=True)
        telemetry = Telemetry(lambda _pool, _name: key)
        backends = [Endpoint(BackendName(host), Address(host, port)) for host in hosts]
        telemetry.update({POOL: backends}, {POOL: rules})
        first, spent, took, scrapes = uvloop.run(measure(telemetry, asked.seconds, asked.every))
        process.terminate()
    scanned, parsed = parsing(page)
    faults = {fault: n for (_, fault), n in telemetry.outcomes.items() if fault}
    figures = {
        "endpoints": asked.endpoints,
        "every_s": asked.every,
        "page_bytes": len(page),
        "scrapes": scrapes,
        "faults": sum(faults.values()),
        "us_a_scrape": round(spent / max(1, scrapes) * 1e6),
        "share_of_a_core": round(spent / took, 4),
        "us_a_first_scrape": round(first / asked.endpoints * 1e6),
        "us_scanner": round(scanned, 1),
        "us_whole_parse": round(parsed, 1),
    }
    print(json.dumps(figures, indent=2))
    if asked.output is not None:
        asked.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
