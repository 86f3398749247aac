"""The access log's writer: whatever becomes of the file, nobody waits and all lines are counted."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l4proxy.config import Stream
from l4proxy.control import log_writer as module
from l4proxy.control.log_writer import CannotLog, DaemonLog, LogWriter
from l4proxy.limits import LOG_QUEUE_BATCHES

PATIENCE_SECONDS = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def writers() -> int:
    """Threads of writers that are still there."""
    return sum(thread.name == "access log" for thread in threading.enumerate())


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the log is to be; no writer outlives the test."""
    yield tmp_path / "access.log"
    until(lambda: writers() == 0)


@pytest.fixture
def pipe(path: Path) -> Iterator[int]:
    """The reading end of a pipe that stands where the log is to be, and is full."""
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    filler = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(filler, b"x" * 4_096)
    except BlockingIOError:
        os.close(filler)
    yield reading
    os.close(reading)


def test_lines_are_appended_in_order(path: Path) -> None:
    """What is there stays, and what is queued at the end is written."""
    path.write_text("old\n")
    writer = LogWriter(path)
    for number in range(100):
        writer.write(f"{number}\n")
    writer.close()
    assert path.read_text().split() == ["old", *map(str, range(100))]
    assert writer.dropped == 0


def test_a_new_file_is_not_for_everybody(path: Path) -> None:
    """It tells who talks to whom: others may not read it."""
    LogWriter(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_was_moved_is_opened_anew(path: Path) -> None:
    """After a rotation the next line is in the new file, none is lost and none is there twice."""
    writer = LogWriter(path)
    writer.write("before\n")
    until(lambda: path.read_text() == "before\n")
    moved = path.rename(path.with_name("moved"))
    writer.reopen()
    until(path.exists)
    writer.write("after\n")
    writer.close()
    assert (moved.read_text(), path.read_text()) == ("before\n", "after\n")


def test_a_rotation_that_fails_loses_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the new file cannot be opened, lines go on into the old one, and that is said."""
    writer = LogWriter(path)
    moved = path.rename(path.with_name("moved"))
    path.mkdir()
    writer.reopen()
    until(lambda: "stays where it is" in caplog.text)
    writer.write("after\n")
    writer.close()
    assert moved.read_text() == "after\n"


def test_a_reader_that_has_stopped_makes_nobody_wait(
    path: Path, pipe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines beyond the queue are dropped and counted; the end waits no longer than its bound."""
    monkeypatch.setattr(module, "JOIN_SECONDS", 0.05)
    writer = LogWriter(path)
    for _ in range(LOG_QUEUE_BATCHES + 11):
        writer.write("one\ntwo\n")
    # One batch may be with the thread already.
    assert writer.dropped in {2 * 10, 2 * 11}
    writer.close()
    assert writers() == 1

    def read_on() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(pipe, 65_536)
        return writers() == 0

    until(read_on)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_counted() -> None:
    """Lines that the disk does not take are dropped, and the next ones are tried."""
    writer = LogWriter(Path("/dev/full"))
    writer.write("one\ntwo\n")
    writer.write("three\n")
    writer.close()
    assert writer.dropped == 3


def test_a_line_that_was_cut_short_spoils_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk was full in the middle of a line, the next line begins a line of its own."""
    real, room = os.write, [len(b"one\ntw")]

    def write(descriptor: int, data: bytes) -> int:
        if not room:
            return real(descriptor, data)
        taken = min(room[0], len(data))
        room[0] -= taken
        if not taken:
            room.clear()
            raise OSError
        return real(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", write)
    writer = LogWriter(path)
    writer.write("one\ntwo\nthree\n")
    writer.write("four\n")
    writer.close()
    assert path.read_text() == "one\ntw\nfour\n"
    assert writer.dropped == 2


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_cannot_be_opened_is_said_at_once(path: Path, make: Callable[[Path], None]) -> None:
    """A folder, or a pipe that nobody reads, is an error that names it and not a wait."""
    make(path)
    with pytest.raises(CannotLog, match=f"cannot write the access log {path}: "):
        DaemonLog(path)


def test_standard_output_is_a_log(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Lines go there as they are; asked to open anew, it stays."""
    log = DaemonLog(Stream.STDOUT)
    log.reopen()
    log.write("one\n")
    log.close()
    assert capfd.readouterr().out == "one\n"


def test_a_log_that_is_off_takes_everything() -> None:
    """Lines of workers that have not heard of it yet are passed over."""
    log = DaemonLog(None)
    log.write("one\n")
    log.reopen()
    log.turn(None)
    log.close()
    assert log.dropped == 0


def test_a_log_can_turn(path: Path) -> None:
    """To another file, off and on again: each line is where it belonged."""
    other = path.with_name("other.log")
    log = DaemonLog(path)
    log.write("one\n")
    log.turn(other)
    log.write("two\n")
    log.turn(None)
    log.write("nobody's\n")
    until(lambda: writers() == 0)  # else two of them write to the first file, each when it can
    log.turn(path)
    log.write("three\n")
    log.turn(path)
    log.close()
    until(lambda: writers() == 0)
    assert (path.read_text(), other.read_text()) == ("one\nthree\n", "two\n")


def test_a_log_that_cannot_turn_stays(path: Path) -> None:
    """When the new file cannot be opened, all is as it was."""
    log = DaemonLog(path)
    with pytest.raises(CannotLog):
        log.turn(path.parent)
    log.write("one\n")
    log.close()
    assert path.read_text() == "one\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_was_dropped_is_never_forgotten(path: Path) -> None:
    """The count outlives the file that could not take the lines."""
    log = DaemonLog(Path("/dev/full"))
    log.write("one\n")
    until(lambda: log.dropped == 1)
    log.turn(path)
    assert log.dropped == 1
    log.close()
