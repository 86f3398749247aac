"""Foreign implementations of the PROXY protocol as real processes on sockets of their own.

They listen on Unix sockets, so that no port of the machine can be in their way.
"""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PATIENCE = 20.0
"""Seconds until something that has not happened is taken for broken: far over what it takes."""

REQUEST = b"GET / HTTP/1.0\r\n\r\n"

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen unix:{folder}/nginx.sock proxy_protocol;
        default_type text/plain;
        location / {{ return 200 "{answer}"; }}
    }}
}}
"""
_NGINX_ADDRESSES = (
    "$proxy_protocol_addr|$proxy_protocol_server_addr"
    "|$proxy_protocol_port|$proxy_protocol_server_port"
)
_NGINX_EXTRAS = "|$proxy_protocol_tlv_authority|$proxy_protocol_tlv_unique_id"
_NGINX_WITH_EXTRAS = (1, 23, 2)

_HAPROXY = """
defaults
    timeout client 20s
    timeout server 20s
    timeout connect 20s
frontend reads
    mode http
    bind unix@{folder}/haproxy.sock accept-proxy
    http-request return status 200 content-type text/plain lf-string \
"%[src]|%[dst]|%[src_port]|%[dst_port]|%[fc_pp_authority,hex]|%[fc_pp_unique_id,hex]"
listen writes_v1
    mode tcp
    bind fd@{first}
    server backend unix@{folder}/backend.sock send-proxy
listen writes_v2
    mode tcp
    bind fd@{second}
    unique-id-format %pid-%rt
    server backend unix@{folder}/backend.sock send-proxy-v2 proxy-v2-options crc32c,unique-id
"""


def need(tool: str) -> str:
    """Where a program lies; the test is skipped where it does not."""
    found = shutil.which(tool, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{tool} is not installed: `make test-tools` installs it")
    return found


@cache
def nginx_knows_extras() -> bool:
    """Whether this nginx can tell the extras of a header."""
    run = subprocess.run([need("nginx"), "-v"], capture_output=True, text=True, check=True)
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", run.stderr)
    assert version, run.stderr
    return tuple(map(int, version.groups())) >= _NGINX_WITH_EXTRAS


@contextmanager
def nginx(folder: Path) -> Iterator[Path]:
    """A socket behind which nginx answers with what it has read in the header."""
    program = need("nginx")
    answer = _NGINX_ADDRESSES + (_NGINX_EXTRAS if nginx_knows_extras() else "")
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, answer=answer), encoding="utf-8")
    listening = folder / "nginx.sock"
    with _running([program, "-c", str(config), "-e", str(folder / "nginx.log")], listening):
        yield listening


@contextmanager
def haproxy(folder: Path, *writers: socket.socket) -> Iterator[Path]:
    """A socket behind which HAProxy answers with what it has read in the header.

    What comes in through the writers, two listening sockets, it passes on to ``backend.sock`` in
    the folder, with a header before it: of version 1 and of version 2.
    """
    program = need("haproxy")
    first, second = (writer.fileno() for writer in writers)
    config = folder / "haproxy.cfg"
    text = _HAPROXY.format(folder=folder, first=first, second=second)
    config.write_text(text, encoding="utf-8")
    listening = folder / "haproxy.sock"
    with _running([program, "-db", "-f", str(config)], listening, first, second):
        yield listening


def ask(path: Path, *chunks: bytes) -> bytes:
    """Everything a server behind a Unix socket has to say to these chunks."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        try:
            for chunk in chunks:
                sock.sendall(chunk)
            return to_the_end(sock)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def to_the_end(sock: socket.socket) -> bytes:
    """Reads to the end of file."""
    data = bytearray()
    while part := sock.recv(65_536):
        data += part
    return bytes(data)


@contextmanager
def _running(command: list[str], listening: Path, *descriptors: int) -> Iterator[None]:
    """Starts a server, waits until it listens, and ends it."""
    with subprocess.Popen(
        command,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not _accepts(listening):
                if process.poll() is not None or time.monotonic() > end:
                    process.kill()
                    told = process.communicate()[0]
                    pytest.fail(f"{command[0]} does not listen: {told.decode(errors='replace')}")
                time.sleep(0.02)
            yield
        finally:
            process.kill()


def _accepts(listening: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(listening)) == 0
