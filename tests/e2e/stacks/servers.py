"""Servers of many stacks: each answers HTTP and gives tickets as it does by default."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.e2e.backends import Backend
from tests.e2e.balancer import Address
from tests.e2e.enclaves import Enclave
from tests.e2e.programs import serving, tool
from tests.e2e.sockets import TIMEOUT
from tests.e2e.stacks.sources import NODE_SERVER
from tests.e2e.stacks.workshop import PASSWORD, Workshop
from tests.ports import free_port

Server = Callable[[Workshop], AbstractContextManager[Address]]
"""Starts one server, with ticket keys of its own."""

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\npython"

_HAPROXY = """
defaults
    mode http
    timeout client 30s
frontend tls
    bind 127.0.0.1:{port} ssl crt server.pem ssl-min-ver TLSv1.2
    http-request return status 200 content-type text/plain string haproxy
"""


@contextmanager
def _openssl(workshop: Workshop) -> Iterator[Address]:
    port = free_port()
    files = ["-cert", "server.crt", "-key", "server.key"]
    command = [tool("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
    with serving([*command, *files], workshop.bench(), port):
        yield "127.0.0.1", port


@contextmanager
def _gnutls(workshop: Workshop) -> Iterator[Address]:
    port = free_port("0.0.0.0")  # noqa: S104 - it cannot listen on one address alone
    files = ["--x509certfile", "server.crt", "--x509keyfile", "server.key"]
    command = [tool("gnutls-serv"), "--http", "-q", "--disable-client-cert", "-p", str(port)]
    with serving([*command, *files], workshop.bench(), port):
        yield "127.0.0.1", port


@contextmanager
def _nss(workshop: Workshop) -> Iterator[Address]:
    port, folder = free_port(), workshop.bench()
    (folder / "password").write_text(PASSWORD, encoding="ascii")
    store = ["-d", "sql:."]
    imported = ["-i", "server.p12", "-k", "password", "-W", PASSWORD]
    for command in (
        [tool("certutil"), "-N", "-f", "password", *store],
        [tool("pk12util"), *imported, *store],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT)
    command = [tool("selfserv"), "-n", "server", "-p", str(port), "-w", PASSWORD, "-u", *store]
    with serving([*command, "-V", "tls1.2:tls1.3"], folder, port):
        yield "127.0.0.1", port


@contextmanager
def _python(workshop: Workshop) -> Iterator[Address]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(workshop.own.certificate, workshop.own.key)

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(65_536)
            tls.sendall(_ANSWER)
            tls.unwrap()

    with Backend(serve) as backend:
        yield "127.0.0.1", backend.port


@contextmanager
def _node(workshop: Workshop) -> Iterator[Address]:
    port, folder = free_port(), workshop.bench()
    (folder / "server.js").write_text(NODE_SERVER, encoding="utf-8")
    with serving([tool("node"), "server.js", str(port)], folder, port):
        yield "127.0.0.1", port


@contextmanager
def _java(workshop: Workshop) -> Iterator[Address]:
    port, classes = free_port(), workshop.java_classes
    command = [tool("java"), "-Xshare:auto", "-Xmx64m", "-cp", str(classes), "Server", str(port)]
    with serving(command, workshop.bench(), port):
        yield "127.0.0.1", port


@contextmanager
def _go(workshop: Workshop) -> Iterator[Address]:
    port = free_port()
    with serving([str(workshop.go_server), str(port)], workshop.bench(), port):
        yield "127.0.0.1", port


@contextmanager
def _nginx(workshop: Workshop) -> Iterator[Address]:
    with Enclave(workshop.bench() / "nginx", "nginx", workshop.own) as enclave:
        yield enclave.address


@contextmanager
def _haproxy(workshop: Workshop) -> Iterator[Address]:
    port, folder = free_port(), workshop.bench()
    (folder / "haproxy.cfg").write_text(_HAPROXY.format(port=port), encoding="utf-8")
    with serving([tool("haproxy"), "-db", "-f", "haproxy.cfg"], folder, port):
        yield "127.0.0.1", port


SERVERS: Mapping[str, Server] = {
    "OpenSSL": _openssl,
    "GnuTLS": _gnutls,
    "NSS": _nss,
    "Python": _python,
    "Node.js": _node,
    "Java": _java,
    "Go": _go,
    "nginx": _nginx,
    "HAProxy": _haproxy,
}
"""By the name of the stack."""
