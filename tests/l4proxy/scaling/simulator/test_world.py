"""Simulated backends."""

from l4proxy.scaling.report import BackendState
from l4proxy.scaling.simulator.trace import Arrival
from l4proxy.scaling.simulator.world import Setting, World
from routing import BackendName, Mark

SMALL = Setting(slots=2, boot=20, attest=10, backends=1, patience=30)
FIRST, SECOND = BackendName("b0001"), BackendName("b0002")


def states(world: World) -> list[BackendState]:
    """What a balancer sees of each."""
    return [report.state for report in world.observe().backends]


def arrive(world: World, count: int, seconds: float = 100) -> None:
    """Let sessions begin."""
    for _ in range(count):
        world.arrive(Arrival(world.now, seconds))


def test_a_backend_boots_attests_and_serves() -> None:
    """Ninety seconds, or what the setting says, and the lead time can be measured from it."""
    world = World(SMALL)
    world.boot(1)
    assert states(world)[1] is BackendState.BOOTING
    world.advance(20)
    assert states(world)[1] is BackendState.ATTESTING
    assert world.observe().backends[1].ready_at is None
    world.advance(30)
    assert states(world)[1] is BackendState.READY
    report = world.observe().backends[1]
    assert report.ready_at is not None
    assert report.ready_at - report.started_at == 30


def test_sessions_go_to_the_backend_with_the_fewest() -> None:
    """And end when they end."""
    world = World(SMALL._replace(backends=2))
    arrive(world, 3)
    assert [report.sessions for report in world.observe().backends] == [2, 1]
    assert states(world)[0] is BackendState.FULL
    world.advance(100)
    assert [report.sessions for report in world.observe().backends] == [0, 0]


def test_a_hello_without_room_waits_or_is_refused() -> None:
    """In order, until a slot is free or patience is over."""
    world = World(SMALL)
    arrive(world, 1, seconds=10)
    arrive(world, 1, seconds=200)
    arrive(world, 3)
    assert world.observe().parked == 3
    world.advance(10)
    assert world.observe().parked == 2
    assert max(world.tally.waited) == 10
    world.advance(31)
    assert (world.tally.refused, world.observe().parked) == (2, 0)


def test_who_drains_or_rests_keeps_its_sessions() -> None:
    """It gets no new one."""
    world = World(SMALL._replace(backends=2))
    arrive(world, 2)
    world.turn((FIRST,), BackendState.DRAINING)
    world.turn((SECOND,), BackendState.STANDBY)
    arrive(world, 1)
    assert [report.sessions for report in world.observe().backends] == [1, 1]
    assert world.observe().parked == 1


def test_the_mark_wakes_in_the_same_instant() -> None:
    """The session that takes the last free slots wakes the next backend, and nobody waits."""
    world = World(SMALL._replace(backends=2))
    world.turn((SECOND,), BackendState.STANDBY)
    world.mark = Mark(1, (BackendName("gone"), SECOND))
    arrive(world, 1)
    assert states(world)[1] is BackendState.STANDBY
    arrive(world, 1)
    assert states(world)[1] is BackendState.READY
    assert world.tally.wakes == 1
    arrive(world, 2)
    assert world.tally.waited == [0, 0, 0, 0]


def test_who_is_removed_breaks_its_sessions() -> None:
    """Their clients come back at once, for the rest of their time."""
    world = World(SMALL._replace(backends=2))
    arrive(world, 2)
    world.advance(40)
    world.remove(world.servers[0])
    assert world.tally.broken == 1
    assert [report.sessions for report in world.observe().backends] == [2]
    world.advance(99)
    assert world.observe().backends[0].sessions == 2
    world.advance(100)
    assert world.observe().backends[0].sessions == 0
