"""How well-behaved clients are served, quietly and in a flood."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from hardship_figures import Figure, Stage, at_least, at_most, expect
from hardship_peers import ANSWER, Flood, Manner, Service, backends, sources, visit

from tests.e2e.balancer import Address, Balancer
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, connect
from tests.e2e.waiting import until

FLOOD_TIMES = 3.0
"""A flood, of what saturates the machine."""
FLOOD_ADDRESSES = 16
FLOOD_MOST = FLOOD_ADDRESSES * 200
"""Connections that it may have, by the default of `limits.per_client`."""


def served_beside_a_flood(stage: Stage) -> Iterator[Figure]:
    """How clients are served in a flood of whole hellos whose senders do not read."""
    quiet, busy, past, floods = [], [], [], []
    with backends() as found, stage.daemon({"pools": {"app": [found[Manner.WAITS]]}}) as balancer:
        visited(balancer.address, 1)
        host, _, port = found[Manner.WAITS].rpartition(":")
        capacity = _capacity(balancer, 3 * stage.scale)
        for _ in range(3):
            quiet.append(visited(balancer.address, 4 * stage.scale))
            with _flooded(balancer, capacity) as flood:
                before = _clocks(balancer.worker, flood)
                busy.append(visited(balancer.address, 4 * stage.scale))
                floods.append(_clocks(balancer.worker, flood) - before)
                past.append(visited((host, int(port)), 4 * stage.scale))
            settle(balancer)
    yield Figure("short connections a second that saturate this machine", capacity, "/s")
    ratio = median(each.offered / each.seconds for each in floods) / capacity
    what = f"offered by a flood from {FLOOD_ADDRESSES} addresses, of that"
    yield at_least(what, ratio, "times", 2.9)
    yield from compared("in that flood", quiet, busy)
    beside = median(each.p99 for each in past)
    yield Figure("p99 of a connection past the balancer in that flood", beside, "ms")
    each_us = median(1e6 * each.ran / each.offered for each in floods)
    yield Figure("of the worker's time for each connection offered in that flood", each_us, "µs")
    ran = median(100 * each.ran / each.seconds for each in floods)
    waited = median(100 * each.waited / each.seconds for each in floods)
    yield Figure("of a core that the worker used in that flood", ran, "%")
    yield Figure("of the time that the worker waited for a core in that flood", waited, "%")


@contextmanager
def _flooded(balancer: Balancer, capacity: float) -> Iterator[Flood]:
    """A flood that has had what `per_client` allows it: from now on it is shed."""
    rate = FLOOD_TIMES * capacity
    flood = Flood(balancer.address, rate, sources(FLOOD_ADDRESSES, 7))
    try:
        until("the flood has come", lambda: balancer.open_connections() >= FLOOD_MOST)
        time.sleep(1)
        yield flood
    finally:
        flood.stop()


@dataclass(frozen=True, slots=True)
class Clocks:
    """What goes on in a flood, so far or for a while.

    Attributes:
        seconds: By the clock.
        offered: Connections of the flood.
        ran: Seconds that the worker ran.
        waited: Seconds that it could have run and had no core.
    """

    seconds: float
    offered: float
    ran: float
    waited: float

    def __sub__(self, earlier: "Clocks") -> "Clocks":
        """Returns what has come since."""
        return Clocks(
            self.seconds - earlier.seconds,
            self.offered - earlier.offered,
            self.ran - earlier.ran,
            self.waited - earlier.waited,
        )


def _clocks(worker: Process, flood: Flood) -> Clocks:
    ran, waited, _ = Path(f"/proc/{worker.pid}/schedstat").read_text(encoding="ascii").split()
    return Clocks(time.monotonic(), flood.offered, int(ran) / 1e9, int(waited) / 1e9)


def _capacity(balancer: Balancer, seconds: float) -> float:
    """Short connections a second at which the machine has no more to give."""
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        done = [pool.submit(_hurry, balancer.address, n, seconds) for n in range(4)]
        return sum(each.result() for each in done)


def _hurry(address: tuple[str, int], number: int, seconds: float) -> float:
    begun, count = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        with connect(address, f"127.8.{number}.{count % 250 + 1}") as client:
            client.sendall(HELLO)
            expect(client.recv(100) == ANSWER, "a client that is not served")
            count += 1
    return count / seconds


def visited(address: Address, seconds: float) -> Service:
    """Well-behaved clients, in a process of their own."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(visit, address, seconds, 200.0).result()


def compared(when: str, quiet: list[Service], busy: list[Service]) -> Iterator[Figure]:
    """What the two series tell of each other."""
    yield at_least(f"clients served {when}", min(each.share for each in busy), "%", 100)
    calm, rough = median(each.p99 for each in quiet), median(each.p99 for each in busy)
    yield Figure(f"p99 of a connection {when}", rough, "ms")
    yield at_most(f"p99 {when}, of quiet ({calm:.2f} ms)", rough / calm, "times", 2)


def settle(balancer: Balancer) -> None:
    """Waits until nothing is open any more."""
    until("all have ended", lambda: balancer.open_connections() == 0)
