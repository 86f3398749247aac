"""Clients of many stacks: each comes back with what its stack keeps of a session."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tests.e2e.enclaves import NAME
from tests.e2e.programs import serving, tool
from tests.e2e.sockets import TIMEOUT
from tests.e2e.stacks.sources import NODE_CLIENT, PYTHON_CLIENT
from tests.e2e.stacks.workshop import Workshop
from tests.ports import free_port

PATIENCE = 2 * TIMEOUT
"""Seconds for all visits of one client; a virtual machine of Java's takes one to start."""

_REQUEST = "GET / HTTP/1.0\r\n\r\n"

_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{front};
        location / {{
            proxy_pass https://127.0.0.1:{port};
            proxy_ssl_name {name};
            proxy_ssl_server_name on;
            proxy_ssl_protocols TLSv{version};
        }}
    }}
}}
"""

_HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 30s
    option httpclose
frontend f
    bind 127.0.0.1:{front}
    default_backend b
backend b
    server s 127.0.0.1:{port} ssl verify none sni str({name}) ssl-min-ver TLSv{version} \
ssl-max-ver TLSv{version}
"""


@dataclass(frozen=True, slots=True)
class Trip:
    """Where a client goes.

    Attributes:
        workshop: Whom it trusts, and its program.
        ports: Where it connects on 127.0.0.1, a new client at each.
        visits: How often it comes to each.
        version: Of TLS, 1.2 or 1.3; empty: any.
    """

    workshop: Workshop
    ports: Sequence[int]
    visits: int
    version: str = ""

    def run(
        self,
        command: Sequence[str],
        words: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
        *,
        lenient: bool = False,
    ) -> list[str]:
        """The lines that a program prints, which trusts the authority by environment.

        Args:
            command: The program and its words.
            words: What it reads.
            variables: More of its environment.
            lenient: Whether it may end with an error.
        """
        root = str(self.workshop.authority.root)
        trust = {"SSL_CERT_FILE": root, "REQUESTS_CA_BUNDLE": root, "NODE_EXTRA_CA_CERTS": root}
        ran = subprocess.run(
            command, input=words, capture_output=True, text=True, timeout=PATIENCE, check=False,
            env=os.environ | trust | {"no_proxy": "*"} | dict(variables),
        )  # fmt: skip
        if ran.returncode and not lenient:
            raise AssertionError((command, ran.stdout[-1_000:], ran.stderr[-1_000:]))
        return ran.stdout.splitlines()

    @property
    def arguments(self) -> list[str]:
        """As the small programs take them."""
        return [self.version, str(self.visits), *map(str, self.ports)]


Client = Callable[[Trip], Sequence[str]]
"""Makes a trip; returns the answers, in the order of its visits, where the program shows them."""


def _openssl(trip: Trip) -> Sequence[str]:
    folder, root = trip.workshop.bench(), str(trip.workshop.authority.root)
    option = "-tls" + trip.version.replace(".", "_")
    for visit in range(trip.visits):
        for port in trip.ports:
            session = str(folder / f"{port}.session")
            trip.run(
                [
                    tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof",
                    "-servername", NAME, "-CAfile", root, "-verify_return_error", option,
                    "-sess_out", session, *(["-sess_in", session] if visit else []),
                ],
                _REQUEST,
                lenient=True,  # it minds how some servers close
            )  # fmt: skip
    return ()


def _gnutls(trip: Trip) -> Sequence[str]:
    # It resumes once in each run, by itself.
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS{trip.version}"
    root = str(trip.workshop.authority.root)
    command = [tool("gnutls-cli"), "--resume", "--priority", priority, "--x509cafile", root]
    wait = ["--waitresumption"] if trip.version == "1.3" else []
    for port in trip.ports:
        for _ in range(trip.visits // 2):
            where = ["--sni-hostname", NAME, "--verify-hostname", NAME, "-p", str(port)]
            trip.run([*command, *wait, *where, "127.0.0.1"], _REQUEST)
    return ()


def _nss(trip: Trip) -> Sequence[str]:
    request = trip.workshop.bench() / "request"
    request.write_text(_REQUEST, encoding="ascii")
    version = f"tls{trip.version}:tls{trip.version}"
    for port in trip.ports:
        trip.run(
            [
                tool("tstclnt"), "-h", NAME, "-4", "-p", str(port), "-D", "-o", "-u", "-f",
                "-V", version, "-A", str(request), "-L", str(trip.visits),
            ]
        )  # fmt: skip
    return ()


def curl(trip: Trip) -> Sequence[str]:
    """One process for all visits; it keeps sessions by host and port."""
    urls = [f"https://{NAME}:{port}/" for _ in range(trip.visits) for port in trip.ports]
    limits = ["--tls-max", trip.version, f"--tlsv{trip.version}"] if trip.version else []
    return trip.run(
        [
            tool("curl"), "-4", "-sS", "--cacert", str(trip.workshop.authority.root), *limits,
            "--http1.1", "-H", "Connection: close", "-w", "\\n", *urls,
        ]
    )  # fmt: skip


def python(trip: Trip) -> Sequence[str]:
    """The `ssl` of Python, told its session each time."""
    return trip.run([sys.executable, "-c", PYTHON_CLIENT, *trip.arguments])


def node(trip: Trip) -> Sequence[str]:
    """The agent of Node's `https`, which keeps sessions by itself."""
    script = trip.workshop.bench() / "client.js"
    script.write_text(NODE_CLIENT, encoding="utf-8")
    return trip.run([tool("node"), str(script), *trip.arguments])


def java(trip: Trip) -> Sequence[str]:
    """Java's HttpsURLConnection, whose context keeps sessions by itself."""
    classes = str(trip.workshop.java_classes)
    return trip.run([tool("java"), "-Xshare:auto", "-cp", classes, "Client", *trip.arguments])


def go(trip: Trip, *, cache: bool = True) -> Sequence[str]:
    """Go's http.Client, with a cache for sessions or, as by default, without."""
    variables = {"CACHE": "1" if cache else ""}
    return trip.run([str(trip.workshop.go_client), *trip.arguments], variables=variables)


def _nginx(trip: Trip) -> Sequence[str]:
    folder = trip.workshop.bench()
    (folder / "nginx.conf").write_text(_proxy(_NGINX, trip, front := free_port(), str(folder)))
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", f"{folder}/nginx.conf"]
    with serving(command, folder, front):
        return list(_ask(front, trip.visits))


def _haproxy(trip: Trip) -> Sequence[str]:
    folder = trip.workshop.bench()
    (folder / "haproxy.cfg").write_text(_proxy(_HAPROXY, trip, front := free_port(), str(folder)))
    with serving([tool("haproxy"), "-db", "-f", "haproxy.cfg"], folder, front):
        return list(_ask(front, trip.visits))


def _proxy(text: str, trip: Trip, front: int, folder: str) -> str:
    (port,) = trip.ports
    return text.format(folder=folder, front=front, port=port, name=NAME, version=trip.version)


def _ask(port: int, times: int) -> Iterator[str]:
    for _ in range(times):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as answer:
            yield answer.read().decode(errors="replace")


CLIENTS: Mapping[str, Client] = {
    "OpenSSL": _openssl,
    "GnuTLS": _gnutls,
    "NSS": _nss,
    "curl": curl,
    "Python": python,
    "Node.js": node,
    "Java": java,
    "Go": go,
    "nginx": _nginx,
    "HAProxy": _haproxy,
}
"""By the name of the stack; those of `nginx` and `HAProxy` are their own to their backends."""
