"""Worker processes: each seat is kept occupied.

A seat is what outlives a worker: its listening sockets, its row of the load table, the newest
snapshot. When a worker dies its successor takes the seat and serves the clients who were waiting.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from l4proxy.channel import Bounds, Channel, ChannelClosed
from l4proxy.control.log_writer import DaemonLog
from l4proxy.control.observations import Outbox
from l4proxy.control.totals import Totals
from l4proxy.limits import (
    DOWN_FRAME_BYTES,
    HURRY_SECONDS,
    RESPAWN_SECONDS,
    UP_FRAME_BYTES,
    WORKER_START_SECONDS,
)
from l4proxy.messages import (
    Applied,
    Listen,
    Log,
    Message,
    MessageError,
    Observed,
    Publish,
    Ready,
    Report,
    Stop,
    Unknown,
)
from l4proxy.shared_load import SharedLoad
from routing import Observation, PoolName

log = logging.getLogger(__name__)

SETTLED_SECONDS = 60.0
"""A worker that lived this long is no longer counted as one that keeps dying."""

HANG_UP_SECONDS = 1.0
"""A worker that has closed its channel and lives on for so long is killed: nobody can tell it
anything any more, and its counts are lost."""

_LAST_READS = 64
"""Of the channel of a worker that has ended: 4 MiB, more than the kernel holds between us."""


@dataclass(frozen=True, slots=True)
class Commons:
    """What all seats share.

    Attributes:
        load: The load table.
        load_fd: The descriptor behind it, for workers to inherit.
        sessions_fd: The same of what workers tell each other of sessions.
        rows: Its rows.
        totals: Takes every worker's counters.
        log: Takes every worker's lines of the access log.
        heard: Set whenever a worker has become ready, applied a snapshot, or ended.
        ask: Hears of each pool in which a worker has met a ticket of nobody's.
        spread: Hears what the worker of a seat has observed, for the others.
    """

    load: SharedLoad
    load_fd: int
    sessions_fd: int
    rows: int
    totals: Totals
    log: DaemonLog
    heard: asyncio.Event
    ask: Callable[[PoolName], None]
    spread: Callable[[int, Sequence[Observation]], None]


class Seat:
    """A place for one worker, kept occupied until `stop`.

    Attributes:
        number: The seat's row of the load table.
        pid: The present worker; None while there is none.
        ready: Whether the present worker accepts connections.
        applied: The version of the snapshot by which it decides; 0: none yet.
    """

    def __init__(self, number: int, sockets: tuple[socket.socket, ...], commons: Commons) -> None:
        """Prepare a seat; `occupy` runs it. The sockets are closed by `stop`."""
        self.number = number
        self.pid: int | None = None
        self.ready = asyncio.Event()
        self.applied = 0
        self.deaths = 0
        self._sockets = sockets
        self._commons = commons
        self._newest: Publish | None = None
        self._observed = Outbox()
        self._changed = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._left = asyncio.Event()
        self._stopping: Stop | None = None
        self._patience = 0

    def publish(self, snapshot: Publish) -> None:
        """Let the worker decide by this snapshot; of several in a short time the last is sent."""
        self._newest = snapshot
        self._changed.set()

    def tell(self, observed: Sequence[Observation]) -> None:
        """Let the worker know what another one has observed."""
        self._observed.put(observed, time.monotonic())
        self._changed.set()

    def stop(self, timeout: float) -> None:
        """Let the worker finish what runs, at most `timeout` seconds; then the seat stays empty."""
        self._stopping = Stop(timeout)
        self._changed.set()
        self._left.set()
        for sock in self._sockets:
            sock.close()

    def obeys(self, version: int) -> bool:
        """Return whether no client is served by an older snapshot here."""
        return self.applied >= version or not self.ready.is_set()

    def _over(self) -> bool:
        return self._stopping is not None

    def kill(self) -> None:
        """End the worker now, and cut its connections."""
        if self.pid is not None:
            # It may have ended by itself a moment ago, and nobody has told us yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def occupy(self) -> None:
        """Run workers on this seat, one after the other, until `stop`."""
        loop = asyncio.get_running_loop()
        while not self._over():
            started = loop.time()
            ending = await self._run_worker()
            self._commons.load.clear(self.number)
            self._commons.totals.close(self.number)
            if self._over():
                break
            self.deaths += 1
            settled = loop.time() - started > SETTLED_SECONDS
            self._patience = 0 if settled else min(self._patience + 1, len(RESPAWN_SECONDS))
            wait = RESPAWN_SECONDS[max(0, self._patience - 1)]
            log.error("worker %d ended: %s; replaced in %.1f s", self.number, ending, wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._left.wait()

    async def _run_worker(self) -> str:
        """Run one worker to its end; return how it ended."""
        ours, theirs = socket.socketpair()
        channel = Channel(ours, Bounds(UP_FRAME_BYTES, DOWN_FRAME_BYTES))
        try:
            with theirs:
                process = await self._start(theirs.fileno())
        except OSError as error:
            channel.close()
            return f"not started: {error}"
        self.pid = process.pid
        self._hung_up.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                duties = {"talk": self._talk(channel), "start": self._watch(), "end": self._mourn()}
                running = [
                    tasks.create_task(duty, name=f"seat {self.number}: {name}")
                    for name, duty in duties.items()
                ]
                status = await process.wait()
                for task in running:
                    task.cancel()
            self._hear_out(channel)
        finally:
            # Should this task fail, the worker reads an end of file and finishes what runs.
            self._leave(channel)
        return _ending(status)

    async def _start(self, channel_fd: int) -> asyncio.subprocess.Process:
        commons = self._commons
        inherited = (channel_fd, commons.load_fd, commons.sessions_fd)
        numbers = (*inherited, self.number, commons.rows)
        return await asyncio.create_subprocess_exec(
            # -P: never import from the directory that the daemon happens to stand in.
            *(sys.executable, "-P", "-m", "l4proxy.dataplane", *map(str, numbers)),
            pass_fds=inherited,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )

    def _leave(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(channel.fileno())
        loop.remove_writer(channel.fileno())
        channel.close()
        self.pid = None
        self.ready.clear()
        self.applied = 0
        self._commons.heard.set()

    async def _watch(self) -> None:
        """Kill a worker that does not come up."""
        try:
            async with asyncio.timeout(WORKER_START_SECONDS):
                await self.ready.wait()
        except TimeoutError:
            wait = WORKER_START_SECONDS
            log.warning("worker %d: not ready in %.0f s, killed", self.number, wait)
            self.kill()

    async def _mourn(self) -> None:
        """Kill a worker that lives on without its channel."""
        await self._hung_up.wait()
        await asyncio.sleep(HANG_UP_SECONDS)
        log.warning("worker %d: has closed its channel, killed", self.number)
        self.kill()

    def _hear_out(self, channel: Channel) -> None:
        """Take what a worker that has ended had said before."""
        with contextlib.suppress(ChannelClosed, MessageError):
            for _ in range(_LAST_READS):
                for message in channel.receive():
                    self._take(message)

    async def _talk(self, channel: Channel) -> None:
        """Send the newest snapshot and the sockets, whatever is new, and at last the stop."""
        loop = asyncio.get_running_loop()
        loop.add_reader(channel.fileno(), self._hear, channel)
        listening = False
        sent: Publish | None = None
        while True:
            self._changed.clear()
            # Only into an empty channel: a worker that reads slowly finds the newest, not a queue.
            if self._newest is not None and self._newest is not sent and channel.idle:
                sent = self._newest
                if not self._send(channel, sent):
                    return
            if not listening and self._stopping is None:
                listening = True
                names = tuple(str(sock.getsockname()) for sock in self._sockets)
                fds = tuple(sock.fileno() for sock in self._sockets)
                self._send(channel, Listen(names), fds)
            self._tell(channel)
            if self._stopping is not None:
                self._send(channel, self._stopping)
            await asyncio.sleep(HURRY_SECONDS)
            await self._changed.wait()

    def _tell(self, channel: Channel) -> None:
        observed = self._observed.take() if channel.idle and self._stopping is None else None
        if observed is not None:
            self._send(channel, observed)
            self._changed.set()  # there may be more

    def _send(self, channel: Channel, message: Message, descriptors: tuple[int, ...] = ()) -> bool:
        try:
            channel.send(message, descriptors)
        except ChannelClosed:
            return False  # the process has ended or is about to: `wait` tells
        if not channel.idle:
            loop = asyncio.get_running_loop()
            loop.add_writer(channel.fileno(), self._flush, channel)
        return True

    def _flush(self, channel: Channel) -> None:
        try:
            done = channel.flush()
        except ChannelClosed:
            done = True
        if done:
            asyncio.get_running_loop().remove_writer(channel.fileno())
            self._changed.set()

    def _hear(self, channel: Channel) -> None:
        try:
            for message in channel.receive():
                self._take(message)
        except ChannelClosed:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self._hung_up.set()
        except MessageError as error:
            # A process that handles hostile bytes and talks nonsense is not to be trusted further.
            log.error("worker %d: %s; killed", self.number, error)  # noqa: TRY400 - no bug of ours
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self.kill()

    def _take(self, message: Message) -> None:
        match message:
            case Ready():
                self.ready.set()
                self._commons.heard.set()
            case Applied(version):
                self.applied = version
                self._commons.heard.set()
            case Report():
                self._commons.totals.take(self.number, message)
            case Log(lines):
                self._commons.log.write(lines)
            case Unknown(pool):
                self._commons.ask(pool)
            case Observed(rows):
                self._commons.spread(self.number, rows)
            case _:
                raise MessageError(f"found {type(message).__name__}, which only we may send")


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:  # most real-time signals have no name
        return f"killed by signal {-status}"
