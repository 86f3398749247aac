"""The load: one small C program, compiled when it is first needed, that answers and asks."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from beside.hello import make_hello

SOURCE = Path(__file__).with_name("load.c")
PATIENCE = 300.0
"""Seconds after which a drive has failed."""

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Drive:
    """What one drive of the load has seen.

    Attributes:
        done: Connections, or round trips over held connections.
        bad: How many of them did not end as they should.
        seconds: Wall time.
        p50_us: Median microseconds from the connect to the last byte of the answer.
        p99_us: The same, exceeded by one in a hundred.
        cpu_seconds: What the asking side itself has cost.
    """

    done: int
    bad: int
    seconds: float
    p50_us: float
    p99_us: float
    cpu_seconds: float


class Load:
    """The compiled program and the hello that it says."""

    def __init__(self, folder: Path) -> None:
        """Compile into `folder`, unless it holds the program of this source already."""
        folder.mkdir(parents=True, exist_ok=True)
        self._program = folder / "load"
        self._hello = folder / "hello.bin"
        self._hello.write_bytes(make_hello())
        if _older(self._program, SOURCE):
            command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(self._program), str(SOURCE)]
            subprocess.run(command, check=True)

    @contextmanager
    def backend(self, *ports: int) -> Iterator[int]:
        """Answer on these ports of 127.0.0.1; yields the process id."""
        command = [str(self._program), "serve", _HOST, *map(str, ports)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                _line(process.stdout)
                yield process.pid
            finally:
                process.kill()

    def drive(self, port: int, **plan: int) -> Drive:
        """Ask on a port of 127.0.0.1; the words of the plan stand in load.c.

        Raises:
            RuntimeError: Some of it did not end as it should: the figures would mean nothing.
        """
        command = self._command(port, plan)
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        return _read(run.stdout)

    @contextmanager
    def holding(self, port: int, hold: int, **plan: int) -> Iterator["Held"]:
        """Hold so many idle connections open for as long as the context lasts."""
        command = self._command(port, {"hold": hold, **plan})
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            try:
                yield Held(process)
            finally:
                process.kill()

    def _command(self, port: int, plan: dict[str, int]) -> list[str]:
        words = [f"{key}={value}" for key, value in plan.items()]
        return [str(self._program), "drive", _HOST, str(port), str(self._hello), *words]


class Held:
    """Idle connections that a process holds open, and the drive that it keeps ready."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Wait until all of them are open.

        Raises:
            RuntimeError: Some of them could not be opened.
        """
        self._process = process
        word, _, _, bad = _line(process.stdout).split()
        if word != "held" or bad != "0":
            raise RuntimeError(f"{bad} of the idle connections could not be held")

    def drive(self) -> Drive:
        """Do now what the plan says beside them, once."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the load was started without its standard input")
        stdin.write("\n")
        stdin.flush()
        return _read(_line(self._process.stdout))


def _older(made: Path, source: Path) -> bool:
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def _line(stream: IO[str] | None) -> str:
    line = stream.readline() if stream else ""
    if not line:
        raise RuntimeError("the load ended before it said a word")
    return line


def _read(text: str) -> Drive:
    drive = Drive(**json.loads(text))
    if drive.bad:
        raise RuntimeError(f"{drive.bad} of {drive.done} did not end as they should")
    return drive
