"""Stock nginx servers with tickets, each in the place of an enclave: own keys, own name."""

import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.e2e.balancer import Address
from tests.e2e.certificates import Certificate
from tests.e2e.processes import Process
from tests.e2e.programs import tool
from tests.e2e.sockets import TIMEOUT, connect
from tests.e2e.waiting import until
from tests.ports import free_port

NAME = "localhost"
"""The server name that all of them serve: every client library can find it."""

KEY_BYTES = 80
"""Of a ticket-key file: a name of 16, and secrets."""

_CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
worker_shutdown_timeout 1s;
events {{ worker_connections 4000; }}
http {{
    access_log off;
    {paths}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {own.certificate};
        ssl_certificate_key {own.key};
        {tickets}
        default_type text/plain;
        location / {{ return 200 "{name}"; }}
    }}
}}
"""


def new_key() -> bytes:
    """A ticket key of its own name."""
    return secrets.token_bytes(KEY_BYTES)


class Enclave:
    """One nginx, for TLS 1.2 and 1.3, that answers every request with its name.

    Attributes:
        name: What it answers.
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, folder: Path, name: str, own: Certificate, key: bytes | None = None) -> None:
        """Starts it; ends with the `with` block.

        Args:
            folder: Of this server alone.
            name: What it answers.
            own: Its certificate.
            key: Its ticket key; None: one that it makes up at each start and reload.
        """
        folder.mkdir(parents=True)
        self.name = name
        self.port = free_port()
        self._key = folder / "ticket.key"
        if key is not None:
            self._key.write_bytes(key)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        text = _CONFIGURATION.format(
            folder=folder,
            paths=" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
            port=self.port,
            own=own,
            tickets="" if key is None else f"ssl_session_ticket_key {self._key};",
            name=name,
        )
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", f"{folder}/nginx.conf"]
        self._log = folder / "out"
        with self._log.open("wb") as out:
            self._running = subprocess.Popen(command, stdout=out, stderr=out)
        self._process = Process(self._running.pid)

    def __enter__(self) -> Self:
        """Waits until it serves."""
        until(f"{self.name} listens", self._listens, log=self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self._running.terminate()
        self._running.wait(TIMEOUT)

    @property
    def address(self) -> Address:
        """Host and port."""
        return "127.0.0.1", self.port

    def rotate(self, key: bytes | None = None) -> None:
        """Changes its key while it runs; returns when nobody issues tickets of the old one.

        Args:
            key: The new one; None, for a server without a key file: one that it makes up.
        """
        before = set(self._process.children())
        if key is not None:
            self._key.write_bytes(key)
        self._process.signal(signal.SIGHUP)
        until("new workers have taken over", lambda: self._replaced(before))

    def _replaced(self, before: set[Process]) -> bool:
        now = set(self._process.children())
        return bool(now) and not now & before

    def _listens(self) -> bool:
        assert self._running.poll() is None, self._log.read_text(errors="replace")
        try:
            connect(self.address).close()
        except ConnectionRefusedError:
            return False
        return True


@contextmanager
def enclaves(
    folder: Path, own: Certificate, keys: Sequence[bytes | None]
) -> Iterator[list[Enclave]]:
    """As many enclaves as keys, called a, b, c and so on."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(Enclave(folder / name, name, own, key))
            for name, key in zip("abcdefgh", keys, strict=False)
        ]
