"""The actuator `command`: a program of the operator gets each document on its standard input.

It runs as the daemon's user, without a shell, with an environment of two variables. Status 0 means
that the document took its way. When it ends, or its time is over, or nobody waits for it any more,
what is left of its process group is killed.
"""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

from pydantic import Field, model_validator

from l4proxy.actuators.actuator import ActuatorError
from l4proxy.actuators.events import Event, encoded
from l4proxy.actuators.hook import Hook
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import duration, text
from l4proxy.config.section import Section
from routing import PoolName

MAX_ARGUMENTS: Final = 64
"""Arguments of a command, its program included: more belongs into a script."""

MAX_STDERR_BYTES: Final = 4_096
"""Bytes of a command's standard error that are kept, the last ones: its last line is repeated."""

MAX_LINE: Final = 300
"""Characters of that line in a message: a sentence, and not a page."""

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that a command finds in its environment: what the daemon has there may be secret."""

REAP_SECONDS: Final = 1.0
"""Seconds that the end of a killed command is waited for: only what the kernel holds is late."""

_PIPE_BYTES: Final = 65_536
_ARGUMENT: Final = text("an argument without control characters", r"[^\x00-\x1f\x7f]{0,4096}")


class CommandSettings(Section):
    """Which program, and how long it may take."""

    command: Annotated[
        tuple[Annotated[str, _ARGUMENT], ...], Field(min_length=1, max_length=MAX_ARGUMENTS)
    ]
    """The program, by an absolute path, and its arguments. No shell reads them."""

    timeout: Annotated[float, duration("100ms", "10s")] = 5.0
    """How long it may take for one document; then it is killed."""

    @model_validator(mode="after")
    def _absolute(self) -> "CommandSettings":
        parse_file_path(self.command[0])
        return self


class Command:
    """Makes actuators that start a program."""

    name = "command"
    settings = CommandSettings

    def make(self, settings: CommandSettings, pool: PoolName) -> Hook:
        """Return the actuator of a pool.

        Raises:
            ActuatorError: The program cannot be started by us.

        """
        if not os.access(settings.command[0], os.X_OK):
            found = f"found nothing at {settings.command[0]} that can be started"
            raise ActuatorError(f"the command of pool {pool}: {found}, expected a program")
        return Hook(partial(tell, settings))


async def tell(settings: CommandSettings, event: Event) -> None:
    """Run the program for one document.

    Raises:
        ActuatorError: It could not be started, ended with another status than 0, or took too long.

    """
    program = f"the command {settings.command[0]}"
    try:
        with os.fdopen(os.memfd_create("document"), "wb") as document:
            document.write(encoded(event))
            document.seek(0)
            status, line = await _ended(settings, document.fileno())
    except TimeoutError:
        raise ActuatorError(f"{program}: found it running after {settings.timeout:g} s") from None
    except OSError as error:
        raise ActuatorError(f"{program}: cannot be run: {error}") from error
    if status:
        raise ActuatorError(f"{program}: found status {status}, expected 0: {line}")


async def _ended(settings: CommandSettings, document: int) -> tuple[int, str]:
    """Return the status of the program, and the last line that it wrote to standard error.

    Raises:
        OSError: It cannot be started.
        TimeoutError: It took too long; it is killed.

    """
    output, error = os.pipe2(os.O_CLOEXEC)
    with io.FileIO(output, "rb") as stderr:
        os.set_blocking(output, False)
        with io.FileIO(error, "wb") as writing:
            process = _started(settings, document, writing)
        last = _Last(stderr)
        try:
            async with asyncio.timeout(settings.timeout):
                await _end_of(process.pid, last)
        finally:
            _kill(process)
        last.read()
        return process.returncode, last.line()


def _started(
    settings: CommandSettings, document: int, stderr: io.FileIO
) -> "subprocess.Popen[bytes]":
    # asyncio's own children are reaped as they end, and the number of their group is then free.
    return subprocess.Popen(  # noqa: S603 - the operator's own words, and no shell
        settings.command,
        stdin=document,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


async def _end_of(pid: int, last: "_Last") -> None:
    """Return when a child has ended, which is not reaped yet; what it says is taken meanwhile."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)
    stderr = last.stderr.fileno()

    def read() -> None:
        if not last.read():
            loop.remove_reader(stderr)

    def end() -> None:
        loop.remove_reader(descriptor)
        if not ended.done():  # nobody waits any more who was cancelled in this moment
            ended.set_result(None)

    loop.add_reader(descriptor, end)
    loop.add_reader(stderr, read)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        loop.remove_reader(stderr)
        os.close(descriptor)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a process group, and reap its leader.

    The leader is not reaped before, so that the number of the group is still its own.
    """
    # A program that changed its user may not be killed by us.
    with contextlib.suppress(PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(REAP_SECONDS)


class _Last:
    """The last bytes of a standard error that may have any length."""

    def __init__(self, stderr: io.FileIO) -> None:
        self.stderr = stderr
        self._kept = b""

    def read(self) -> bool:
        """Take what is there; return False at the end."""
        data = self.stderr.read(_PIPE_BYTES)
        self._kept = (self._kept + (data or b""))[-MAX_STDERR_BYTES:]
        return data != b""

    def line(self) -> str:
        """Return the last line, escaped."""
        lines = self._kept.decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return ascii(said[-1])[1:-1][:MAX_LINE] if said else "it says nothing"
