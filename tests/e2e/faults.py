"""Faults that tests bring about: a network of their own, backends that never answer a connect."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_NEW_NETWORK = 0x4000_0000  # CLONE_NEWNET, unshare(2); the os module knows it from 3.12 on
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network() -> Iterator[None]:
    """A network with a loopback and nothing else, for this thread and what it starts.

    The test is skipped where that is not allowed.
    """
    if shutil.which("ip", path=_PROGRAMS) is None:
        pytest.skip("ip is not installed: `make test-tools` installs it")
    with Path("/proc/thread-self/ns/net").open("rb") as usual:
        if _LIBC.unshare(_NEW_NETWORK):
            why = os.strerror(ctypes.get_errno())
            pytest.skip(f"a network namespace of its own takes root: {why}")
        try:
            ip("link", "set", "lo", "up")
            yield
        finally:
            assert not _LIBC.setns(usual.fileno(), _NEW_NETWORK)


def ip(*words: str) -> None:
    """Changes the network of this thread."""
    program = shutil.which("ip", path=_PROGRAMS)
    assert program is not None
    subprocess.run([program, *words], check=True)


def vanish(address: str) -> None:
    """Lets all that goes to an address, or comes from it, disappear without a word."""
    ip("route", "add", "blackhole", f"{address}/32", "table", "local")


@contextmanager
def black_hole() -> Iterator[str]:
    """An address, as configurations write it, whose queue is full: no connect is answered."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        host, port = listening.getsockname()
        for _ in range(2):  # the kernel takes one more than the backlog
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((host, port))
        yield f"{host}:{port}"


_PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
