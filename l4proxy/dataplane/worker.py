"""A worker process: sockets and snapshots in, counters out, connections in between.

It has no configuration, no event loop but the engine and nothing to do but peek, decide and relay.
It obeys the channel alone: signals for the process group are the supervisor's to answer. When the
supervisor is gone it stops accepting, finishes what runs, and ends.
"""

import gc
import os
import select
import signal
import socket
import sys
import traceback
from socket import SocketType

from l4proxy.channel import MAX_DESCRIPTORS, Bounds, Channel, ChannelClosed
from l4proxy.dataplane import counters as names
from l4proxy.dataplane.access_log import AccessLog
from l4proxy.dataplane.admission import Admission
from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.connection import Connection
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.listener import Listener
from l4proxy.dataplane.room import Peer
from l4proxy.limits import DOWN_FRAME_BYTES, REPORT_SECONDS, UP_QUEUE_BYTES
from l4proxy.messages import Applied, Listen, Message, Publish, Ready, Stop
from l4proxy.shared_load import TOTAL, SharedLoad
from l4proxy.snapshot import Snapshot, decode_snapshot
from routing import BackendIndex

COLLECT_ALLOCATIONS = 100_000
"""Container objects made and not freed before the collector looks for cycles."""

MAX_TRACEBACKS = 20
"""Tracebacks that one worker writes: a client that finds a bug must not fill a disk with it."""


class Worker:
    """The composition of one worker; implements what connections and listeners ask of it."""

    def __init__(self, channel: Channel, load: SharedLoad, row: int) -> None:
        """Join the parts; `run` serves.

        Args:
            channel: To the supervisor.
            load: The table of all workers.
            row: This worker's row of it.
        """
        self.engine = Engine()
        self.counters = Counters()
        self.load = load
        self.snapshot: Snapshot
        self._before: Snapshot | None = None
        self.backlog = Backlog(0)
        self.admission = Admission()
        self.access_log = AccessLog(self.engine, channel, self.counters)
        self._cells = load.row(row)
        self._listeners: list[Listener] = []
        self._stopping = False
        self._tracebacks = 0
        self._link = _Link(self, channel)
        self._reporter = _Reporter(self, channel)
        self._curfew = _Curfew(self.engine)

    def run(self) -> None:
        """Serve until told to stop and nothing runs any more."""
        self._link.start()
        self._reporter.start()
        self.engine.run()
        # The last words: as much of them as the channel takes, for nobody waits for this process.
        self.access_log.flush()
        self._reporter.report()

    # --- what the supervisor says --------------------------------------------------------------

    def obey(self, message: Message, channel: Channel) -> None:
        """Do what a message from the supervisor says."""
        match message:
            case Publish(version, document):
                self._apply(decode_snapshot(document, self._before))
                channel.send(Applied(version))
            case Listen(addresses):
                for number, fd in enumerate(channel.take(len(addresses))):
                    self._listen(fd, number)
                channel.send(Ready(os.getpid()))
            case Stop(timeout):
                self.stop(timeout)
            case _:
                sys.exit(f"worker: found {type(message).__name__} from the supervisor")

    def stop(self, timeout: float = NEVER) -> None:
        """Accept what waits and no more; end when nothing runs, or after `timeout` seconds."""
        if not self._stopping:
            # The flag comes last: the end of a client accepted here must not end the others.
            while self._listeners:
                self._listeners.pop().close()
            self._stopping = True
            self._curfew.start(timeout)
        if not self._cells[TOTAL]:
            self.engine.stop()

    def _apply(self, snapshot: Snapshot) -> None:
        self.snapshot = self._before = snapshot
        self.backlog.limit = snapshot.settings.buffers
        self.access_log.full_addresses = snapshot.settings.full_addresses

    def _listen(self, fd: int, number: int) -> None:
        sock = socket.socket(fileno=fd)
        listening = SocketType(sock.family, sock.type, sock.proto, sock.detach())
        self._listeners.append(Listener(self.engine, listening, self, number))

    # --- what listeners ask --------------------------------------------------------------------

    def has_room(self) -> bool:
        """Return whether one more connection may be opened, here and in all workers."""
        settings = self.snapshot.settings
        return (
            self._cells[TOTAL] < settings.worker_connections
            and self.load.open_connections() < settings.connections
        )

    def client_accepted(self, sock: SocketType, address: bytes, port: int, number: int) -> None:
        """Begin a connection."""
        entrance = self.snapshot.settings.entrances[number]
        connection = Connection(self, sock, Peer(address, port, entrance))
        self._cells[TOTAL] += 1
        self.counters.add(names.ACCEPTED)
        try:
            connection.begin()
        except Exception as error:  # noqa: BLE001 - the boundary: one connection fails, not the rest
            connection.on_failure(error)

    def accept_paused(self, why: str) -> None:
        """Count a pause of accepting."""
        self.counters.add(names.ACCEPT_PAUSED, why)

    # --- what connections ask ------------------------------------------------------------------

    def take_slot(self, index: BackendIndex) -> None:
        """Count one more connection on a backend, for all workers to see."""
        self._cells[index] += 1

    def free_slot(self, index: BackendIndex) -> None:
        """Count one less."""
        self._cells[index] -= 1

    def connection_ended(self) -> None:
        """Count one open connection less; the last one ends a worker that is stopping."""
        self._cells[TOTAL] -= 1
        if self._stopping and not self._cells[TOTAL]:
            self.engine.stop()

    def report_failure(self, error: Exception) -> None:
        """Count an error nobody foresaw and write its traceback, a bounded number of times."""
        self.counters.add(names.FAILURES, type(error).__name__)
        self._tracebacks += 1
        if self._tracebacks <= MAX_TRACEBACKS:
            traceback.print_exception(error)


class _Link:
    """The channel under the engine's eye."""

    def __init__(self, worker: Worker, channel: Channel) -> None:
        self._worker = worker
        self._channel = channel

    def start(self) -> None:
        self._worker.engine.register(self._channel.fileno(), select.EPOLLIN, self)

    def on_ready(self, _events: int) -> None:
        try:
            self._channel.flush()
            for message in self._channel.receive():
                self._worker.obey(message, self._channel)
        except ChannelClosed:
            self._worker.engine.unregister(self._channel.fileno())
            self._worker.stop()

    def on_failure(self, error: Exception) -> None:
        # What the supervisor says is not hostile: a bug here must end the worker, and be seen.
        raise error


class _Reporter:
    """Sends the counters that changed, once a second."""

    def __init__(self, worker: Worker, channel: Channel) -> None:
        self._worker = worker
        self._channel = channel
        self.deadline = NEVER
        self.scheduled = NEVER

    def start(self) -> None:
        self.deadline = self._worker.engine.now + REPORT_SECONDS
        self._worker.engine.schedule(self)

    def on_deadline(self) -> None:
        self.deadline = self._worker.engine.now + REPORT_SECONDS
        self.report()

    def report(self) -> None:
        try:
            self._channel.flush()
            report = self._worker.counters.changes()
            if report is not None and self._channel.send(report):
                self._worker.counters.reported(report)
        except ChannelClosed:
            self._worker.engine.cancel(self)

    def on_failure(self, error: Exception) -> None:
        raise error


class _Curfew:
    """Ends the loop at the deadline of a stop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.deadline = NEVER
        self.scheduled = NEVER

    def start(self, timeout: float) -> None:
        if timeout != NEVER:
            self.deadline = self._engine.now + timeout
            self._engine.schedule(self)

    def on_deadline(self) -> None:
        self.deadline = NEVER
        self._engine.stop()

    def on_failure(self, error: Exception) -> None:
        raise error


def main(arguments: list[str]) -> int:
    """Run a worker on inherited descriptors: channel, load table; then its row and the rows."""
    channel_fd, load_fd, row, rows = (int(argument) for argument in arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    bounds = Bounds(DOWN_FRAME_BYTES, UP_QUEUE_BYTES, MAX_DESCRIPTORS)
    channel = Channel(socket.socket(fileno=channel_fd), bounds)
    load = SharedLoad(load_fd, rows)
    os.close(load_fd)
    worker = Worker(channel, load, row)
    # Connections leave no cycles behind, so the collector finds nothing and would cost each of them
    # some microseconds; it stays on, rarely, for what libraries leave behind.
    gc.freeze()
    gc.set_threshold(COLLECT_ALLOCATIONS)
    worker.run()
    return 0
