"""A proxy that runs: started, proven to serve, told to end."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from beside.hello import make_hello
from beside.load import Load
from beside.peers import Peer, Task
from tests.ports import free_port

START_SECONDS = 20.0
"""A proxy that does not serve by then is not started rightly."""

END_SECONDS = 5.0
"""A proxy that has not ended this long after SIGTERM is killed."""

WARM_UPS = 5
"""How often a proxy may fail before it is measured."""


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that serves.

    Attributes:
        peer: Which it is.
        pid: The process that was started; others may be its children.
        port: Where it listens on 127.0.0.1.
        folder: Its files.
    """

    peer: Peer
    pid: int
    port: int
    folder: Path


@contextmanager
def running(
    peer: Peer, backends: tuple[int, ...], *, workers: int = 1, log: bool = False
) -> Iterator[Running]:
    """Run a proxy before these backends, until it has proven to serve.

    Raises:
        RuntimeError: It ended, or did not serve in time.
    """
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers are another user's
        task = Task(free_port(), backends, folder, workers, log)
        command = peer.command(peer.program or "", task)
        with started(command, task.port, folder, processors=workers) as pid:
            _prove(task.port)
            yield Running(peer, pid, task.port, folder)


@contextmanager
def started(command: list[str], port: int, folder: Path, processors: int = 1) -> Iterator[int]:
    """Run a server until it listens on a port of 127.0.0.1; yields its process id.

    Raises:
        RuntimeError: It ended, or did not listen in time.
    """
    environment = {**os.environ, "GOMAXPROCS": str(processors)}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        _await(process, port, folder / "out")
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()
        process.wait()


def warm_up(load: Load, proxies: list[Running], connections: int = 2_000) -> None:
    """Let each do the work before it is measured, until nothing of it fails.

    Traefik drops connections for a moment after its first good answer.

    Raises:
        RuntimeError: A proxy fails some of it each time.
    """
    for proxy in proxies:
        for _ in range(WARM_UPS - 1):
            with suppress(RuntimeError):
                load.drive(proxy.port, n=connections)
                break
            time.sleep(0.5)
        else:
            load.drive(proxy.port, n=connections)


def _prove(port: int) -> None:
    """Say hello until somebody answers: Traefik listens before it knows its routes."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), START_SECONDS) as client:
            client.sendall(make_hello())
            with suppress(ConnectionError):
                if client.recv(1):
                    return
        time.sleep(0.05)
    raise RuntimeError(f"nobody answers a hello on port {port}")


def _await(process: "subprocess.Popen[bytes]", port: int, out: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen:\n{out.read_text(errors='replace')}")
