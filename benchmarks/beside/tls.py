"""Whole TLS requests: wrk asks an nginx, each request on a connection of its own."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from beside.bench import Bench, say
from beside.load import Drive
from beside.results import DIRECT, Measure
from beside.running import Running, running, started
from tests.ports import free_port

TLS_RATE = Measure("tls_rate", "TLS requests a second, one worker", "1/s", None, None, 0)
TLS_CPU = Measure("tls_cpu", "… CPU of the proxy per request", "µs")
TLS_TWO_RATE = Measure("tls_two_rate", "TLS requests a second, two workers", "1/s", None, None, 0)
TLS_TWO_CPU = Measure("tls_two_cpu", "… CPU of the proxy per request", "µs")

CONNECTIONS = 32

_DONE = re.compile(r"(\d+) requests in ([\d.]+)s")
_FAULT = re.compile(r"Socket errors.*|Non-2xx.*")


def measure_tls(bench: Bench) -> None:
    """Requests through one worker, then through two; and without a proxy."""
    if not all(map(shutil.which, ("wrk", "nginx", "openssl"))):
        say("wrk, nginx or openssl is not here: no TLS requests")
        return
    with _https() as port:
        for workers, cpu, rate in ((1, TLS_CPU, TLS_RATE), (2, TLS_TWO_CPU, TLS_TWO_RATE)):
            with ExitStack() as stack:
                proxies = [
                    stack.enter_context(running(peer, (port,), workers=workers))
                    for peer in bench.taking_part()
                ]
                _rounds(bench, proxies, port, (cpu, rate))


def _rounds(
    bench: Bench, proxies: list[Running], port: int, measures: tuple[Measure, Measure]
) -> None:
    of_cpu, of_rate = measures

    def step(proxy: Running) -> None:
        drive, spent = bench.spend(proxy, lambda: _wrk(bench, proxy.port))
        each = spent.total / drive.done * 1e6
        bench.results.add(of_cpu.key, proxy.peer.name, each)
        bench.results.add(of_rate.key, proxy.peer.name, drive.done / drive.seconds)
        say(f"  tls      {proxy.peer.name:15} {each:9.2f} µs")

    for _ in range(2):
        direct = _wrk(bench, port)
        bench.results.add(of_rate.key, DIRECT, direct.done / direct.seconds)
    bench.interleave(proxies, step)


def _wrk(bench: Bench, port: int) -> Drive:
    seconds = f"{max(1, bench.some(3))}s"
    shape = ["-t", "1", "-c", str(CONNECTIONS), "-d", seconds, "-H", "Connection: close"]
    command = ["wrk", *shape, f"https://localhost:{port}/"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    done = _DONE.search(run.stdout)
    fault = _FAULT.search(run.stdout)
    if done is None or fault is not None:
        raise RuntimeError(f"wrk: {run.stdout}")
    return Drive(int(done[1]), 0, float(done[2]), 0, 0, 0)


@contextmanager
def _https() -> Iterator[int]:
    """An nginx that answers requests over TLS; yields its port."""
    with TemporaryDirectory(prefix="bench-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        _certify(folder)
        port = free_port()
        (folder / "nginx.conf").write_text(_configuration(folder, port), encoding="utf-8")
        with started(["nginx", "-p", name, "-c", f"{name}/nginx.conf"], port, folder):
            yield port


def _certify(folder: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
    subject = ["-subj", "/CN=localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", *key, *files, *subject]
    subprocess.run(command, check=True, capture_output=True)


def _configuration(folder: Path, port: int) -> str:
    return f"""
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{ return 200 "{"x" * 300}"; }}
  }}
}}
"""
