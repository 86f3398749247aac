"""A trace against a scaler, from beginning to end."""

from itertools import pairwise
from typing import Final, NamedTuple

from l4proxy.scaling import hpa
from l4proxy.scaling.decision import Decision
from l4proxy.scaling.report import COMING, BackendState
from l4proxy.scaling.simulator.scalers import Orders, Scaler
from l4proxy.scaling.simulator.trace import Trace
from l4proxy.scaling.simulator.world import Server, Setting, World

LATE_SECONDS: Final = 1.0
"""What a hello may be parked for: people notice more."""

FLAP_SECONDS: Final = 1800.0
"""A step that is taken back within half an hour is a flap: the backend hardly served a session."""

_HOUR: Final = 3600.0


class Moment(NamedTuple):
    """A pool at a moment, for a plot: seconds, then counts."""

    at: float
    sessions: int
    parked: int
    backends: int
    serving: int
    awake: int
    desired: int


class Result(NamedTuple):
    """What became of a trace.

    Attributes:
        sessions: That arrived.
        refused: After all their patience.
        late: Parked for more than a second, or refused.
        longest: The longest that one was parked and then served, in seconds.
        mean_wait: What those that were parked waited, as a mean; 0 where none was.
        backend_hours: Of all backends, from the order to the end.
        most: Backends at once.
        flaps: Steps that were taken back within `FLAP_SECONDS`.
        broken: Sessions that scale-in ended.
        wakes: Resting backends that the mark woke.
        moments: One a round.

    """

    sessions: int
    refused: int
    late: int
    longest: float
    mean_wait: float
    backend_hours: float
    most: int
    flaps: int
    broken: int
    wakes: int
    moments: tuple[Moment, ...]


def replay(trace: Trace, setting: Setting, scaler: Scaler) -> Result:
    """Replay a trace."""
    world = World(setting)
    moments: list[Moment] = []
    steps: list[hpa.Change] = []
    arrivals = iter(trace.arrivals)
    arrival = next(arrivals, None)
    rounds = int(trace.seconds / scaler.period) + 1
    for number in range(rounds):
        now = number * scaler.period
        while arrival is not None and arrival.at <= now:
            world.advance(arrival.at)
            world.arrive(arrival)
            arrival = next(arrivals, None)
        world.advance(now)
        orders = scaler.round(world.observe(), now)
        before = {server.name for server in world.servers}
        _carry_out(world, orders)
        after = {server.name for server in world.servers}
        if before != after:
            steps.append(hpa.Change(now, len(after) - len(before)))
        moments.append(_moment(world, orders))
    return _result(world, moments, steps, scaler.period)


def _carry_out(world: World, orders: Orders) -> None:
    decision = orders.decision
    if decision is not None:
        _mark(world, decision)
    surplus = len(world.servers) - orders.desired
    if surplus < 0:
        world.boot(-surplus)
    elif decision is not None:
        named = {server.name: server for server in world.servers}
        for name in decision.release[:surplus]:
            world.remove(named[name])
    else:
        for server in _victims(world, spares=orders.spares)[:surplus]:
            world.remove(server)


def _mark(world: World, decision: Decision) -> None:
    world.turn(decision.rest, BackendState.STANDBY)
    world.turn(decision.drain, BackendState.DRAINING)
    world.mark = decision.mark
    world.turn((*decision.cancel, *decision.wake), BackendState.READY)


def _victims(world: World, *, spares: bool) -> list[Server]:
    """Return who goes when nobody says: those not ready, then the youngest, as a ReplicaSet does.

    Where servers with sessions are spared, as Agones spares what is allocated, only empty ones go.
    """
    servers = [server for server in world.servers if not (spares and server.sessions)]
    return sorted(
        servers,
        key=lambda server: (server.state is not BackendState.BOOTING, -server.started_at),
    )


def _moment(world: World, orders: Orders) -> Moment:
    states = [report.state for report in world.observe().backends]
    coming = sum(state in COMING for state in states)
    awake = sum(state in {BackendState.READY, BackendState.FULL} for state in states)
    sessions = sum(len(server.sessions) for server in world.servers)
    return Moment(
        world.now,
        sessions,
        len(world.parked),
        len(states),
        len(states) - coming,
        awake,
        orders.desired,
    )


def _result(world: World, moments: list[Moment], steps: list[hpa.Change], period: float) -> Result:
    tally = world.tally
    parked = [seconds for seconds in tally.waited if seconds > 0]
    late = sum(seconds > LATE_SECONDS for seconds in parked)
    late += sum(world.now - waiting.since > LATE_SECONDS for waiting in world.parked)
    return Result(
        tally.sessions,
        tally.refused,
        tally.refused + late,
        max(parked, default=0.0),
        sum(parked) / len(parked) if parked else 0.0,
        sum(moment.backends for moment in moments[:-1]) * period / _HOUR,
        max(moment.backends for moment in moments),
        _flaps(steps),
        tally.broken,
        tally.wakes,
        tuple(moments),
    )


def _flaps(steps: list[hpa.Change]) -> int:
    return sum(
        first.backends * second.backends < 0 and second.at - first.at < FLAP_SECONDS
        for first, second in pairwise(steps)
    )
