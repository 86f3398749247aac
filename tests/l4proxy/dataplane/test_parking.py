"""Promises of `l4proxy.dataplane.parking` and `waits`: who has no backend yet may wait for one."""

from dataclasses import replace

import pytest

from l4proxy.dataplane import parking
from l4proxy.dataplane.counters import PARKED, UNPARKED
from l4proxy.dataplane.parking import LOOK_SECONDS
from l4proxy.snapshot import Snapshot
from routing import Capacity, Pools
from tests.l4proxy.dataplane.loopback import quiet, settle
from tests.l4proxy.dataplane.room import APP, snapshot
from tests.l4proxy.dataplane.stage import HELLO, Stage, use

PARK = 10.0


def parks(stage: Stage, *, healthy: bool = False, sessions: int | None = None) -> Snapshot:
    """A pool with one backend that parks its clients."""
    present = snapshot(stage.ports[0], capacity=Capacity(sessions=sessions))
    pool = present.pools.pools[APP]
    backends = tuple(replace(each, healthy=healthy) for each in pool.backends)
    pools = Pools(present.pools.table, {APP: replace(pool, backends=backends, park=PARK)})
    return replace(present, pools=pools)


def later(stage: Stage, seconds: float = LOOK_SECONDS) -> None:
    """Let so much time pass."""
    stage.clock.now += seconds
    quiet(stage.engine, 2)


def waiting(stage: Stage) -> int:
    """How many hellos wait, by what is counted and by who is there."""
    counted = stage.room.counted
    found = counted.get((PARKED, APP), 0) - counted.get((UNPARKED, APP), 0)
    assert found == len(stage.room.waits.parking)
    return found


def test_a_hello_waits_until_there_is_a_backend(stage: Stage) -> None:
    """It is decided again and again, and served with its first byte untouched."""
    use(stage, parks(stage))
    stage.arrive(HELLO)
    for _ in range(3):
        later(stage)
    assert (waiting(stage), stage.room.slots) == (1, {})
    use(stage, parks(stage, healthy=True))
    later(stage)
    settle(stage.engine, stage.backend().heard_all(HELLO))
    assert (waiting(stage), stage.room.slots) == (0, {0: 1})
    assert stage.room.counted[PARKED, APP] == 1


def test_room_that_a_session_leaves_is_found(stage: Stage) -> None:
    """A pool that is full is waited for as one that is empty."""
    use(stage, parks(stage, healthy=True, sessions=1))
    first, _ = stage.arrive(HELLO)
    settle(stage.engine, stage.backend().heard_all(HELLO))
    stage.arrive(HELLO)
    assert waiting(stage) == 1
    first.reset()
    quiet(stage.engine, 2)
    later(stage)
    assert (waiting(stage), stage.room.slots) == (0, {0: 1})


def test_nobody_waits_for_ever(stage: Stage) -> None:
    """When the time is over the client hears the reason that it would have heard at once."""
    use(stage, parks(stage))
    client, _ = stage.arrive(HELLO)
    later(stage, PARK)
    assert waiting(stage) == 0
    assert stage.room.counted["refused", "no_eligible_backend"] == 1
    settle(stage.engine, client.has_ended)


@pytest.mark.parametrize("leave", ["reset", "finish"])
def test_who_has_left_is_not_waited_with(stage: Stage, leave: str) -> None:
    """A client that hangs up is demand no more."""
    use(stage, parks(stage))
    client, _ = stage.arrive(HELLO)
    {"reset": client.reset, "finish": client.finish}[leave]()
    later(stage)
    assert waiting(stage) == 0
    assert stage.room.counted["refused", "client_reset"] == 1


def test_few_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for whom there is no place are refused at once."""
    monkeypatch.setattr(parking, "MAX_PARKED", 2)
    use(stage, parks(stage))
    for _ in range(4):
        stage.arrive(HELLO)
    assert waiting(stage) == 2
    assert stage.room.counted["refused", "no_eligible_backend"] == 2


def test_few_of_one_client_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not take the places of others, nor scale a pool alone; who leaves makes room."""
    monkeypatch.setattr(parking, "MAX_PARKED_PER_CLIENT", 2)
    use(stage, parks(stage))
    first, _ = stage.arrive(HELLO)
    for _ in range(3):
        stage.arrive(HELLO)
    assert waiting(stage) == 2
    assert stage.room.counted["refused", "no_eligible_backend"] == 2
    first.reset()
    later(stage)
    stage.arrive(HELLO)
    assert waiting(stage) == 2
    assert stage.room.counted["refused", "no_eligible_backend"] == 2


def test_a_bug_in_one_costs_that_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits no more, and is counted no more."""
    use(stage, parks(stage))
    stage.arrive(HELLO)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("l4proxy.dataplane.connection.decide", fail)
    later(stage)
    assert waiting(stage) == 0
    assert len(stage.room.failures) == 1


def test_the_end_of_the_process_ends_them(stage: Stage) -> None:
    """They are counted as everybody who is cut."""
    use(stage, parks(stage))
    stage.arrive(HELLO)
    stage.room.waits.cut()
    assert (waiting(stage), stage.room.balanced) == (0, True)
    assert stage.room.counted["refused", "shutdown"] == 1
