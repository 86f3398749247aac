"""The worker's loop: ready descriptors and due deadlines, nothing else.

A plain epoll loop, edge-triggered, one watcher a descriptor. It knows no connection: it tells
watchers that their descriptor is ready and things with a deadline that it is due. Edge-triggered
registration costs one system call in a socket's life; level-triggered interest would have to be
changed at every end of file and every full buffer.
"""

import heapq
import select
import time
from typing import Final, Protocol

from l4proxy.dataplane.epoll import Link, epoll, link
from l4proxy.dataplane.stream import Stream

READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLPRI | select.EPOLLET
"""Interest of a socket that we read: data, urgent data among them, or the peer's end."""

WRITABLE: Final = READABLE | select.EPOLLOUT
"""Interest of a socket that also waits for room to write, or for its connect to finish."""

EVENTS_PER_TURN: Final = 256
"""Descriptors served between two looks at the clock: bounds how late a deadline can be noticed."""

COMPACTION_FLOOR: Final = 1_024
"""Timers of ended things that are let lie before the heap is rebuilt without them."""

YOUNG_SECONDS: Final = 1.0
"""For so long at least a new thing needs no timer: most connections have ended by then."""

NEVER: Final = float("inf")
"""The deadline of a thing that waits for no deadline any more."""


class Watcher(Protocol):
    """What the engine calls for a descriptor."""

    __slots__ = ()

    def on_ready(self, events: int) -> None:
        """Serve the descriptor. `events` (epoll bits) is a hint: only the system call is the truth.

        A descriptor number may be closed and given out again within one turn, so a watcher can hear
        of an event that was its predecessor's.
        """

    def on_cut(self) -> None:
        """End what this watcher serves, for the process ends."""

    def on_failure(self, error: Exception) -> None:
        """End what this watcher serves: one of its own calls raised an error nobody foresaw."""


class Timed(Protocol):
    """A thing with a deadline, which it may move to later at no cost."""

    deadline: float
    """Monotonic seconds at which `on_deadline` is due; `NEVER` once the thing has ended."""

    scheduled: float
    """The deadline under which the engine has it; only the engine writes it after the start."""

    def on_deadline(self) -> None:
        """Act on the deadline; a thing that lives on has moved its deadline when this returns."""

    def on_failure(self, error: Exception) -> None:
        """End: `on_deadline` raised an error nobody foresaw."""


class Engine:
    """An epoll instance, its watchers and its timers, served by one thread.

    Attributes:
        now: Monotonic seconds at the start of this turn. One clock reading serves a whole turn.
    """

    __slots__ = (
        "_again",
        "_ended",
        "_epoll",
        "_older",
        "_running",
        "_sequence",
        "_timers",
        "_watchers",
        "_young",
        "_youth_over",
        "now",
    )

    def __init__(self) -> None:
        """Create the epoll instance; `close` releases it."""
        self._epoll = epoll()
        self._watchers: list[Watcher | None] = []  # by descriptor: small numbers, given out anew
        self._timers: list[tuple[float, int, Timed]] = []
        self._young: set[Timed] = set()
        self._older: set[Timed] = set()
        self._youth_over = NEVER
        self._again: list[Watcher] = []
        self._sequence = 0
        self._ended = 0
        self._running = False
        self.now = time.monotonic()

    def register(self, fd: int, events: int, watcher: Watcher) -> None:
        """Tell `watcher` whenever `fd` becomes ready."""
        self._epoll.register(fd, events)
        watchers = self._watchers
        if fd >= len(watchers):
            watchers += [None] * (fd + 1 - len(watchers))
        watchers[fd] = watcher

    def hand_over(self, fd: int, watcher: Watcher) -> None:
        """Give a registered descriptor to another watcher: no system call."""
        if fd < 0:
            raise ValueError("a closed descriptor cannot be handed over")
        self._watchers[fd] = watcher

    def modify(self, fd: int, events: int) -> None:
        """Change the interest of a registered descriptor; readiness is reported afresh."""
        self._epoll.modify(fd, events)

    def link(self, source: Stream, sink: Stream) -> Link | None:
        """Let what comes of a registered source be copied without its watcher, if that can be."""
        return link(self._epoll, source, sink)

    def unregister(self, fd: int) -> None:
        """Stop watching a descriptor that stays open."""
        self._epoll.unregister(fd)
        self.forget(fd)

    def forget(self, fd: int) -> None:
        """Drop the watcher of a descriptor that is about to be closed, which ends the interest."""
        if 0 <= fd < len(self._watchers):
            self._watchers[fd] = None

    def again(self, watcher: Watcher) -> None:
        """Tell `watcher` in the next turn: it gave way to others though it had more to do."""
        self._again.append(watcher)

    def schedule(self, timed: Timed) -> None:
        """Watch the deadline of `timed`: needed once, and again only after moving it to earlier."""
        if timed.scheduled != NEVER and not self._leaves_youth(timed):
            self._ended += 1
        self._sequence += 1
        timed.scheduled = timed.deadline
        heapq.heappush(self._timers, (timed.deadline, self._sequence, timed))

    def schedule_young(self, timed: Timed) -> None:
        """Watch a deadline at least two `YOUNG_SECONDS` away, of what mostly ends before.

        It costs two set operations where a timer costs a place in the heap. Two generations change
        places each `YOUNG_SECONDS`; what has lived through both gets its timer.
        """
        timed.scheduled = timed.deadline
        self._young.add(timed)
        if self._youth_over == NEVER:
            self._youth_over = self.now + YOUNG_SECONDS

    def cancel(self, timed: Timed) -> None:
        """Forget a scheduled thing that has ended.

        A burst of short connections would otherwise be remembered until their deadlines. The heap
        is rebuilt when more than half of it has ended, so the cost for each is constant.
        """
        timed.deadline = NEVER
        if timed.scheduled == NEVER:
            return
        timed.scheduled = NEVER
        if self._leaves_youth(timed):
            return
        self._ended += 1
        if self._ended > COMPACTION_FLOOR and self._ended * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[0] == entry[2].scheduled]
            heapq.heapify(self._timers)
            self._ended = 0

    def run(self) -> None:
        """Serve until `stop`."""
        self._running = True
        while self._running:
            self.turn(self._patience())

    def stop(self) -> None:
        """End `run` after the present turn."""
        self._running = False

    def turn(self, timeout: float) -> None:
        """Wait at most `timeout` seconds (-1: for ever), then serve what is ready or due."""
        ready = self._epoll.poll(timeout, EVENTS_PER_TURN)
        self.now = time.monotonic()
        watchers = self._watchers
        for fd, events in ready:
            watcher = watchers[fd]  # none: closed by a watcher served earlier in this turn
            if watcher is not None:
                try:
                    watcher.on_ready(events)
                except Exception as error:  # noqa: BLE001 - the boundary: one connection fails
                    watcher.on_failure(error)
        if self._again:
            self._serve_again()
        if self._youth_over <= self.now:
            self._grow_older()
        if self._timers and self._timers[0][0] <= self.now:
            self._serve_due()

    def cut(self) -> None:
        """Let every watcher end what it serves."""
        for watcher in [watcher for watcher in self._watchers if watcher is not None]:
            try:
                watcher.on_cut()
            except Exception as error:  # noqa: BLE001 - the same boundary
                watcher.on_failure(error)

    def close(self) -> None:
        """Release the epoll instance; registered descriptors stay open."""
        self._epoll.close()

    def _patience(self) -> float:
        if self._again:
            return 0
        due = self._timers[0][0] if self._timers else NEVER
        due = min(due, self._youth_over)
        return -1 if due == NEVER else max(0.0, due - time.monotonic())

    def _leaves_youth(self, timed: Timed) -> bool:
        """Take a scheduled thing out of its generation; False: it has a timer."""
        if timed in self._young:
            self._young.remove(timed)
        elif timed in self._older:
            self._older.remove(timed)
        else:
            return False
        return True

    def _grow_older(self) -> None:
        grown, self._older, self._young = self._older, self._young, set()
        self._youth_over += YOUNG_SECONDS
        if self._youth_over <= self.now:  # this thread was kept waiting: nobody is young any more
            grown |= self._older
            self._older = set()
        if not self._older:
            self._youth_over = NEVER
        for timed in grown:
            timed.scheduled = NEVER
            self.schedule(timed)

    def _serve_again(self) -> None:
        watchers, self._again = self._again, []
        for watcher in watchers:
            try:
                watcher.on_ready(READABLE)
            except Exception as error:  # noqa: BLE001 - the same boundary
                watcher.on_failure(error)

    def _serve_due(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            due, _, timed = heapq.heappop(self._timers)
            if due != timed.scheduled:
                self._ended -= 1
                continue
            timed.scheduled = NEVER
            if timed.deadline <= self.now:
                _fire(timed)
            if timed.deadline != NEVER and timed.scheduled == NEVER:
                self.schedule(timed)


def _fire(timed: Timed) -> None:
    try:
        timed.on_deadline()
    except Exception as error:  # noqa: BLE001 - the same boundary
        timed.on_failure(error)
