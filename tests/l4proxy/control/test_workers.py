"""Seats: a worker that ends is replaced, one that cannot be trusted is ended, and stop is the end.

Every worker here is a process of its own: the real one, or one that misbehaves.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from l4proxy.control import workers as module
from l4proxy.control.listeners import bind
from l4proxy.control.log_writer import DaemonLog
from l4proxy.control.totals import Totals
from l4proxy.control.workers import Commons, Seat
from l4proxy.messages import (
    MAX_OBSERVED,
    Applied,
    Listen,
    Log,
    Message,
    Observed,
    Publish,
    Report,
    Unknown,
    encode,
)
from l4proxy.shared_load import TOTAL, SharedLoad, create
from l4proxy.shared_sessions import create_sessions
from l4proxy.snapshot_cbor import encode_snapshot
from routing import Address, BackendName, Observation, PoolName, TokenKey
from tests.l4proxy.dataplane.room import snapshot

PATIENCE_SECONDS = 20.0
SEEN = Observation(PoolName("app"), TokenKey(b"key"), BackendName("a"), b"net", 0.0)
PUBLISH = Publish(1, encode_snapshot(snapshot(1)))


@pytest.fixture
def commons() -> Iterator[Commons]:
    """The load table and the totals of one seat."""
    descriptor, sessions = create(1), create_sessions(1)
    load = SharedLoad(descriptor, 1)
    yield Commons(
        *(load, descriptor, sessions, 1, Totals(), DaemonLog(None), asyncio.Event()),
        ask=lambda _: None,
        spread=lambda *_: None,
    )
    load.close()
    os.close(descriptor)
    os.close(sessions)


@pytest.fixture
async def seat(commons: Commons) -> AsyncIterator[Seat]:
    """A seat with one listening socket and a snapshot, not occupied yet."""
    sockets = tuple(bind(Address("127.0.0.1", 0), 1))
    found = Seat(0, sockets, commons)
    found.publish(PUBLISH)
    yield found
    for sock in sockets:
        sock.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def occupied(seat: Seat) -> AsyncIterator[None]:
    """A seat that is occupied, and stopped after the block."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(seat.occupy())
        try:
            yield
        finally:
            seat.stop(0.0)
            seat.kill()


def worker(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let every worker be this program; `channel` is its socket, `say` sends a frame."""
    program = (
        "import socket, sys, time\n"
        "channel = socket.socket(fileno=int(sys.argv[1]))\n"
        "def say(document): channel.sendall(len(document).to_bytes(4, 'big') + document)\n"
    ) + code

    async def start(_: Seat, channel_fd: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(channel_fd), pass_fds=(channel_fd,)
        )

    monkeypatch.setattr(Seat, "_start", start)


def saying(*messages: Message) -> str:
    """A program that says these messages and stays."""
    return "".join(f"say({encode(message)!r})\n" for message in messages) + "time.sleep(60)\n"


async def test_a_seat_is_occupied_by_a_worker_that_serves(seat: Seat) -> None:
    """The worker gets snapshot and sockets, says that it is ready, and which version it has."""
    async with occupied(seat):
        await until(lambda: seat.ready.is_set() and seat.applied == 1)
        assert seat.pid is not None
        seat.publish(Publish(7, PUBLISH.document))
        await until(lambda: seat.applied == 7)
    assert (seat.applied, seat.ready.is_set(), seat.deaths) == (0, False, 0)


async def test_of_several_snapshots_the_last_is_sent(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots that come faster than they may be sent are skipped, never the last."""
    monkeypatch.setattr(module, "HURRY_SECONDS", 0.3)
    async with occupied(seat):
        await until(lambda: seat.applied == 1)
        for version in range(2, 60):
            seat.publish(Publish(version, PUBLISH.document))
        seen = set()

        def last_applied() -> bool:
            seen.add(seat.applied)
            return seat.applied == 59

        await until(last_applied)
        assert seen <= {1, 59}


async def test_a_stop_lets_the_worker_end_by_itself(
    seat: Seat, caplog: pytest.LogCaptureFixture
) -> None:
    """After a stop the seat is empty, and nobody reports a death."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(seat.occupy())
        await until(seat.ready.is_set)
        seat.stop(30.0)
    assert seat.deaths == 0
    assert caplog.records == []


async def test_a_stop_before_the_worker_is_up(seat: Seat) -> None:
    """A seat that is stopped while its worker starts is empty soon."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(seat.occupy())
        await until(lambda: seat.pid is not None)
        seat.stop(30.0)
    assert seat.deaths == 0


async def test_a_dead_worker_is_replaced(
    seat: Seat, commons: Commons, caplog: pytest.LogCaptureFixture
) -> None:
    """Its cells are cleared, its counts kept, and its successor serves."""
    async with occupied(seat):
        await until(seat.ready.is_set)
        first = seat.pid
        with commons.load.row(0) as row:
            row[0] = row[TOTAL] = 9
        commons.totals.take(0, Report((("accepted", "", 5),)))
        seat.kill()
        await until(lambda: seat.ready.is_set() and seat.pid != first)
        assert seat.deaths == 1
        assert commons.load.open_connections() == 0
        assert commons.totals.count("accepted") == 5
    assert "worker 0 ended: killed by SIGKILL; replaced in 0.0 s" in caplog.text


async def test_one_that_keeps_dying_is_waited_for_longer(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait before a replacement grows to its last step and stays there."""
    monkeypatch.setattr(module, "RESPAWN_SECONDS", (0.0, 0.1, 0.2))
    worker(monkeypatch, "sys.exit(3)")
    async with occupied(seat):
        await until(lambda: seat.deaths == 4)
    waits = [record.getMessage().split()[-2] for record in caplog.records]
    assert waits[:4] == ["0.0", "0.1", "0.2", "0.2"]
    assert "exit status 3" in caplog.text


async def test_one_that_lived_long_is_replaced_at_once(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Deaths far apart do not add up."""
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.0)
    worker(monkeypatch, "sys.exit(3)")
    async with occupied(seat):
        await until(lambda: seat.deaths == 3)
    assert all("replaced in 0.0 s" in record.getMessage() for record in caplog.records)


async def test_one_that_does_not_come_up_is_killed(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that never says it is ready is replaced."""
    monkeypatch.setattr(module, "WORKER_START_SECONDS", 0.1)
    worker(monkeypatch, "time.sleep(60)")
    async with occupied(seat):
        await until(lambda: seat.deaths == 1)
    assert "not ready in 0 s, killed" in caplog.text


async def test_one_that_cannot_be_started_is_tried_again(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine without room for a process costs a wait, not the daemon."""
    real = Seat._start  # noqa: SLF001 - fails once, then is itself again
    failures = [BlockingIOError(11, "Resource temporarily unavailable")]

    async def start(found: Seat, channel_fd: int) -> asyncio.subprocess.Process:
        if failures:
            raise failures.pop()
        return await real(found, channel_fd)

    monkeypatch.setattr(Seat, "_start", start)
    async with occupied(seat):
        await until(seat.ready.is_set)
        assert seat.deaths == 1
    assert "not started: [Errno 11]" in caplog.text


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("channel.sendall(b'GET / HTTP/1.1')", "found a frame of 1195725856 bytes"),
        ("say(b'\\x00')", "found a frame of 1 bytes, expected one of"),
        (
            "say(b'\\x82\\x65ready\\xd8\\x1e\\x82' + (b'\\xc2\\x58\\xff' + b'x' * 255) * 2)",
            "is not CBOR",
        ),
        ("say(b'\\x81' * 100000)", "is not CBOR"),
        (f"say({encode(Publish(1, b''))!r})", "found Publish, which only we may send"),
        (f"say({encode(Listen(('x',)))!r})", "found Listen, which only we may send"),
        ("socket.send_fds(channel, [b'x'], [0] * 100)", "found 100 descriptors"),
        (
            f"say({encode(Report((('a', 'x' * 1_000_00, 1),)))!r})",
            "found a counter of another shape or size",
        ),
    ],
)
async def test_one_that_talks_nonsense_is_killed(
    seat: Seat,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: str,
    found: str,
) -> None:
    """Whatever a worker sends, it ends the worker and not the supervisor."""
    caplog.set_level(logging.ERROR)
    worker(monkeypatch, f"{code}\ntime.sleep(60)\n")
    async with occupied(seat):
        await until(lambda: seat.deaths == 1)
    assert f"{found}" in caplog.text
    assert "killed by SIGKILL" in caplog.text


async def test_numbers_without_measure_harm_nobody(
    seat: Seat, commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large but legal numbers are kept as they are."""
    most = 2**63 - 1
    worker(monkeypatch, saying(Report((("accepted", "", most),)), Applied(most)))
    async with occupied(seat):
        await until(lambda: seat.applied == most)
        assert commons.totals.count("accepted") == most


async def test_one_that_hangs_up_and_ends_is_let_be(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker whose channel closes a moment before it ends has ended by itself."""
    worker(monkeypatch, "channel.close()\ntime.sleep(0.2)\nsys.exit(3)\n")
    async with occupied(seat):
        await until(lambda: seat.deaths == 1)
    assert "worker 0 ended: exit status 3" in caplog.text


async def test_one_that_hangs_up_and_lives_is_killed(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that nobody can tell anything any more is replaced."""
    monkeypatch.setattr(module, "HANG_UP_SECONDS", 0.1)
    worker(monkeypatch, "channel.close()\ntime.sleep(60)\n")
    async with occupied(seat):
        await until(lambda: seat.deaths == 1)
    assert "worker 0: has closed its channel, killed" in caplog.text


async def test_a_stop_does_not_wait_for_the_next_worker(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seat that waits to replace a worker is empty as soon as it is stopped."""
    monkeypatch.setattr(module, "RESPAWN_SECONDS", (10 * PATIENCE_SECONDS,))
    worker(monkeypatch, "sys.exit(3)")
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(seat.occupy())
        await until(lambda: seat.deaths == 1)
        seat.stop(0.0)


async def test_the_last_words_of_a_worker_are_heard(
    seat: Seat, commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the channel when a worker has ended counts, though its end is known first."""
    monkeypatch.setattr(Seat, "_hear", lambda *_: None)  # the loop never gets to read it
    rows = tuple(("refused", f"{number}", 1) for number in range(3_000))
    words = "".join(f"say({encode(Report((row,)))!r})\n" for row in (("accepted", "", 5),))
    worker(monkeypatch, f"{words}say({encode(Report(rows))!r})\nsys.exit(0)")
    async with occupied(seat):
        await until(lambda: seat.deaths >= 1)
    assert commons.totals.count("accepted") >= 5
    assert commons.totals.count("refused", "2999") >= 1


async def test_one_that_does_not_read_delays_nobody(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that a busy worker has not read waits in the queue and arrives whole."""
    read = "time.sleep(0.3)\nwhile channel.recv(65536): pass\n"
    worker(monkeypatch, read)
    seat.publish(Publish(1, bytes(5_000_000)))
    async with occupied(seat):
        await until(lambda: seat.pid is not None)
        await asyncio.sleep(0.5)
        assert seat.deaths == 0


async def test_a_real_time_signal_has_a_text_too(
    seat: Seat, caplog: pytest.LogCaptureFixture
) -> None:
    """A death by a signal without a name is a death like any other."""
    async with occupied(seat):
        await until(seat.ready.is_set)
        assert seat.pid is not None
        os.kill(seat.pid, signal.SIGRTMIN + 3)
        await until(lambda: seat.deaths == 1)
    assert f"killed by signal {signal.SIGRTMIN + 3}" in caplog.text


async def test_killing_nobody_is_no_fault(seat: Seat) -> None:
    """Neither an empty seat nor a process that has just ended makes `kill` fail."""
    seat.kill()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    seat.pid = process.pid
    seat.kill()
    seat.pid = None


def test_a_seat_closes_its_sockets_when_it_stops(commons: Commons) -> None:
    """After a stop nothing of the supervisor's keeps the queue alive."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        Seat(0, (sock,), commons).stop(0.0)
        assert sock.fileno() == -1


async def test_lines_of_the_access_log_are_passed_on(
    seat: Seat, commons: Commons, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a worker logs is written where the configuration says."""
    path = tmp_path / "access.log"
    commons.log.turn(path)
    frame = encode(Log("one\ntwo\n"))
    worker(monkeypatch, f"say({frame!r})\ntime.sleep(60)")
    async with occupied(seat):
        await until(lambda: path.read_text() == "one\ntwo\n")
    commons.log.close()


async def test_a_worker_asks_and_tells(
    seat: Seat, commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown name is asked about, what was observed is passed on with the seat's number."""
    heard = list[object]()
    curious = replace(commons, ask=heard.append, spread=lambda *told: heard.append(told))
    monkeypatch.setattr(seat, "_commons", curious)
    worker(monkeypatch, saying(Unknown(PoolName("app")), Observed((SEEN,))))
    async with occupied(seat):
        await until(lambda: heard == ["app", (0, (SEEN,))])


async def test_a_worker_is_told_what_others_observed(
    seat: Seat, commons: Commons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything arrives, in order, in as many messages as it takes."""
    heard = list[Observation]()
    curious = replace(commons, spread=lambda _, rows: heard.extend(rows))
    monkeypatch.setattr(seat, "_commons", curious)
    echo = (
        "def read(count):\n"
        "    data = b''\n"
        "    while len(data) < count: data += channel.recv(count - len(data))\n"
        "    return data\n"
        "while True:\n"
        "    frame = read(int.from_bytes(read(4), 'big'))\n"
        "    if b'observed' in frame[:12]: say(frame)\n"
    )
    worker(monkeypatch, echo)
    rows = [SEEN._replace(seen_at=float(number)) for number in range(MAX_OBSERVED + 5)]
    seat.tell(rows)
    async with occupied(seat):
        await until(lambda: len(heard) == len(rows))
        seat.tell([SEEN])
        await until(lambda: len(heard) > len(rows))
    assert heard == [*(row for row in rows), SEEN]


async def test_whoever_waits_for_a_worker_hears_of_it(seat: Seat, commons: Commons) -> None:
    """A seat obeys a version when its worker has applied it, or serves nobody."""
    assert seat.obeys(7)
    async with occupied(seat):
        await until(seat.ready.is_set)
        assert commons.heard.is_set()
        assert seat.obeys(1)
        assert not seat.obeys(2)
        commons.heard.clear()
        seat.publish(Publish(2, PUBLISH.document))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await commons.heard.wait()
        assert seat.obeys(2)
