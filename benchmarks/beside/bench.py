"""The bench: the load, its backends, the proxies that are here, and the results so far."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from beside.load import Drive, Load
from beside.peers import Peer
from beside.processes import Cpu, cpu
from beside.results import DIRECT, Results
from beside.running import Running, running, warm_up

SETTLE_SECONDS = 0.1
"""A proxy may still be closing when the load has heard its last byte."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs.

    Attributes:
        load: The load generator.
        backends: The ports of its backend.
        peers: The proxies that are compared.
        rounds: How often each is measured.
        scale: How much work a round has: 1 for the full run.
        cache: A folder that outlives the run.
    """

    load: Load
    backends: tuple[int, ...]
    peers: list[Peer]
    rounds: int
    scale: float
    cache: Path
    results: Results = field(default_factory=Results)

    def some(self, count: int) -> int:
        """So many connections, scaled to the length of the run."""
        return int(count * self.scale)

    @contextmanager
    def all_running(
        self, *, workers: int = 1, log: bool = False, peers: list[Peer] | None = None
    ) -> Iterator[list[Running]]:
        """Run all proxies at once, warm; the idle ones cost next to nothing."""
        with ExitStack() as stack:
            proxies = [
                stack.enter_context(running(peer, self.backends, workers=workers, log=log))
                for peer in peers or self.peers
            ]
            warm_up(self.load, proxies)
            yield proxies

    def interleave(self, proxies: list[Running], step: Callable[[Running], None]) -> None:
        """Take a step with each, in turn, as often as there are rounds: A B C A B C."""
        for _ in range(self.rounds):
            for proxy in proxies:
                step(proxy)

    def spend(self, proxy: Running, work: Callable[[], Drive]) -> tuple[Drive, Cpu]:
        """Do some work through a proxy; returns what it saw and what all processes spent."""
        before = cpu(proxy.pid)
        drive = work()
        time.sleep(SETTLE_SECONDS)
        return drive, cpu(proxy.pid) - before

    def direct(self, key: str, value: float) -> None:
        """Take a value of the load without a proxy."""
        self.results.add(key, DIRECT, value)


def say(text: str) -> None:
    """Tell whoever waits what happens."""
    print(text, file=sys.stderr, flush=True)
