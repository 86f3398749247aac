"""Servers and tools that others wrote, as processes that end with their test."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until


def tool(name: str) -> str:
    """The path of a program, or a skip that names it."""
    places = ("/usr/sbin:/sbin", str(Path(sys.executable).parent))
    paths = (shutil.which(name), *(shutil.which(name, path=place) for place in places))
    found = next((path for path in paths if path is not None), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def serving(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """A server that runs in a folder until the end of the block and is reached on its port."""
    log = folder / "server.log"
    with log.open("wb") as file:
        running = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        what = f"{command[0]} listens on {port}"
        until(what, lambda: _listens(port) or running.poll() is not None, log=log)
        assert running.poll() is None, log.read_text(encoding="utf-8", errors="replace")
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
