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
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from random import randrange
from socket import SocketType

from l4proxy.channel import MAX_DESCRIPTORS, Bounds, Channel, ChannelClosed
from l4proxy.dataplane import counters as names
from l4proxy.dataplane.access_log import AccessLog, Outcome, Record
from l4proxy.dataplane.admission import Admission
from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.closing import Closing
from l4proxy.dataplane.connection import Connection
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.departures import Departures
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.holds import Holds
from l4proxy.dataplane.linger import reset
from l4proxy.dataplane.listener import Host, Listener
from l4proxy.dataplane.observing import Observer
from l4proxy.dataplane.parking import Parking
from l4proxy.dataplane.places import Places
from l4proxy.dataplane.room import Peer, Room
from l4proxy.dataplane.sessions import Sessions
from l4proxy.dataplane.spare import Spare
from l4proxy.dataplane.stream import Stream
from l4proxy.dataplane.waits import Waits
from l4proxy.limits import (
    DOWN_FRAME_BYTES,
    LAST_WORDS_SECONDS,
    REPORT_SECONDS,
    UP_QUEUE_BYTES,
)
from l4proxy.messages import Applied, Listen, Message, Observed, Publish, Ready, Stop
from l4proxy.refusal import LocalReason
from l4proxy.shared_load import TOTAL, SharedLoad
from l4proxy.shared_sessions import SharedSessions
from l4proxy.snapshot import Snapshot
from l4proxy.snapshot_cbor import decode_snapshot

COLLECT_ALLOCATIONS = 100_000
"""Container objects made and not freed before the collector looks for cycles."""

MOST_TURNS = 1 << 32
"""Workers count turns from anywhere below: from nought, all would serve one backend at a time."""

MAX_TRACEBACKS = 20
"""Tracebacks that one worker writes: a client that finds a bug must not fill a disk with it."""


class Worker(Room, Host):
    """The composition of one worker; implements what connections and listeners ask of it."""

    def __init__(
        self, channel: Channel, load: SharedLoad, sessions: SharedSessions, row: int
    ) -> None:
        """Join the parts; `run` serves.

        Args:
            channel: To the supervisor.
            load: The table of all workers.
            sessions: What workers tell each other of sessions.
            row: This worker's row of both.
        """
        self.engine = Engine()
        self.counters = Counters()
        self.turns: Iterator[int] = count(randrange(MOST_TURNS))  # noqa: S311 - spreads load, guards nothing
        self.load = load
        self.snapshot: Snapshot
        self._before: Snapshot | None = None
        self.backlog = Backlog(0)
        self.admission = Admission()
        self.access_log = AccessLog(self.engine, channel, self.counters)
        self.spare = Spare()
        self.waits = Waits(Holds(self.engine, channel), Parking(self.engine, self.counters))
        self.closing = Closing(self.engine)
        self.observer = Observer(self.engine, None if sessions.alone else channel, self.counters)
        self._departures = Departures()
        self._cells = load.row(row)
        self._open = self._cells[TOTAL]  # written to the cell, not read: that would cost as much
        counted = Sessions(load.sessions_row(row), sessions)
        self.places = Places(self.engine, self._cells, counted)
        self._listeners: list[Listener] = []
        self._stopping = False
        self._tracebacks = 0
        self._link = _Link(self, channel)
        self._reporter = _Reporter(self, channel)
        self._curfew = _Curfew(self)

    def run(self) -> None:
        """Serve until told to stop and nothing runs any more."""
        self._link.start()
        self._reporter.start()
        self.engine.run()
        self.access_log.flush()
        self._reporter.say_all()

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
            case Observed():
                self.observer.hear(message)
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
        if not self._open:
            self.engine.stop()

    def _apply(self, snapshot: Snapshot) -> None:
        before = self._before.pools if self._before is not None else None
        self.waits.holds.apply(snapshot.pools, before)
        self.snapshot = self._before = snapshot
        self.places.apply(snapshot)
        self.observer.apply(snapshot)
        self.closing.apply(snapshot.pools)
        self._departures.apply(snapshot.pools)
        self.backlog.limit = snapshot.settings.buffers
        self.access_log.full_addresses = snapshot.settings.full_addresses

    def _listen(self, fd: int, number: int) -> None:
        sock = socket.socket(fileno=fd)
        listening = SocketType(sock.family, sock.type, sock.proto, sock.detach())
        self._listeners.append(Listener(self.engine, listening, self, number))

    # --- what listeners ask --------------------------------------------------------------------

    def vacancies(self) -> int:
        """Return how many more connections may be opened, here and in all workers."""
        settings = self.snapshot.settings
        return min(
            settings.worker_connections - self._open,
            settings.connections - self.load.open_connections(),
        )

    def client_accepted(self, sock: Stream, address: bytes, port: int, number: int) -> None:
        """Begin a connection."""
        settings = self.snapshot.settings
        entrance = settings.entrances[number]
        # Before anything is made for it: what a flood brings too much of must cost little.
        limit = settings.per_client
        if limit and not entrance.proxied and self.admission.is_full(address, limit):
            self._turn_away(sock, address, number, LocalReason.CLIENT_LIMIT)
            return
        connection = Connection(self, sock, Peer(address, port, entrance))
        self._open += 1
        self._cells[TOTAL] = self._open
        self.counters.add(names.ACCEPTED)
        try:
            connection.begin()
        except Exception as error:  # noqa: BLE001 - the boundary: one connection fails, not the rest
            connection.on_failure(error)

    def client_turned_away(self, sock: Stream, address: bytes, number: int) -> None:
        """Reset and close a client that there is no descriptor for."""
        self._turn_away(sock, address, number, LocalReason.NO_DESCRIPTORS)

    def _turn_away(self, sock: Stream, address: bytes, number: int, reason: LocalReason) -> None:
        """Reset a client at once; it is counted, and logged, as every connection is."""
        self.counters.add(names.ACCEPTED)
        self.counters.add(names.REFUSED, reason.value)
        settings = self.snapshot.settings
        if settings.access_log:
            record = Record(self.engine.now, address, settings.entrances[number].name)
            self.access_log.add(record, Outcome("refused", reason.value))
        reset(sock)
        sock.close()

    def accept_paused(self, why: str) -> None:
        """Count a pause of accepting."""
        self.counters.add(names.ACCEPT_PAUSED, why)

    # --- what connections ask ------------------------------------------------------------------

    def connection_ended(self) -> None:
        """Count one open connection less; the last one ends a worker that is stopping."""
        self._open -= 1
        self._cells[TOTAL] = self._open
        if self._stopping and not self._open:
            self.engine.stop()

    def forget_departed(self) -> None:
        """Let go of the counters of backends that are gone with all their connections."""
        ended = self._departures.ended(self._cells)
        if ended:
            self.counters.forget(ended)

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

    def on_cut(self) -> None:
        pass  # the last words are still to be said

    def on_failure(self, error: Exception) -> None:
        # What the supervisor says is not hostile: a bug here must end the worker, and be seen.
        raise error


class _Reporter:
    """Sends the counters that changed, and does the housekeeping, once a second."""

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
        try:
            self._channel.flush()
            self._worker.places.tick()
            self._worker.forget_departed()
            self._report()
        except ChannelClosed:
            self._worker.engine.cancel(self)

    def say_all(self) -> None:
        """Report everything, if the supervisor reads it in time."""
        with suppress(ChannelClosed):
            while self._channel.drain(LAST_WORDS_SECONDS) and self._report():
                pass

    def _report(self) -> bool:
        """Report what changed, as much as one message takes; whether there was anything."""
        report = self._worker.counters.changes()
        if report is None or not self._channel.send(report):
            return False
        self._worker.counters.reported(report)
        return True

    def on_failure(self, error: Exception) -> None:
        raise error


class _Curfew:
    """Ends the loop at the deadline of a stop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.deadline = NEVER
        self.scheduled = NEVER

    def start(self, timeout: float) -> None:
        if timeout != NEVER:
            self.deadline = self._worker.engine.now + timeout
            self._worker.engine.schedule(self)

    def on_deadline(self) -> None:
        self.deadline = NEVER
        self._worker.waits.cut()
        self._worker.engine.cut()
        self._worker.engine.stop()

    def on_failure(self, error: Exception) -> None:
        raise error


def main(arguments: list[str]) -> int:
    """Run a worker on inherited descriptors: channel, load, sessions; then its row and the rows."""
    channel_fd, load_fd, sessions_fd, row, rows = (int(argument) for argument in arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    bounds = Bounds(DOWN_FRAME_BYTES, UP_QUEUE_BYTES, MAX_DESCRIPTORS)
    channel = Channel(socket.socket(fileno=channel_fd), bounds)
    load = SharedLoad(load_fd, rows)
    sessions = SharedSessions(sessions_fd, rows, row)
    sessions.clear()
    os.close(load_fd)
    os.close(sessions_fd)
    worker = Worker(channel, load, sessions, row)
    # Connections leave no cycles behind, so the collector finds nothing and would cost each of them
    # some microseconds; it stays on, rarely, for what libraries leave behind.
    gc.freeze()
    gc.set_threshold(COLLECT_ALLOCATIONS)
    worker.run()
    return 0
