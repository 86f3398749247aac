"""What a connection finds around it, played by a test: a real engine, a real snapshot."""

import json
import socket
from collections.abc import Mapping
from dataclasses import replace

from l4proxy.channel import Bounds, Channel
from l4proxy.dataplane.access_log import AccessLog
from l4proxy.dataplane.admission import Admission
from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import Engine
from l4proxy.limits import UP_FRAME_BYTES
from l4proxy.messages import Log
from l4proxy.refusal import RefusalStyle
from l4proxy.snapshot import Dialling, Entrance, SessionRules, Settings, Snapshot, Timeouts
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Balance,
    Capacity,
    HostPattern,
    OpenConnections,
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
    """Counts slots and connections, and fails when the test asks for it."""

    def __init__(self, engine: Engine, present: Snapshot) -> None:
        self.engine = engine
        self.snapshot = present
        self.counters = Counters()
        self.backlog = Backlog(present.settings.buffers)
        self.admission = Admission()
        self.load = OpenConnections()
        self.open = 0
        self.failures: list[Exception] = []
        self.slot_error: Exception | None = None
        self._ends = socket.socketpair()
        self._supervisor, worker = (Channel(end, BOUNDS) for end in self._ends)
        self.access_log = AccessLog(engine, worker, self.counters)

    def take_slot(self, index: BackendIndex) -> None:
        """Count a connection to a backend."""
        self.load.opened(index)
        if self.slot_error is not None:
            raise self.slot_error

    def free_slot(self, index: BackendIndex) -> None:
        """Count one less; more than there were is an error."""
        self.load.closed(index)

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
            and not self.load.statistics()
            and nobody(self.admission)
            and nothing(self.backlog)
        )

    def lines(self) -> list[dict[str, object]]:
        """The access log since the last look, each line read as JSON."""
        self.access_log.flush()
        text = "".join(
            message.lines for message in self._supervisor.receive() if isinstance(message, Log)
        )
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        """Close the log's channel."""
        for end in self._ends:
            end.close()


def nobody(admission: Admission) -> bool:
    """Whether no table of an admission has an entry."""
    return not admission._clients and not admission._waiting  # noqa: SLF001 - that is the promise


def nothing(backlog: Backlog) -> bool:
    """Whether a backlog counts no byte and has no entry."""
    return backlog.kept == 0 and not backlog._sizes  # noqa: SLF001 - as above
