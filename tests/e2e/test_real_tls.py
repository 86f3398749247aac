"""Real TLS servers and clients: names reach their servers, and nobody notices what lies between."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backends import Backend
from tests.e2e.balancer import Address, Start
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.sockets import TIMEOUT, connect
from tests.e2e.waiting import until
from tests.ports import free_port

A, B = "a.example.com", "b.example.com"

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
both_versions = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])


def _tool(name: str) -> str:
    """The path of a program, or a skip that names it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed (make test-tools)")
    return path


def _python_server(own: Certificate, protocols: list[str], client_root: Path | None) -> Backend:
    """Tells each client who it serves it as, over which protocol, and who the client has proved."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.set_alpn_protocols(protocols)
    if client_root is not None:
        context.load_verify_locations(client_root)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            words = f"{tls.version()} {tls.selected_alpn_protocol()} {_name_of(tls)}"
            question = tls.recv(100)
            tls.sendall(words.encode() + b" " + question)

    return Backend(serve)


def _name_of(tls: ssl.SSLSocket) -> str:
    """The DNS name in the peer's certificate; `nobody` without one."""
    found = re.search(r"'DNS', '([^']+)'", repr(tls.getpeercert()))
    return found[1] if found else "nobody"


@pytest.fixture(scope="module")
def pair(start_shared: Start, authority: Authority) -> Iterator[Address]:
    """A balancer before two Python servers, one a name; b asks for a client certificate."""
    first = _python_server(authority.issue(A), ["h2", "http/1.1"], None)
    second = _python_server(authority.issue(B), ["http/1.1"], authority.root)
    with first, second:
        pools = {"a": [first.address], "b": [second.address]}
        yield start_shared({"routes": {A: "a", B: "b"}, "pools": pools}).address


def _client(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.root))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _ask(address: Address, context: ssl.SSLContext, name: str) -> tuple[str, str]:
    """Whose certificate the client accepted, and what the server said."""
    with context.wrap_socket(connect(address), server_hostname=name) as tls:
        tls.sendall(b"hello")
        return _name_of(tls), tls.recv(1_000).decode()


@both_versions
def test_each_name_reaches_its_server(
    pair: Address, authority: Authority, version: ssl.TLSVersion
) -> None:
    """The client verifies the backend's own certificate; ALPN and client certificates pass."""
    context = _client(authority, version)
    spoken = "TLSv1.2" if version is TLS12 else "TLSv1.3"
    assert _ask(pair, context, A) == (A, f"{spoken} h2 nobody hello")
    own = authority.issue("client.example.com")
    context.load_cert_chain(own.certificate, own.key)
    assert _ask(pair, context, B) == (B, f"{spoken} http/1.1 client.example.com hello")


def test_a_client_without_its_certificate_is_refused_by_the_server(
    pair: Address, authority: Authority
) -> None:
    """The server's refusal reaches the client as the server said it."""
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"):
        _ask(pair, _client(authority, TLS13), B)


def test_an_unknown_name_is_refused_in_words_that_clients_know(
    pair: Address, authority: Authority
) -> None:
    """A TLS client reads the balancer's alert as unrecognized_name."""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        _ask(pair, _client(authority, TLS13), "unknown.example.com")


@both_versions
def test_openssl_resumes_its_session(
    start: Start, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A session of openssl's client and server begun through the balancer is resumed through it."""
    option = "-tls1_2" if version is TLS12 else "-tls1_3"
    session = tmp_path / "session.pem"
    with _openssl_server(authority.issue(A), tmp_path) as backend:
        address = start({"routes": {A: "a"}, "pools": {"a": [backend]}}).address
        first = _s_client(address, authority, option, "-sess_out", str(session))
        assert "\nNew, " in first
        assert "Verification: OK" in first
        again = _s_client(address, authority, option, "-sess_in", str(session))
        assert "\nReused, " in again


def test_curl_reaches_nginx(start: Start, authority: Authority, tmp_path: Path) -> None:
    """Two names, two nginx servers, HTTP/1.1 and HTTP/2: curl verifies and reads each."""
    curl = _tool("curl")
    with _nginx(tmp_path, authority) as (first, second):
        pools = {"a": [first], "b": [second]}
        _, port = start({"routes": {A: "a", B: "b"}, "pools": pools}).address
        for name in (A, B):
            for protocol in ("--http1.1", "--http2"):
                said = _run(
                    curl, "--silent", "--show-error", "--noproxy", "*", protocol,
                    "--cacert", str(authority.root), "--resolve", f"{name}:{port}:127.0.0.1",
                    "--write-out", " over %{http_version}", f"https://{name}:{port}/",
                )  # fmt: skip
                version = "2" if protocol == "--http2" else "1.1"
                assert said == f"I am {name} over {version}"


def _run(*command: str, words: str = "") -> str:
    """What a program says that ends by itself with exit status 0."""
    ran = subprocess.run(
        command, input=words, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


def _s_client(address: Address, authority: Authority, *options: str) -> str:
    # The server ends the connection behind its answer: by then the client has read its ticket.
    return _run(
        _tool("openssl"), "s_client", "-connect", f"{address[0]}:{address[1]}", "-servername", A,
        "-verify_return_error", "-CAfile", str(authority.root), "-ign_eof", *options,
        words="GET / HTTP/1.0\r\n\r\n",
    )  # fmt: skip


@contextmanager
def _openssl_server(own: Certificate, folder: Path) -> Iterator[str]:
    port = free_port()
    command = [
        _tool("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet",
        "-cert", str(own.certificate), "-key", str(own.key),
    ]  # fmt: skip
    with _server(command, folder, [port]):
        yield f"127.0.0.1:{port}"


@contextmanager
def _nginx(folder: Path, authority: Authority) -> Iterator[tuple[str, str]]:
    ports = {name: free_port() for name in (A, B)}
    servers = "".join(
        f"""
        server {{
            listen 127.0.0.1:{port} ssl http2;
            ssl_certificate {own.certificate};
            ssl_certificate_key {own.key};
            location / {{ return 200 "I am {name}"; }}
        }}"""
        for name, port in ports.items()
        for own in [authority.issue(name)]
    )
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{servers}\n}}\n",
        encoding="utf-8",
    )
    command = [_tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with _server(command, folder, list(ports.values())):
        yield f"127.0.0.1:{ports[A]}", f"127.0.0.1:{ports[B]}"


@contextmanager
def _server(command: list[str], folder: Path, ports: list[int]) -> Iterator[None]:
    """A server that runs until the end of the block and is reached on all its ports."""
    log = folder / "server.log"
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        until(f"{command[0]} listens", lambda: all(_listens(port) for port in ports), log=log)
        yield
    finally:
        running.terminate()
        running.wait(TIMEOUT)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
    except ConnectionRefusedError:
        return False
    return True
