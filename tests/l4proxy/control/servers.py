"""Backends for probes: well-behaved, real and hostile ones, on the loopback."""

import asyncio
import datetime as dt
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from routing import Address
from tests.ports import free_port

PATIENCE_SECONDS = 20.0
"""How long a test waits for what must come; nothing is judged by it."""

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, as files."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A server's context."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.chain, self.key)
        return made


def make_certificate(folder: Path) -> Certificate:
    """Write a certificate for nobody in particular."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@dataclass
class Visits:
    """What a backend saw."""

    address: Address = field(default_factory=lambda: Address("127.0.0.1", 0))
    endings: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    visited: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self) -> str:
        """How the first visit ended: `fin` or `reset`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.visited.wait()
        return self.endings[0]


@asynccontextmanager
async def backend(
    script: Script | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Visits]:
    """A backend that plays its script, then reads to the end and notes how that came."""
    visits = Visits()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ending, heard = "fin", b""
        try:
            if script is not None:
                await script(reader, writer)
            heard = await reader.read(-1)
        except OSError:
            ending = "reset"
        finally:
            visits.endings.append(ending)
            visits.heard.append(heard)
            visits.visited.set()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    visits.address = Address(*server.sockets[0].getsockname()[:2])
    try:
        yield visits
    finally:
        server.close()


def find(program: str) -> str | None:
    """Where a program lies, also where not everybody looks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; ssl_protocols {protocol};
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port} ssl default_server; ssl_reject_handshake on; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name app.example.com;
        ssl_certificate {chain}; ssl_certificate_key {key};
        location / {{ return 200 "well"; }}
        location /ill {{ return 503; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, certificate: Certificate, protocol: str) -> Iterator[Address]:
    """A real nginx that speaks one version of TLS and has one name; it logs as it usually does."""
    port = free_port()
    files = {"chain": certificate.chain, "key": certificate.key}
    text = NGINX.format(folder=folder, port=port, protocol=protocol, **files)
    (folder / "nginx.conf").write_text(text)
    command = [find("nginx") or "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with running([*command, "-e", str(folder / "error.log")], folder / "output") as server:
        server.wait_for(port)
        yield Address("127.0.0.1", port)


LOOPBACK, EVERYWHERE = "0100007F", "00000000"
"""Addresses that a server listens on, as /proc/net/tcp writes them."""


@dataclass(frozen=True)
class Server:
    """A server that somebody else wrote.

    Attributes:
        process: It.
        log: What it says.
    """

    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_for(self, port: int, host: str = LOOPBACK) -> None:
        """Wait until it listens; that it is connected to leaves no trace in its log.

        Raises:
            AssertionError: It has ended or takes too long; its own words say why.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        row = f"{host}:{port:04X} 00000000:0000 0A"
        while row not in Path("/proc/net/tcp").read_text():
            assert self.process.poll() is None, f"ended: {self._said(port)}"
            assert time.monotonic() < deadline, f"too late: {self._said(port)}"
            time.sleep(0.02)

    def _said(self, port: int) -> str:
        words = self.log.read_text(errors="replace")
        return f"{self.process.args!r} does not listen on {port}, and says:\n{words}"


@contextmanager
def running(command: list[str], log: Path) -> Iterator[Server]:
    """A process whose words go to a log, and that is ended afterwards."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield Server(process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
