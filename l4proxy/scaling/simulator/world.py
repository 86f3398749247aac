"""Simulated backends: they boot, attest, carry sessions, drain and go."""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from l4proxy.scaling.report import BackendReport, BackendState, Observation
from l4proxy.scaling.simulator.trace import Arrival
from routing import NO_MARK, BackendName, Mark


class Setting(NamedTuple):
    """What is true of a simulated pool.

    Attributes:
        slots: Sessions that a backend carries.
        boot: Seconds until it answers.
        attest: Seconds until it has then proved what it runs.
        backends: How many are there at the beginning.
        patience: Seconds that a hello without room is parked before it is refused.
        utc: The wall clock at the beginning.

    """

    slots: int = 100
    boot: float = 60.0
    attest: float = 30.0
    backends: int = 10
    patience: float = 30.0
    utc: float = 0.0


@dataclass(slots=True, eq=False)
class Server:
    """A simulated backend: its open sessions by number, with when each of them ends."""

    name: BackendName
    started_at: float
    ready_at: float
    state: BackendState
    sessions: dict[int, float] = field(default_factory=dict)


class Waiting(NamedTuple):
    """A parked hello: since when, the session that it wants, and its number."""

    since: float
    seconds: float
    number: int


@dataclass(slots=True)
class Tally:
    """What became of the sessions."""

    sessions: int = 0
    refused: int = 0
    waited: list[float] = field(default_factory=list)
    broken: int = 0
    wakes: int = 0


class World:
    """A pool and its sessions; time moves by `advance`, load by `arrive`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.now = 0.0
        self.servers: list[Server] = []
        self.parked: deque[Waiting] = deque()
        self.tally = Tally()
        self.mark: Mark = NO_MARK
        self._events: list[tuple[float, int, BackendName, Server]] = []
        self._numbers = 0
        self._names = 0
        for _ in range(setting.backends):
            lead = setting.boot + setting.attest
            self._add(Server(self._name(), -lead, 0.0, BackendState.READY))

    def observe(self) -> Observation:
        """Return what a balancer would know."""
        reports = tuple(
            BackendReport(
                server.name,
                self._state(server),
                len(server.sessions),
                None,
                {},
                server.started_at,
                server.ready_at if server.ready_at <= self.now else None,
            )
            for server in self.servers
        )
        return Observation(reports, len(self.parked), self.setting.utc + self.now)

    def _state(self, server: Server) -> BackendState:
        if server.state is BackendState.READY and len(server.sessions) >= self.setting.slots:
            return BackendState.FULL
        if server.state is BackendState.BOOTING:
            answers = server.started_at + self.setting.boot
            return BackendState.ATTESTING if self.now >= answers else BackendState.BOOTING
        return server.state

    def advance(self, until: float) -> None:
        """Let time pass: backends become ready, sessions end, parked hellos are served."""
        while self._events and self._events[0][0] <= until:
            self.now, number, _, server = heappop(self._events)
            if number:
                if server.sessions.pop(number, None) is None:
                    continue
            elif server.state is BackendState.BOOTING:
                server.state = BackendState.READY
            self._unpark()
        self.now = until
        self._unpark()

    def arrive(self, arrival: Arrival) -> None:
        """Let a session begin, now."""
        self.tally.sessions += 1
        self._enter(Waiting(self.now, arrival.seconds, self._number()))

    def boot(self, count: int) -> None:
        """Order backends."""
        for _ in range(count):
            ready_at = self.now + self.setting.boot + self.setting.attest
            server = Server(self._name(), self.now, ready_at, BackendState.BOOTING)
            self._add(server)
            heappush(self._events, (ready_at, 0, server.name, server))

    def turn(self, names: tuple[BackendName, ...], state: BackendState) -> None:
        """Let backends drain, rest or take new sessions."""
        wanted = set(names)
        for server in self.servers:
            if server.name in wanted and server.state is not BackendState.BOOTING:
                server.state = state
        self._unpark()

    def remove(self, server: Server) -> None:
        """Take a backend away; sessions on it break, and their clients come back at once."""
        self.servers.remove(server)
        ends = server.sessions
        server.sessions = {}
        self.tally.broken += len(ends)
        for number, end in ends.items():
            self._enter(Waiting(self.now, end - self.now, number))

    def _enter(self, waiting: Waiting) -> None:
        if self.parked or not self._place(waiting):
            self.parked.append(waiting)

    def _place(self, waiting: Waiting) -> bool:
        """Give a session to the backend with the fewest, and wake whom the mark says."""
        awake = [server for server in self.servers if server.state is BackendState.READY]
        slots = self.setting.slots
        free = len(awake) * slots - sum(len(server.sessions) for server in awake) - 1
        if free < self.mark.below and self.mark.order:
            self._wake(awake, free)
        best = min(awake, key=_sessions, default=None)
        if best is None or len(best.sessions) >= slots:
            return False
        end = self.now + waiting.seconds
        best.sessions[waiting.number] = end
        heappush(self._events, (end, waiting.number, best.name, best))
        self.tally.waited.append(self.now - waiting.since)
        return True

    def _wake(self, awake: list[Server], free: int) -> None:
        named = {server.name: server for server in self.servers}
        below, order = self.mark
        while order and free < below:
            server = named.get(order[0])
            order = order[1:]
            if server is not None and server.state is not BackendState.READY:
                server.state = BackendState.READY
                awake.append(server)
                free += max(0, self.setting.slots - len(server.sessions))
                self.tally.wakes += 1
        self.mark = Mark(below, order)

    def _unpark(self) -> None:
        while self.parked:
            waiting = self.parked[0]
            if self.now - waiting.since > self.setting.patience:
                self.tally.refused += 1
            elif not self._place(waiting):
                return
            self.parked.popleft()

    def _add(self, server: Server) -> None:
        self.servers.append(server)

    def _name(self) -> BackendName:
        self._names += 1
        return BackendName(f"b{self._names:04}")

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _sessions(server: Server) -> int:
    return len(server.sessions)
