"""Tickets as TLS stacks write them, and servers that give real ones."""

import base64
import random
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from l4proxy.control.tickets.layouts import PLAIN, KeyName, Ticket
from routing import Address
from tests.e2e.backends import Backend
from tests.l4proxy.control.servers import (
    EVERYWHERE,
    LOOPBACK,
    Certificate,
    running,
)
from tests.ports import free_port


@dataclass(frozen=True)
class Stack:
    """A stack that gives tickets.

    Attributes:
        name: The name of its key, behind what else it writes first.
        length: Bytes of a ticket.
        wolfssl: Whether the length of what is sealed stands behind name and IV.
    """

    name: bytes
    length: int = 208
    wolfssl: bool = False

    def ticket(self, chance: random.Random) -> Ticket:
        """A new ticket."""
        rest = chance.randbytes(self.length - len(self.name))
        if self.wolfssl:
            rest = rest[:16] + (self.length - 66).to_bytes(2, "big") + rest[18:]
        return Ticket.of(self.name + rest)


def plain(text: str) -> KeyName:
    """A name as OpenSSL has it, out of a few letters."""
    return KeyName(PLAIN, text.encode().ljust(16, b"."))


def tool(name: str) -> str:
    """The path of a program, or a skip that names it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@dataclass
class Rotating:
    """Serves with one context, which a test may replace by one with another key."""

    context: ssl.SSLContext

    def __call__(self, sock: socket.socket) -> None:
        """Serves one connection."""
        with self.context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1_000)


def python_server(*contexts: ssl.SSLContext) -> Backend:
    """A server whose connections are served by each context in turn, as by worker processes."""
    turn = cycle([Rotating(context) for context in contexts])

    def serve(sock: socket.socket) -> None:
        next(turn)(sock)

    return Backend(serve)


def address_of(backend: Backend) -> Address:
    """Where a backend is."""
    return Address("127.0.0.1", backend.port)


NGINX = """
daemon off; master_process on; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; ssl_protocols {protocol};
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port} ssl; server_name app.example.com;
        ssl_certificate {chain}; ssl_certificate_key {key};
        {ticket_keys}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx whose ticket keys lie in files."""

    address: Address
    folder: Path
    config: str
    process: "subprocess.Popen[bytes]"

    def load(self, *names: bytes) -> None:
        """Encrypts with the key of the first name from now on, and opens those of all."""
        configure(self.folder, self.config, *names)
        self.process.send_signal(signal.SIGHUP)

    def errors(self) -> str:
        """What stands in its error log that is not a notice."""
        lines = (self.folder / "error.log").read_text().splitlines()
        return "\n".join(line for line in lines if "[notice]" not in line)


def configure(folder: Path, config: str, *names: bytes) -> None:
    """Write the configuration of nginx, and a key file for each name."""
    lines = []
    for name in names:
        path = folder / f"{name.hex()}.key"
        path.write_bytes(name + bytes(range(64)))
        lines.append(f"ssl_session_ticket_key {path};")
    (folder / "nginx.conf").write_text(config.replace("TICKET_KEYS", "\n".join(lines)))


@contextmanager
def nginx(folder: Path, certificate: Certificate, protocol: str, *names: bytes) -> Iterator[Nginx]:
    """A real nginx."""
    program, port = tool("nginx"), free_port()
    config = NGINX.format(
        folder=folder, port=port, protocol=protocol, ticket_keys="TICKET_KEYS",
        chain=certificate.chain, key=certificate.key,
    )  # fmt: skip
    configure(folder, config, *names)
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with running([*command, "-e", str(folder / "error.log")], folder / "output") as server:
        server.wait_for(port)
        yield Nginx(Address("127.0.0.1", port), folder, config, server.process)


@contextmanager
def openssl(folder: Path, certificate: Certificate, *options: str) -> Iterator[Address]:
    """`openssl s_server`."""
    port = free_port()
    files = ["-cert", str(certificate.chain), "-key", str(certificate.key)]
    listen = ["-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
    command = [tool("openssl"), "s_server", *files, *listen, *options]
    with listening(command, port, folder / "openssl.log") as address:
        yield address


HAPROXY = """
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend tls
    bind 127.0.0.1:{port} ssl crt {folder}/both.pem tls-ticket-keys {folder}/keys
    http-request return status 200
"""


@contextmanager
def haproxy(folder: Path, certificate: Certificate, *names: bytes) -> Iterator[Address]:
    """A real HAProxy with three ticket keys, of which the last but one encrypts."""
    program, port = tool("haproxy"), free_port()
    both = certificate.chain.read_bytes() + certificate.key.read_bytes()
    (folder / "both.pem").write_bytes(both)
    keys = (base64.b64encode(name + bytes(range(32))) for name in names)
    (folder / "keys").write_bytes(b"".join(key + b"\n" for key in keys))
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, folder=folder))
    command = [program, "-q", "-f", str(folder / "haproxy.cfg")]
    with listening(command, port, folder / "haproxy.log") as address:
        yield address


NODE = """
const fs = require('fs');
const [key, cert, port] = process.argv.slice(1);
const options = {key: fs.readFileSync(key), cert: fs.readFileSync(cert)};
require('tls').createServer(options, socket => {
    socket.on('error', () => {}).on('data', () => {}).on('end', () => socket.end());
}).listen(Number(port), '127.0.0.1');
"""


@contextmanager
def node(folder: Path, certificate: Certificate) -> Iterator[Address]:
    """A TLS server in Node.js."""
    port = free_port()
    files = [str(certificate.key), str(certificate.chain)]
    command = [tool("node"), "-e", NODE, *files, str(port)]
    with listening(command, port, folder / "node.log") as address:
        yield address


@contextmanager
def gnutls(folder: Path, certificate: Certificate) -> Iterator[Address]:
    """`gnutls-serv`, which listens on all addresses, as it cannot do otherwise."""
    port = free_port("0.0.0.0")  # noqa: S104 - it cannot listen on one address alone
    files = ["--x509certfile", str(certificate.chain), "--x509keyfile", str(certificate.key)]
    command = [tool("gnutls-serv"), "-q", "--echo", "--disable-client-cert", *files]
    with listening([*command, "-p", str(port)], port, folder / "gnutls.log", EVERYWHERE) as address:
        yield address


JAVA = """
import java.io.*; import java.net.*; import java.security.*; import javax.net.ssl.*;
class Server {
    public static void main(String[] given) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream(given[0]), "public".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, "public".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        ServerSocket server = context.getServerSocketFactory().createServerSocket(
            Integer.parseInt(given[1]), 50, Inet4Address.getByName("127.0.0.1"));
        while (true) {
            Socket client = server.accept();
            try { client.getInputStream().read(); client.close(); } catch (IOException ignored) { }
        }
    }
}
"""


@contextmanager
def java(folder: Path, certificate: Certificate) -> Iterator[Address]:
    """A TLS server in Java, with its own stack (JSSE)."""
    program, port = tool("java"), free_port()
    store = pkcs12.serialize_key_and_certificates(
        b"server",
        serialization.load_pem_private_key(certificate.key.read_bytes(), None),  # type: ignore[arg-type]  # it is the key of this certificate
        x509.load_pem_x509_certificate(certificate.chain.read_bytes()),
        None,
        serialization.BestAvailableEncryption(b"public"),
    )
    (folder / "store.p12").write_bytes(store)
    (folder / "Server.java").write_text(JAVA)
    # IPv4 only, so that it stands where `wait_for` looks; a small heap starts sooner.
    options = ["-Djava.net.preferIPv4Stack=true", "-Xshare:auto", "-Xmx64m"]
    command = [program, *options, str(folder / "Server.java"), str(folder / "store.p12"), str(port)]
    with listening(command, port, folder / "java.log") as address:
        yield address


@contextmanager
def listening(command: list[str], port: int, log: Path, host: str = LOOPBACK) -> Iterator[Address]:
    """A process that listens on a port of the loopback, or of every interface."""
    with running(command, log) as server:
        server.wait_for(port, host)
        yield Address("127.0.0.1", port)
