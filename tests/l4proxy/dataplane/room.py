"""What a connection finds around it, played by a test: a real engine, a real snapshot."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from l4proxy.channel import Bounds, Channel
from l4proxy.dataplane.access_log import AccessLog
from l4proxy.dataplane.admission import Admission
from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.closing import Closing
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.holds import Holds
from l4proxy.dataplane.observing import Observer
from l4proxy.dataplane.parking import Parking
from l4proxy.dataplane.places import Places
from l4proxy.dataplane.sessions import Sessions
from l4proxy.dataplane.waits import Waits
from l4proxy.limits import UP_FRAME_BYTES
from l4proxy.messages import Log, Message
from l4proxy.refusal import RefusalStyle
from l4proxy.shared_load import SharedLoad, create
from l4proxy.shared_sessions import SharedSessions, create_sessions
from l4proxy.snapshot import Dialling, Entrance, SessionRules, Settings, Snapshot, Timeouts
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    HostPattern,
    Pool,
    PoolName,
    Pools,
    Route,
    RouteTable,
    TicketNames,
)
from sni import HelloLimits

APP = PoolName("app")
HELLO_TIMEOUT = 5.0
TIMEOUTS = Timeouts(connect=3.0, idle=600.0, half_closed=30.0)
ENTRANCE = Entrance("127.0.0.1:8443")
BUFFERS = 64 << 20
BOUNDS = Bounds(UP_FRAME_BYTES, UP_FRAME_BYTES)


def snapshot(
    *backends: int | Address,
    style: RefusalStyle = RefusalStyle.ALERT,
    ticket_names: TicketNames | None = None,
    capacity: Capacity | None = None,
    hello: HelloLimits | None = None,
    dialling: Dialling | None = None,
) -> Snapshot:
    """`app.example.com` leads to backends `b0`, `b1`, … at these addresses or loopback ports."""
    found = tuple(
        Backend(
            BackendName(f"b{cell}"),
            BackendIndex(cell),
            Address("127.0.0.1", place) if isinstance(place, int) else place,
        )
        for cell, place in enumerate(backends)
    )
    pool = Pool(
        APP, found, Balance.LEAST_SESSIONS, capacity or Capacity(), ticket_names or TicketNames()
    )
    table = RouteTable([Route(HostPattern.parse("app.example.com"), APP)])
    limits = hello or HelloLimits()
    return Snapshot(
        Pools(table, {APP: pool}),
        {APP: TIMEOUTS},
        Settings(style, HELLO_TIMEOUT, limits, 1_000, 1_000, 0, BUFFERS, entrances=(ENTRANCE,)),
        {APP: dialling or Dialling()},
        {APP: SessionRules(by_connections=True)},
    )


def logging(present: Snapshot) -> Snapshot:
    """The same, with an access log."""
    return replace(present, settings=replace(present.settings, access_log=True))


class Room:
    """Counts connections, and notes what failed."""

    def __init__(self, engine: Engine, present: Snapshot) -> None:
        self.engine = engine
        self.counters = Counters()
        self.backlog = Backlog(present.settings.buffers)
        self.admission = Admission()
        self.turns: Iterator[int] = count()
        self.open = 0
        self.failures: list[Exception] = []
        self._ends = socket.socketpair()
        self._supervisor, worker = (Channel(end, BOUNDS) for end in self._ends)
        self.access_log = AccessLog(engine, worker, self.counters)
        memory = create(1), create_sessions(1)
        self.load = SharedLoad(memory[0], 1)
        sessions = Sessions(self.load.sessions_row(0), SharedSessions(memory[1], 1, 0))
        for descriptor in memory:
            os.close(descriptor)
        self._cells = self.load.row(0)
        self.places = Places(engine, self._cells, sessions)
        self.waits = Waits(Holds(engine, worker), Parking(engine, self.counters))
        self.observer = Observer(engine, worker, self.counters)
        self.closing = Closing(engine)
        self.apply(present)

    def apply(self, present: Snapshot) -> None:
        """Let everything go by this snapshot."""
        self.snapshot = present
        self.places.apply(present)
        self.observer.apply(present)
        self.closing.apply(present.pools)

    @property
    def slots(self) -> dict[int, int]:
        """The connections open to each backend, by its cell."""
        return {cell: found for cell, found in enumerate(self._cells) if found}

    def connection_ended(self) -> None:
        """Count one open connection less."""
        assert self.open > 0
        self.open -= 1

    def report_failure(self, error: Exception) -> None:
        """Note the error."""
        self.failures.append(error)

    @property
    def counted(self) -> Mapping[tuple[str, str], int]:
        """Everything counted so far."""
        report = self.counters.changes()
        rows = () if report is None else report.counters
        return {(name, label): count for name, label, count in rows}

    @property
    def balanced(self) -> bool:
        """Whether nothing is open, no slot taken, nobody admitted or waiting, and nothing kept."""
        return (
            self.open == 0
            and not self.slots
            and not self.waits.holds
            and not self.waits.parking
            and nobody(self.admission)
            and nothing(self.backlog)
        )

    def lines(self) -> list[dict[str, object]]:
        """The access log since the last look, each line read as JSON."""
        self.access_log.flush()
        text = "".join(message.lines for message in self.said() if isinstance(message, Log))
        return [json.loads(line) for line in text.splitlines()]

    def said(self) -> list[Message]:
        """Everything said to the supervisor since the last look."""
        return list(self._supervisor.receive())

    def close(self) -> None:
        """Close the channel, and let go of the shared memory, which ends with its last user."""
        for end in self._ends:
            end.close()
        del self.load, self.places, self._cells


def nobody(admission: Admission) -> bool:
    """Whether no table of an admission has an entry."""
    return not admission._clients and not admission._waiting  # noqa: SLF001 - that is the promise


def nothing(backlog: Backlog) -> bool:
    """Whether a backlog counts no byte and has no entry."""
    return backlog.kept == 0 and not backlog._sizes  # noqa: SLF001 - as above
