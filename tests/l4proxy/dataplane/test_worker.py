"""A worker: a process of its own that obeys its channel, and one taken apart in this process."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from l4proxy.channel import Bounds, Channel, ChannelClosed
from l4proxy.control.totals import Totals
from l4proxy.dataplane.connection import Connection
from l4proxy.dataplane.counters import ROWS_PER_REPORT
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.room import Peer as Address
from l4proxy.dataplane.room import Room
from l4proxy.dataplane.worker import MAX_TRACEBACKS, MOST_TURNS, Worker
from l4proxy.limits import (
    ACCEPT_PAUSE_SECONDS,
    DOWN_FRAME_BYTES,
    REPORT_SECONDS,
    UP_FRAME_BYTES,
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
)
from l4proxy.shared_load import TOTAL, SharedLoad, create
from l4proxy.shared_sessions import SharedSessions, create_sessions
from l4proxy.snapshot import Entrance, SessionRules, Settings, Snapshot
from l4proxy.snapshot_cbor import encode_snapshot
from routing import BackendIndex, BackendName, Forward, Observation, Why, key_of
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet
from tests.l4proxy.dataplane.room import APP, BUFFERS, logging, snapshot
from tests.sni.hellos import python_hello

HELLO = python_hello("app.example.com")
BOUNDS = Bounds(UP_FRAME_BYTES, DOWN_FRAME_BYTES)
PATIENCE_SECONDS = 20.0


class Process:
    """A worker process, its channel, its listening socket and one backend."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.load_fd = create(2)
        self.load = SharedLoad(self.load_fd, 2)
        sessions_fd = create_sessions(2)
        descriptors = (theirs.fileno(), self.load_fd, sessions_fd)
        arguments = [str(number) for number in (*descriptors, 1, 2)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "l4proxy.dataplane", *arguments],
            pass_fds=descriptors,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        os.close(sessions_fd)
        self.channel = Channel(ours, BOUNDS)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(PATIENCE_SECONDS)
        self.heard: list[Message] = []

    def hear(self, wanted: Callable[[Message], bool]) -> Message:
        """Wait for a message."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not (found := [message for message in self.heard if wanted(message)]):
            left = limit - time.monotonic()
            assert left > 0
            if select.select([self.channel], [], [], left)[0]:
                self.heard += self.channel.receive()
        self.heard.remove(found[0])
        return found[0]

    def start(self, present: Snapshot | None = None) -> None:
        """Let it serve."""
        self.publish(1, present or snapshot(self.server.getsockname()[1]))
        name = str(self.listening.getsockname())
        self.channel.send(Listen((name,)), (self.listening.fileno(),))
        assert self.hear(lambda message: isinstance(message, Ready)) == Ready(self.process.pid)

    def publish(self, version: int, present: Snapshot) -> None:
        """Let it decide by another snapshot."""
        self.channel.send(Publish(version, encode_snapshot(present)))
        assert self.hear(lambda message: isinstance(message, Applied)) == Applied(version)

    def connect(self) -> socket.socket:
        """A client that has said its hello."""
        client = socket.create_connection(self.listening.getsockname(), timeout=PATIENCE_SECONDS)
        client.sendall(HELLO)
        return client

    def converse(self) -> tuple[socket.socket, socket.socket]:
        """A client and its end at the backend, which has heard the hello."""
        client = self.connect()
        backend, _ = self.server.accept()
        backend.settimeout(PATIENCE_SECONDS)
        heard = b""
        while len(heard) < len(HELLO):
            heard += backend.recv(len(HELLO))
        assert heard == HELLO
        return client, backend

    def ended(self) -> int:
        """Wait for the process's end and return its status."""
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End everything."""
        self.process.kill()
        self.process.communicate()
        self.channel.close()
        self.load.close()
        os.close(self.load_fd)
        self.listening.close()
        self.server.close()


@pytest.fixture
def process() -> Iterator[Process]:
    """A worker process."""
    made = Process()
    yield made
    made.close()


def test_a_worker_serves_counts_and_stops(process: Process) -> None:
    """From the first snapshot to the last connection: relayed, seen in the load table, reported."""
    process.start()
    client, backend = process.converse()
    assert process.load.connections(BackendIndex(0)) == 1
    assert process.load.open_connections() == 1
    with process.load.row(1) as row:
        assert (row[0], row[TOTAL]) == (1, 1)
    backend.sendall(b"an answer")
    assert client.recv(100) == b"an answer"
    report = process.hear(_counts("forwarded"))
    assert isinstance(report, Report)
    assert ("forwarded", "app/b0", 1) in report.counters
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process.process.send_signal(number)  # the supervisor's to answer
    process.channel.send(Stop(60.0))
    backend.sendall(b"after the stop")
    assert client.recv(100) == b"after the stop"
    assert process.process.poll() is None
    client.close()
    backend.close()
    assert process.ended() == 0
    assert process.load.open_connections() == 0


def _counts(name: str) -> Callable[[Message], bool]:
    def found(message: Message) -> bool:
        return isinstance(message, Report) and any(row[0] == name for row in message.counters)

    return found


def test_a_stop_without_connections_is_the_end(process: Process) -> None:
    """Nothing runs: the worker ends at once."""
    process.start()
    process.channel.send(Stop(60.0))
    assert process.ended() == 0


def test_a_stop_ends_what_does_not_end(process: Process) -> None:
    """After its time a stopped worker ends whatever runs."""
    process.start()
    client, backend = process.converse()
    process.channel.send(Stop(0.05))
    assert process.ended() == 0
    client.close()
    backend.close()


def test_the_last_words_are_heard(process: Process) -> None:
    """A worker that ends says first what it counted and logged since its last report."""
    process.start(logging(snapshot(process.server.getsockname()[1])))
    client, backend = process.converse()
    process.channel.send(Stop(60.0))
    client.close()
    backend.close()
    assert process.ended() == 0
    with suppress(ChannelClosed):
        while True:
            process.heard += process.channel.receive()
    (line,) = _logged(process.heard)
    assert json.loads(line)["ended"] in {"complete", "client_reset", "backend_reset"}
    assert {row[0] for row in _rows(process.heard)} >= {"accepted", "forwarded", "ended"}


def test_without_a_supervisor_what_runs_is_finished(process: Process) -> None:
    """The end of the channel stops accepting; the last connection's end is the worker's."""
    process.start()
    client, backend = process.converse()
    process.channel.close()
    client.sendall(b"still here")
    assert backend.recv(100) == b"still here"
    assert process.process.poll() is None
    client.close()
    backend.close()
    assert process.ended() == 0


def test_a_snapshot_replaces_the_one_before(process: Process) -> None:
    """After `Applied` new connections are decided by the new snapshot."""
    process.start()
    with socket.create_server(("127.0.0.1", 0)) as other:
        process.publish(2, snapshot(other.getsockname()[1]))
        client = process.connect()
        other.settimeout(PATIENCE_SECONDS)
        backend, _ = other.accept()
        client.close()
        backend.close()


def test_a_worker_that_hears_nonsense_ends(process: Process) -> None:
    """What only a worker may say, said to a worker, ends it with a message."""
    process.channel.send(Ready(1))
    _, errors = process.process.communicate(timeout=PATIENCE_SECONDS)
    assert "found Ready from the supervisor" in errors
    assert process.process.returncode == 1


# --- in this process -----------------------------------------------------------------------------


class Inside:
    """A worker whose engine the test turns."""

    def __init__(self, present: Snapshot, clock: Clock) -> None:
        self.clock = clock
        ours, theirs = socket.socketpair()
        self.ours = Channel(ours, BOUNDS)
        self.theirs = Channel(theirs, Bounds(DOWN_FRAME_BYTES, 1_000, 8))
        self.load_fd = create(1)
        self.load = SharedLoad(self.load_fd, 1)
        memory = create_sessions(1)
        sessions = SharedSessions(memory, 1, 0)
        os.close(memory)
        self.worker = Worker(self.theirs, self.load, sessions, 0)
        self.worker.obey(Publish(1, encode_snapshot(present)), self.theirs)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.sockets: list[socket.socket] = []

    def apply(self, values: Settings) -> None:
        """Let it decide by a snapshot with these settings."""
        changed = replace(self.worker.snapshot, settings=values)
        self.worker.obey(Publish(2, encode_snapshot(changed)), self.theirs)

    def listen(self) -> None:
        """Let it accept."""
        self.ours.send(Listen(("a",)), (self.listening.fileno(),))
        (message,) = self.theirs.receive()
        self.worker.obey(message, self.theirs)

    def connect(self, count: int, said: bytes = b"") -> list[Peer]:
        """Clients that have said this."""
        peers = []
        for _ in range(count):
            sock = socket.create_connection(self.listening.getsockname(), timeout=5)
            self.sockets.append(sock)
            peers.append(Peer(sock))
            peers[-1].say(said)
        return peers

    def close(self) -> None:
        """Close everything; connections that are open meet their deadlines."""
        for sock in (*self.sockets, self.listening):
            sock.close()
        self.worker.stop(0.0)
        quiet(self.worker.engine)
        self.worker.engine.close()
        self.ours.close()
        self.theirs.close()
        os.close(self.load_fd)


@pytest.fixture
def inside(clock: Clock) -> Iterator[Inside]:
    """A worker in this process, with a clock that stands still."""
    made = Inside(snapshot(1), clock)
    made.worker.engine.turn(0)
    yield made
    made.close()


def limited(connections: int, worker_connections: int) -> Snapshot:
    """A snapshot with these limits."""
    present = snapshot(1)
    settings = replace(
        present.settings, connections=connections, worker_connections=worker_connections
    )
    return replace(present, settings=settings)


@pytest.mark.parametrize(("everybody", "alone"), [(3, 100), (100, 3)])
def test_no_more_connections_than_there_is_room_for(
    inside: Inside, everybody: int, alone: int
) -> None:
    """The bound of all workers and that of one both hold; one that ends makes room for another."""
    inside.worker.snapshot = limited(everybody, alone)
    inside.listen()
    # The only backend is down: each hears so, and stays open until it has ended too.
    clients = inside.connect(5, HELLO)
    quiet(inside.worker.engine)
    assert inside.load.open_connections() == 3
    assert ("accept_paused", "connections", 1) in _changes(inside)
    clients[0].reset()
    quiet(inside.worker.engine)
    assert inside.load.open_connections() == 2
    inside.clock.now += ACCEPT_PAUSE_SECONDS
    quiet(inside.worker.engine)
    assert inside.load.open_connections() == 3


def _changes(inside: Inside) -> tuple[tuple[str, str, int], ...]:
    report = inside.worker.counters.changes()
    return () if report is None else report.counters


def test_a_client_that_ends_while_the_queue_is_emptied_ends_nobody_else(inside: Inside) -> None:
    """At a stop the first waiting client is gone already: the worker still serves the second."""
    inside.listen()
    gone, waiting = inside.connect(2)
    gone.reset()
    turns: list[float] = []
    real = inside.worker.engine.turn

    def turn(_: Engine, timeout: float) -> None:
        turns.append(timeout)
        if len(turns) == 5:
            waiting.reset()
        real(0.01)

    inside.ours.send(Stop(60.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "turn", turn)
        inside.worker.run()
    assert len(turns) >= 5
    assert inside.load.open_connections() == 0


def test_connections_are_told_apart_by_their_listener(inside: Inside) -> None:
    """The listeners of one message are the snapshot's entrances, in their order."""
    present = inside.worker.snapshot
    behind = Entrance("10.0.0.1:443", proxied=True, trusted=("127.0.0.0/8",))
    entrances = (Entrance("127.0.0.1:8443"), behind)
    inside.apply(replace(present.settings, entrances=entrances, access_log=True))
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        inside.ours.send(Listen(("a", "b")), (inside.listening.fileno(), other.fileno()))
        (message,) = inside.theirs.receive()
        inside.worker.obey(message, inside.theirs)
        inside.ours.receive()
        for server in (inside.listening, other):
            sock = socket.create_connection(server.getsockname(), timeout=5)
            inside.sockets.append(sock)
            sock.sendall(HELLO)
            quiet(inside.worker.engine)
            sock.close()
            quiet(inside.worker.engine)
    inside.clock.now += 10
    quiet(inside.worker.engine)
    lines = [json.loads(line) for line in _logged(inside.ours.receive())]
    assert [(line["listener"], line["refused"]) for line in lines] == [
        ("127.0.0.1:8443", "no_backend_answered"),
        ("10.0.0.1:443", "proxy_header_missing"),
    ]


def _logged(messages: list[Message]) -> list[str]:
    return [line for message in messages if isinstance(message, Log)
            for line in message.lines.splitlines()]  # fmt: skip


def test_a_snapshot_sets_budget_and_log(inside: Inside) -> None:
    """What one worker may keep for slow readers, and what its log tells of a client."""
    assert inside.worker.backlog.limit == BUFFERS
    assert not inside.worker.access_log.full_addresses
    inside.apply(replace(inside.worker.snapshot.settings, buffers=77, full_addresses=True))
    assert inside.worker.backlog.limit == 77
    assert inside.worker.access_log.full_addresses


def test_an_error_costs_one_connection_and_few_tracebacks(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often a client finds a bug: each is counted, and no disk is filled with it."""
    inside.listen()

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("l4proxy.dataplane.connection.decide", fail)
    for _ in range(MAX_TRACEBACKS + 5):
        inside.connect(1, HELLO)
        quiet(inside.worker.engine, 2)
    quiet(inside.worker.engine)
    assert ("internal_failures", "RuntimeError", MAX_TRACEBACKS + 5) in _changes(inside)
    assert capsys.readouterr().err.count("Traceback") == MAX_TRACEBACKS
    assert inside.load.open_connections() == 0


def test_what_another_worker_has_observed_decides_here(inside: Inside) -> None:
    """A token that the supervisor passes on leads to its owner, of pools that are observed."""
    now = inside.worker.engine.now
    row = Observation(APP, key_of(b"an id"), BackendName("b0"), b"net", now)
    inside.worker.obey(Observed((row,)), inside.theirs)
    assert not _knows(inside, now)
    changed = replace(inside.worker.snapshot, sessions={APP: SessionRules(observes=True)})
    inside.worker.obey(Publish(2, encode_snapshot(changed)), inside.theirs)
    assert _knows(inside, now)


def _knows(inside: Inside, now: float) -> bool:
    seen = inside.worker.observer.seen
    return seen is not None and seen.owner(APP, b"an id", now) == "b0"


def test_housekeeping_is_done_once_a_second(inside: Inside) -> None:
    """A session whose time is over is counted no more."""
    changed = replace(inside.worker.snapshot, sessions={APP: SessionRules(idle=0.5)})
    inside.worker.obey(Publish(2, encode_snapshot(changed)), inside.theirs)
    inside.worker._reporter.start()  # noqa: SLF001 - what `run` does
    backend = changed.pools.pools[APP].backends[0]
    places = inside.worker.places
    session = places.take(Forward(APP, backend, Why.SELECTED, ()), bytes(4))
    places.give_back(session, backend.index)
    assert inside.load.sessions(backend.index) == 1
    inside.clock.now += REPORT_SECONDS
    quiet(inside.worker.engine)
    assert inside.load.sessions(backend.index) == 0


def test_workers_begin_their_turns_anywhere(inside: Inside) -> None:
    """So that several of them do not serve the backends in step."""
    turns = inside.worker.turns
    first = next(turns)
    assert next(turns) == first + 1
    assert 0 <= first < MOST_TURNS


def test_a_listen_without_descriptors_is_refused(inside: Inside) -> None:
    """Names without sockets end the worker: the supervisor is broken."""
    with pytest.raises(MessageError):
        inside.worker.obey(Listen(("a",)), inside.theirs)


def test_a_supervisor_that_does_not_read_costs_no_memory(inside: Inside) -> None:
    """Reports that do not fit are dropped, and what they held is in a later one."""
    worker, engine = inside.worker, inside.worker.engine
    ticks = 0
    worker._link.start()  # noqa: SLF001 - `run` would not return
    worker._reporter.start()  # noqa: SLF001 - as above
    while not inside.theirs.dropped:
        ticks += 1
        assert ticks < 10_000
        for number in range(50):
            worker.counters.add("refused", f"{number}")
        inside.clock.now += 1
        engine.turn(0)
    heard: list[Message] = []
    limit = time.monotonic() + PATIENCE_SECONDS
    while ("refused", "7", ticks) not in _rows(heard):
        assert time.monotonic() < limit
        heard += inside.ours.receive()
        inside.clock.now += 1
        engine.turn(0)


def _rows(messages: list[Message]) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        row for message in messages if isinstance(message, Report) for row in message.counters
    )


def test_reports_end_with_the_channel(inside: Inside) -> None:
    """Without a supervisor nothing is reported, and nothing fails."""
    inside.worker._reporter.start()  # noqa: SLF001 - `run` would not return
    inside.ours.close()
    with pytest.raises(ChannelClosed):
        inside.ours.receive()
    for _ in range(3):
        inside.worker.counters.add("accepted")
        inside.clock.now += 1
        inside.worker.engine.turn(0)
    assert inside.worker._reporter.deadline == float("inf")  # noqa: SLF001 - it must have ended


def test_errors_of_the_parts_that_are_not_connections_end_the_worker(inside: Inside) -> None:
    """A bug in what the supervisor asks for must be seen, not survived."""
    error = RuntimeError("a bug")
    for part in (inside.worker._link, inside.worker._reporter, inside.worker._curfew):  # noqa: SLF001 - the parts
        with pytest.raises(RuntimeError):
            part.on_failure(error)


# --- shed, pruned, cut ---------------------------------------------------------------------------


def test_the_excess_of_a_client_is_shed_before_it_costs(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made for a client that has its bound: it is reset, counted, and has a line."""
    made: list[Connection] = []

    def make(room: Room, sock: socket.SocketType, peer: Address) -> Connection:
        made.append(Connection(room, sock, peer))
        return made[-1]

    monkeypatch.setattr("l4proxy.dataplane.worker.Connection", make)
    inside.apply(replace(inside.worker.snapshot.settings, per_client=2, access_log=True))
    inside.listen()
    inside.ours.receive()
    clients = inside.connect(5, HELLO[:9])
    quiet(inside.worker.engine)
    assert len(made) == 2
    assert inside.load.open_connections() == 2
    assert [client.has_ended() and client.ending for client in clients] == [False] * 2 + [
        "reset"
    ] * 3
    counted = _changes(inside)
    assert ("accepted", "", 5) in counted
    assert ("refused", "client_limit", 3) in counted
    inside.worker.access_log.flush()
    lines = [json.loads(line) for line in _logged(inside.ours.receive())]
    assert [line["refused"] for line in lines] == ["client_limit"] * 3
    clients[0].reset()
    quiet(inside.worker.engine)
    inside.connect(1, HELLO[:9])
    quiet(inside.worker.engine)
    assert len(made) == 3


def test_behind_a_proxy_nobody_is_shed_by_the_proxys_address(inside: Inside) -> None:
    """The bound is on the client that a PROXY header names, which is not known yet."""
    settings = inside.worker.snapshot.settings
    behind = Entrance("127.0.0.1:8443", proxied=True, trusted=("127.0.0.0/8",))
    inside.apply(replace(settings, per_client=1, entrances=(behind,)))
    inside.listen()
    inside.connect(3)
    quiet(inside.worker.engine)
    assert inside.load.open_connections() == 3


def test_whom_no_descriptor_is_left_for_is_counted(inside: Inside) -> None:
    """A client that the spare descriptor ends is reset, and accounted for as any other."""
    inside.connect(1)
    sock, _ = inside.listening.accept()
    inside.worker.client_turned_away(sock, bytes([127, 0, 0, 1]), 0)
    assert sock.fileno() == -1
    assert set(_changes(inside)) == {("accepted", "", 1), ("refused", "no_descriptors", 1)}


def test_counters_of_backends_that_are_gone_are_dropped(inside: Inside) -> None:
    """However many backends come and go: each one's counts are reported, then its room is free."""
    worker = inside.worker
    worker._reporter.start()  # noqa: SLF001 - `run` would not return
    totals = Totals()
    for life in range(1, 6):
        present = snapshot(*range(1, 1 + life))
        worker.obey(Publish(life, encode_snapshot(present)), inside.theirs)
        (backend,) = present.pools.pools[APP].backends[-1:]
        worker.counters.forwarded(Forward(APP, backend, Why.SELECTED, ()))
    worker.obey(Publish(9, encode_snapshot(snapshot(1))), inside.theirs)
    for _ in range(4):
        inside.clock.now += 1
        worker.engine.turn(0)
        for message in inside.ours.receive():
            if isinstance(message, Report):
                totals.take(0, message)
    labels = {label: count for name, label, count in totals if name == "forwarded"}
    assert labels == {"app/b0": 1, "(other)": 4}
    assert set(worker.counters._counts["forwarded"]) == {"app/b0"}  # noqa: SLF001 - that it is bounded is the promise


def test_the_last_report_is_whole(inside: Inside) -> None:
    """More counters than one message takes are all said before the worker ends."""
    count = 2 * ROWS_PER_REPORT + 5
    for number in range(count):
        inside.worker.counters.add("refused", f"{number}")
    heard: list[Message] = []

    def hear() -> None:
        limit = time.monotonic() + PATIENCE_SECONDS
        while len(_rows(heard)) < count and time.monotonic() < limit:
            select.select([inside.ours], [], [], 0.1)
            heard.extend(inside.ours.receive())

    reader = threading.Thread(target=hear)
    reader.start()
    inside.worker._reporter.say_all()  # noqa: SLF001 - `run` would not return
    reader.join(PATIENCE_SECONDS)
    assert len(_rows(heard)) == count


def test_a_lifetime_ends_a_connection_that_talks(process: Process) -> None:
    """In a real worker, too: bytes that move buy no time beyond the pool's lifetime."""
    present = snapshot(process.server.getsockname()[1])
    timeouts = {APP: replace(present.timeouts[APP], lifetime=0.5)}
    process.start(replace(present, timeouts=timeouts))
    client, backend = process.converse()
    with client, backend:
        limit = time.monotonic() + PATIENCE_SECONDS
        with suppress(ConnectionError):
            while client.send(b"?") and backend.recv(1):
                assert time.monotonic() < limit
    process.hear(lambda message: ("ended", "lifetime", 1) in _rows([message]))


def test_what_a_stop_cuts_has_a_line(process: Process) -> None:
    """At the deadline of a stop each connection that runs is counted and logged as cut."""
    process.start(logging(snapshot(process.server.getsockname()[1])))
    client, backend = process.converse()
    with client, backend:
        backend.sendall(b"half an answer")
        assert client.recv(100) == b"half an answer"
        process.channel.send(Stop(0.05))
        assert process.ended() == 0
    with suppress(ChannelClosed):
        while True:
            process.heard += process.channel.receive()
    (line,) = (json.loads(line) for line in _logged(process.heard))
    assert (line["ended"], line["bytes_to_client"]) == ("shutdown", 14)
    assert ("ended", "shutdown", 1) in _rows(process.heard)
