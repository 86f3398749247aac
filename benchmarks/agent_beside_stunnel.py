"""The agent's TLS beside stunnel's: GB for each second of CPU, and CPU of a short connection.

    make bench-agent [ARGS="--rounds 3 --megabytes 128"]

Both end TLS 1.3 with the same key on P-256 in front of the same application, for the same client,
in turn; the medians of the rounds are printed. Only what the two themselves take is counted, as
the kernel accounts it to their processes, threads that have ended included.
"""

import argparse
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml
from beside.machine import describe
from beside.processes import cpu

from tests.ports import free_port

_CHUNK = memoryview(bytes(256 * 1024))
_PATIENCE = 30.0
_STREAMS = 4
_SHORT = 300
_NAME = "app.example.com"
_UP, _DOWN, _TRIP = b"u", b"d", b"t"


class Served(NamedTuple):
    """A program that ends TLS: its process and its port."""

    pid: int
    port: int

    def spent(self) -> float:
        """Seconds of CPU until now."""
        used = cpu(self.pid)
        return used.user + used.system


def main() -> None:
    """Measure, in turn, and print."""
    asked = _arguments()
    if not shutil.which("stunnel"):
        sys.exit("skipped: stunnel is not here (Debian: apt install stunnel4)")
    for what, found in describe().items():
        print(f"{what}: {found}")
    with tempfile.TemporaryDirectory(prefix="agent-") as name, _application(asked) as behind:
        folder = Path(name)
        with _agent(folder, behind) as ours, _stunnel(folder, behind) as theirs:
            _report(asked, {"agent": ours, "stunnel": theirs})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of each measure (default 7)")
    parser.add_argument("--megabytes", type=int, default=512, help="a round (default 512)")
    return parser.parse_args()


def _report(asked: argparse.Namespace, served: dict[str, Served]) -> None:
    size = asked.megabytes * 1_000_000 // _STREAMS
    bulk = asked.megabytes / 1000
    measures: dict[str, tuple[str, Callable[[int], None], Callable[[float], float]]] = {
        "from the application": (
            "GB/CPU-s",
            lambda port: _download(port, size),
            lambda s: bulk / s,
        ),
        "to the application": ("GB/CPU-s", lambda port: _upload(port, size), lambda s: bulk / s),
        "short connection": ("CPU-ms", _short, lambda s: 1000 * s / _SHORT),
    }
    print("ciphers:", {name: _cipher(one.port) for name, one in served.items()})
    for what, (unit, work, figure) in measures.items():
        found: dict[str, list[float]] = {name: [] for name in served}
        for _ in range(asked.rounds):
            for name, one in served.items():
                before = one.spent()
                work(one.port)
                found[name].append(figure(one.spent() - before))
        middle = {name: median(values) for name, values in found.items()}
        spread = ", ".join(
            f"{name} {middle[name]:.2f} ({min(values):.2f}–{max(values):.2f})"
            for name, values in found.items()
        )
        print(f"{what}, {unit}: {spread}; ratio {middle['agent'] / middle['stunnel']:.2f}")


def _download(port: int, size: int) -> None:
    def take() -> None:
        with _connected(port, _DOWN) as tls:
            room, left = bytearray(len(_CHUNK)), size
            while left > 0:
                count = tls.recv_into(room)
                if not count:
                    sys.exit("the connection ended early")
                left -= count

    _together(take)


def _upload(port: int, size: int) -> None:
    def give() -> None:
        with _connected(port, _UP) as tls:
            left = size
            while left > 0:
                tls.sendall(_CHUNK[: min(left, len(_CHUNK))])
                left -= len(_CHUNK)
            tls.recv(1)

    _together(give)


def _short(port: int) -> None:
    for _ in range(_SHORT):
        with _connected(port, _TRIP) as tls:
            tls.sendall(b"ping")
            tls.recv(4)


def _together(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(_STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _cipher(port: int) -> str:
    with _connected(port, _TRIP) as tls:
        return str(tls.cipher())


@contextmanager
def _connected(port: int, wish: bytes) -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(sock, server_hostname=_NAME) as tls:
            tls.sendall(wish)
            yield tls


@contextmanager
def _application(asked: argparse.Namespace) -> Iterator[int]:
    """Serve what the first byte of a connection wishes; yield the port."""
    size = asked.megabytes * 1_000_000 // _STREAMS

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(sock, size), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def _serve(sock: socket.socket, size: int) -> None:
    with sock, suppress(OSError):
        wish, room, left = sock.recv(1), bytearray(len(_CHUNK)), size
        while wish == _DOWN and left > 0:
            left -= sock.send(_CHUNK[: min(left, len(_CHUNK))])
        while wish == _UP and left > 0:
            count = sock.recv_into(room)
            left = left - count if count else 0
        sock.sendall(sock.recv(4) if wish == _TRIP else b".")


@contextmanager
def _agent(folder: Path, behind: int) -> Iterator[Served]:
    port = free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "application": f"127.0.0.1:{behind}",
        "protocol": "tcp",
        "tee": "simulated",
        "image": "benchmark",
        "certificate": {"self_signed": {"names": [_NAME]}},
    }
    (folder / "agent.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "l4proxy", "agent", str(folder / "agent.yaml")]
    with _running(command, port) as pid:
        yield Served(pid, port)


@contextmanager
def _stunnel(folder: Path, behind: int) -> Iterator[Served]:
    port, both = free_port(), folder / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={_NAME}"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "crt.pem")),
        ],
        check=True,
        capture_output=True,
    )
    both.touch(mode=0o600)
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "crt.pem").read_bytes())
    (folder / "stunnel.conf").write_text(
        f"foreground = yes\npid =\ndebug = 3\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        f"[b]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{behind}\ncert = {both}\n",
        encoding="utf-8",
    )
    with _running(["stunnel", str(folder / "stunnel.conf")], port) as pid:
        yield Served(pid, port)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """Run a program once it listens, until the end of the block."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        end = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), _PATIENCE).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                yield process.pid
                return
        sys.exit(f"{command[0]} does not serve")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
