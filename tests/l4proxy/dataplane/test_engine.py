"""The loop: who is told, when, and that one who fails costs nobody else anything."""

import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from l4proxy.dataplane.engine import (
    COMPACTION_FLOOR,
    NEVER,
    READABLE,
    WRITABLE,
    YOUNG_SECONDS,
    Engine,
)
from tests.l4proxy.dataplane.loopback import Clock

Ends = tuple[socket.socket, socket.socket]


class Watcher:
    """Writes down what it is told, then does what the test asks."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.events: list[int] = []
        self.failures: list[Exception] = []
        self.cuts = 0
        self.act = act

    def on_ready(self, events: int) -> None:
        """Note the event."""
        self.events.append(events)
        self.act()

    def on_cut(self) -> None:
        """Do what the test asks."""
        self.cuts += 1
        self.act()

    def on_failure(self, error: Exception) -> None:
        """Note the failure."""
        self.failures.append(error)


class Timed:
    """A thing with a deadline that notes when it was due."""

    def __init__(self, deadline: float, act: Callable[["Timed"], None] | None = None) -> None:
        self.deadline = deadline
        self.scheduled = NEVER
        self.fired: list[float] = []
        self.failures: list[Exception] = []
        self.act = act

    def on_deadline(self) -> None:
        """Note it; by default it was the last one."""
        self.fired.append(self.deadline)
        if self.act is None:
            self.deadline = NEVER
        else:
            self.act(self)

    def on_failure(self, error: Exception) -> None:
        """Note the failure and end."""
        self.failures.append(error)
        self.deadline = NEVER


def heap(engine: Engine) -> int:
    """How many timers the engine remembers, ended ones included."""
    return len(engine._timers)  # noqa: SLF001 - the bound on memory is the promise


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Two connected sockets."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


def test_readiness_is_told_once(engine: Engine, ends: Ends) -> None:
    """Edge-triggered: data that nobody reads is announced once, new data again."""
    near, far = ends
    watcher = Watcher()
    engine.register(near.fileno(), READABLE, watcher)
    far.send(b"a")
    engine.turn(0)
    engine.turn(0)
    assert watcher.events == [select.EPOLLIN]
    far.send(b"b")
    engine.turn(0)
    assert watcher.events == [select.EPOLLIN, select.EPOLLIN]


def test_the_end_of_a_peer_is_told(engine: Engine, ends: Ends) -> None:
    """A peer's end of file is announced together with its data."""
    near, far = ends
    watcher = Watcher()
    engine.register(near.fileno(), READABLE, watcher)
    far.send(b"last words")
    far.shutdown(socket.SHUT_WR)
    engine.turn(0)
    assert watcher.events[0] & select.EPOLLRDHUP


def test_room_to_write_is_told_after_a_change_of_interest(engine: Engine, ends: Ends) -> None:
    """Interest that is changed is reported afresh."""
    near, _ = ends
    watcher = Watcher()
    engine.register(near.fileno(), READABLE, watcher)
    engine.turn(0)
    assert watcher.events == []
    engine.modify(near.fileno(), WRITABLE)
    engine.turn(0)
    assert watcher.events == [select.EPOLLOUT]


def test_a_descriptor_is_handed_over(engine: Engine, ends: Ends) -> None:
    """After a hand-over the successor hears, the predecessor does not."""
    near, far = ends
    first, second = Watcher(), Watcher()
    engine.register(near.fileno(), READABLE, first)
    engine.hand_over(near.fileno(), second)
    far.send(b"a")
    engine.turn(0)
    assert (first.events, second.events) == ([], [select.EPOLLIN])


def test_an_unregistered_descriptor_is_quiet_and_open(engine: Engine, ends: Ends) -> None:
    """Nothing is told of a descriptor that was unregistered, and it may be registered again."""
    near, far = ends
    watcher = Watcher()
    engine.register(near.fileno(), READABLE, watcher)
    engine.unregister(near.fileno())
    far.send(b"a")
    engine.turn(0)
    assert watcher.events == []
    engine.register(near.fileno(), READABLE, watcher)
    engine.turn(0)
    assert watcher.events == [select.EPOLLIN]


def test_a_watcher_forgotten_in_the_same_turn_is_not_told(engine: Engine, ends: Ends) -> None:
    """Of two ready descriptors the first watcher forgets the second: it hears nothing."""
    near, far = ends
    watchers: list[Watcher] = []

    def forget_the_other() -> None:
        for sock in (near, far):
            engine.forget(sock.fileno())

    watchers = [Watcher(forget_the_other), Watcher(forget_the_other)]
    for sock, watcher in zip((near, far), watchers, strict=True):
        engine.register(sock.fileno(), READABLE, watcher)
        sock.send(b"a")
    engine.turn(0)
    assert sum(len(watcher.events) for watcher in watchers) == 1


def test_a_reused_descriptor_hears_its_own_events_too(engine: Engine) -> None:
    """A number closed and given out again in one turn: its new watcher hears of its own data."""
    near, far = socket.socketpair()
    busy, trigger = socket.socketpair()
    fresh = socket.socketpair()
    successor = Watcher()
    number = near.fileno()

    def replace() -> None:
        engine.forget(number)
        near.close()
        os.dup2(fresh[0].fileno(), number)
        fresh[1].send(b"mine")
        engine.register(number, READABLE, successor)

    predecessor = Watcher()
    engine.register(busy.fileno(), READABLE, Watcher(replace))
    engine.register(number, READABLE, predecessor)
    trigger.send(b"a")
    far.send(b"b")
    engine.turn(0)
    told_at_once = len(successor.events)  # a hint that was the predecessor's
    engine.turn(0)
    assert predecessor.events == []
    assert len(successor.events) == told_at_once + 1
    os.close(number)
    for sock in (far, busy, trigger, *fresh):
        sock.close()


def test_a_failing_watcher_is_told_and_others_are_served(engine: Engine, ends: Ends) -> None:
    """An error of one watcher goes to it alone."""
    error = RuntimeError("a bug")

    def fail() -> None:
        raise error

    watchers = [Watcher(fail), Watcher(fail)]
    for sock, watcher in zip(ends, watchers, strict=True):
        engine.register(sock.fileno(), READABLE, watcher)
        sock.send(b"a")
    engine.turn(0)
    assert [watcher.failures for watcher in watchers] == [[error], [error]]


def test_who_gives_way_is_served_in_the_next_turn(engine: Engine) -> None:
    """`again` tells once, as readable, without waiting, and survives a failure."""
    error = RuntimeError("a bug")

    def fail() -> None:
        raise error

    good, bad = Watcher(), Watcher(fail)
    engine.again(bad)
    engine.again(good)
    engine.turn(0)
    engine.turn(0)
    assert good.events == [READABLE]
    assert bad.failures == [error]


def test_giving_way_again_waits_for_the_turn_after(engine: Engine) -> None:
    """A watcher that gives way each time is served once a turn, not for ever in one."""
    watcher = Watcher()
    watcher.act = lambda: engine.again(watcher)
    engine.again(watcher)
    engine.turn(0)
    assert len(watcher.events) == 1
    engine.turn(0)
    assert len(watcher.events) == 2


def test_deadlines_come_in_order_and_not_early(clock: Clock, engine: Engine) -> None:
    """Each deadline is due at its moment, in the order of the moments."""
    order: list[str] = []
    late = Timed(clock.now + 2, lambda timed: _note(timed, order, "late"))
    early = Timed(clock.now + 1, lambda timed: _note(timed, order, "early"))
    engine.schedule(late)
    engine.schedule(early)
    clock.now += 0.999
    engine.turn(0)
    assert order == []
    clock.now += 1.001
    engine.turn(0)
    assert order == ["early", "late"]
    assert heap(engine) == 0


def _note(timed: Timed, order: list[str], name: str) -> None:
    order.append(name)
    timed.deadline = NEVER


def test_a_deadline_moved_later_costs_no_entry(clock: Clock, engine: Engine) -> None:
    """A thing may move its deadline to later a thousand times: one timer, due at the last one."""
    timed = Timed(clock.now + 1)
    engine.schedule(timed)
    for _ in range(1_000):
        timed.deadline += 1
    assert heap(engine) == 1
    clock.now += 1_000.5
    engine.turn(0)
    assert timed.fired == []
    assert heap(engine) == 1
    clock.now += 0.5
    engine.turn(0)
    assert len(timed.fired) == 1


def test_a_deadline_moved_earlier_is_met(clock: Clock, engine: Engine) -> None:
    """Scheduled anew for earlier, a thing is due then, and not once more at the old moment."""
    timed = Timed(clock.now + 100)
    engine.schedule(timed)
    timed.deadline = clock.now + 1
    engine.schedule(timed)
    clock.now += 1
    engine.turn(0)
    assert len(timed.fired) == 1
    clock.now += 100
    engine.turn(0)
    assert len(timed.fired) == 1
    assert heap(engine) == 0


def test_who_lives_on_is_due_again(clock: Clock, engine: Engine) -> None:
    """A thing that moves its deadline when it is due is told again then."""

    def every_second(timed: Timed) -> None:
        timed.deadline += 1

    timed = Timed(clock.now + 1, every_second)
    engine.schedule(timed)
    for _ in range(3):
        clock.now += 1
        engine.turn(0)
    assert len(timed.fired) == 3
    assert heap(engine) == 1


def test_a_failing_deadline_is_told_and_others_are_served(clock: Clock, engine: Engine) -> None:
    """An error of one deadline goes to it alone."""
    error = RuntimeError("a bug")

    def fail(_: Timed) -> None:
        raise error

    bad, good = Timed(clock.now + 1, fail), Timed(clock.now + 1)
    engine.schedule(bad)
    engine.schedule(good)
    clock.now += 1
    engine.turn(0)
    assert bad.failures == [error]
    assert len(good.fired) == 1


def test_a_cancelled_deadline_is_never_due(clock: Clock, engine: Engine) -> None:
    """What has ended hears nothing, and ending twice or unscheduled is no fault."""
    timed, fresh = Timed(clock.now + 1), Timed(clock.now + 1)
    engine.schedule(timed)
    engine.cancel(timed)
    engine.cancel(timed)
    engine.cancel(fresh)
    clock.now += 2
    engine.turn(0)
    assert timed.fired == fresh.fired == []
    assert fresh.deadline == NEVER
    assert heap(engine) == 0


def test_ended_things_do_not_pile_up(engine: Engine) -> None:
    """A hundred thousand short lives leave a bounded heap, and the living keep their deadlines."""
    living = [Timed(engine.now + 3_600 + number) for number in range(100)]
    for timed in living:
        engine.schedule(timed)
    most = 0
    for _ in range(100_000):
        timed = Timed(engine.now + 3_600)
        engine.schedule(timed)
        engine.cancel(timed)
        most = max(most, heap(engine))
    assert most <= 2 * (COMPACTION_FLOOR + len(living))
    timers = engine._timers  # noqa: SLF001 - the heap is the promise
    kept = {entry[2] for entry in timers if entry[0] == entry[2].scheduled}
    assert kept == set(living)


@pytest.mark.parametrize("pauses", [(1.5, 0.5), (0.25,) * 8, (2.0,)])
def test_a_young_thing_is_due_at_its_moment(
    clock: Clock, engine: Engine, pauses: tuple[float, ...]
) -> None:
    """Without a timer at first, and due all the same at its moment, however turns fall."""
    first = Timed(clock.now + 2 * YOUNG_SECONDS)
    engine.schedule_young(first)
    assert heap(engine) == 0
    for pause in pauses[:-1]:
        clock.now += pause
        engine.turn(0)
    assert first.fired == []
    clock.now += pauses[-1]
    engine.turn(0)
    assert len(first.fired) == 1
    assert heap(engine) == 0


def test_a_young_thing_that_lives_on_gets_a_timer(clock: Clock, engine: Engine) -> None:
    """Two generations later it is in the heap, and who comes later is young for as long."""
    old = Timed(clock.now + 100)
    engine.schedule_young(old)
    clock.now += YOUNG_SECONDS
    engine.turn(0)
    new = Timed(clock.now + 100)
    engine.schedule_young(new)
    clock.now += YOUNG_SECONDS
    engine.turn(0)
    assert heap(engine) == 1
    clock.now += YOUNG_SECONDS
    engine.turn(0)
    assert heap(engine) == 2
    clock.now += 100
    engine.turn(0)
    assert len(old.fired) == len(new.fired) == 1


def test_a_young_thing_may_end_or_hurry(clock: Clock, engine: Engine) -> None:
    """Of either generation: what has ended hears nothing, and an earlier deadline is met."""
    for pause in (0.0, YOUNG_SECONDS):
        ended, hurried = Timed(clock.now + 10), Timed(clock.now + 10)
        engine.schedule_young(ended)
        engine.schedule_young(hurried)
        clock.now += pause
        engine.turn(0)
        engine.cancel(ended)
        hurried.deadline = clock.now + 0.5
        engine.schedule(hurried)
        clock.now += 0.5
        engine.turn(0)
        assert len(hurried.fired) == 1
        clock.now += 20
        engine.turn(0)
        assert ended.fired == []
        assert len(hurried.fired) == 1
        assert heap(engine) == 0


def test_a_loop_sleeps_until_the_next_deadline_only(
    clock: Clock, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` waits for ever without a deadline, else until the nearest, and never for `again`."""
    waits: list[float] = []

    def note(timeout: float) -> None:
        waits.append(timeout)
        if len(waits) == 4:
            engine.stop()
        actions[len(waits) - 1]()

    def move() -> None:
        clock.now += 5

    actions: list[Callable[[], None]] = [
        lambda: engine.schedule(Timed(clock.now + 2)),
        move,
        lambda: engine.again(Watcher()),
        lambda: None,
    ]
    monkeypatch.setattr(Engine, "turn", lambda _, timeout: note(timeout))
    engine.run()
    assert waits == [-1, 2.0, 0.0, 0]


def test_a_loop_ends_when_asked(engine: Engine, ends: Ends) -> None:
    """`stop` ends `run` after the present turn."""
    near, far = ends
    watcher = Watcher(engine.stop)
    engine.register(near.fileno(), READABLE, watcher)
    far.send(b"a")
    engine.run()
    assert len(watcher.events) == 1


def test_a_cut_reaches_every_watcher(engine: Engine, ends: Ends) -> None:
    """Each hears of it once, also behind one that fails and one that forgets another."""
    near, far = ends

    def fail() -> None:
        engine.forget(far.fileno())
        raise RuntimeError("a bug")

    first, second = Watcher(fail), Watcher()
    engine.register(near.fileno(), READABLE, first)
    engine.register(far.fileno(), READABLE, second)
    engine.cut()
    assert (first.cuts, len(first.failures)) == (1, 1)
    assert second.cuts == 1
