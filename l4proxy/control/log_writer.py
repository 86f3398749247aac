"""The access log's supervisor half: a thread that writes, and a queue that never waits.

A disk that is full or a reader that has stopped blocks that thread alone. What does not fit the
queue, or cannot be written, is dropped and counted.
"""

import contextlib
import logging
import os
import queue
import threading
from pathlib import Path

from l4proxy.config import Stream
from l4proxy.limits import LOG_QUEUE_BATCHES

log = logging.getLogger(__name__)

JOIN_SECONDS = 2.0
"""How long the end of the daemon waits for the last lines."""

_STDOUT = 1
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_MODE = 0o640  # it tells who talks to whom


class CannotLog(OSError):
    """The access log of the configuration cannot be opened."""


class DaemonLog:
    """The access log of one daemon: on, off, or to another place after a reload."""

    def __init__(self, target: Path | Stream | None) -> None:
        """Open it; None: there is none, and what is written to it is passed over.

        Raises:
            CannotLog: It cannot be opened.
        """
        self._target = target
        self._writer = None if target is None else LogWriter(target)
        self._dropped = 0  # by writers that are retired

    @property
    def dropped(self) -> int:
        """Lines that found a queue full, or could not be written, since the daemon started."""
        return self._dropped + (0 if self._writer is None else self._writer.dropped)

    def write(self, lines: str) -> None:
        """Take whole lines; never waits."""
        if self._writer is not None:
            self._writer.write(lines)

    def turn(self, target: Path | Stream | None) -> None:
        """Write there from now on; the file is opened anew when it is still the same.

        Raises:
            CannotLog: It cannot be opened; then all stays as it is.
        """
        if target == self._target:
            self.reopen()
            return
        fresh = None if target is None else LogWriter(target)
        if self._writer is not None:
            self._writer.retire()
            self._dropped += self._writer.dropped
        self._target, self._writer = target, fresh

    def reopen(self) -> None:
        """Open the file anew before the next line: it has been moved away."""
        if self._writer is not None:
            self._writer.reopen()

    def close(self) -> None:
        """Write what is queued, within a bound."""
        if self._writer is not None:
            self._writer.close()


class LogWriter:
    """Writes batches of lines to standard output, or to a file that it reopens when asked."""

    def __init__(self, target: Path | Stream) -> None:
        """Open the log and start the thread, which closes it.

        Args:
            target: A file, appended to, made with mode 0640 if there is none; or standard output.

        Raises:
            CannotLog: The file cannot be opened.
        """
        self._path = target if isinstance(target, Path) else None
        self._descriptor = _STDOUT if self._path is None else _open(self._path)
        self._queue: queue.Queue[str] = queue.Queue(LOG_QUEUE_BATCHES)
        self._reopen = threading.Event()
        self._retired = threading.Event()
        # Two numbers, as each has one thread that counts it.
        self._refused = 0
        self._lost = 0
        self._torn = False  # whether the newest line was cut short
        self._thread = threading.Thread(target=self._write_all, name="access log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that found the queue full, or could not be written."""
        return self._refused + self._lost

    def write(self, lines: str) -> None:
        """Queue whole lines; never waits."""
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            self._refused += lines.count("\n")

    def reopen(self) -> None:
        """Open the file anew before the next line: it has been moved away."""
        self._reopen.set()
        self._wake()

    def retire(self) -> None:
        """End when what is queued is written; does not wait for that."""
        self._retired.set()
        self._wake()

    def close(self) -> None:
        """Retire, and wait for it within a bound: a thread stuck in the kernel is left behind."""
        self.retire()
        self._thread.join(JOIN_SECONDS)

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):  # then it is not asleep
            self._queue.put_nowait("")

    def _write_all(self) -> None:
        while not (self._retired.is_set() and self._queue.empty()):
            lines = self._queue.get()
            if self._reopen.is_set():
                self._reopen.clear()
                self._renew()
            self._write(lines.encode())
        if self._path is not None:
            os.close(self._descriptor)

    def _renew(self) -> None:
        if self._path is None:
            return
        try:
            fresh = _open(self._path)
        except CannotLog as error:
            log.warning("%s; it stays where it is", error)
            return
        os.close(self._descriptor)
        self._descriptor, self._torn = fresh, False

    def _write(self, data: bytes) -> None:
        # A line that was cut short ends here, so that the next one is whole.
        rest = b"\n" + data if self._torn and data else data
        try:
            while rest:
                written = os.write(self._descriptor, rest)
                self._torn = rest[written - 1 : written] != b"\n"
                rest = rest[written:]
        except OSError:
            self._lost += min(rest.count(b"\n"), data.count(b"\n"))


def _open(path: Path) -> int:
    try:
        # A pipe that nobody reads is an error, not a wait.
        descriptor = os.open(path, _FLAGS | os.O_NONBLOCK, _MODE)
    except OSError as error:
        raise CannotLog(f"cannot write the access log {path}: {error.strerror}") from error
    os.set_blocking(descriptor, True)
    return descriptor
