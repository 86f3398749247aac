"""The bench: the load, its backends, the proxies that are here, and the results so far."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from beside.load import Drive, Load
from beside.peers import Peer, Scope
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
        few: The same, where a round takes long and says much.
        scale: How much work a round has: 1 for the full run.
        results: The values so far.
        lost: The proxies whose rounds failed, a name for each round.
    """

    load: Load
    backends: tuple[int, ...]
    peers: list[Peer]
    rounds: int
    few: int
    scale: float
    results: Results = field(default_factory=Results)
    lost: list[str] = field(default_factory=list)

    def taking_part(self, *scopes: Scope) -> list[Peer]:
        """The peers of these scopes, and those that take part everywhere."""
        return [peer for peer in self.peers if peer.scope in {Scope.ALL, *scopes}]

    def some(self, count: int) -> int:
        """So many connections, scaled to the length of the run."""
        return int(count * self.scale)

    @contextmanager
    def all_running(
        self, peers: list[Peer], *, workers: int = 1, log: bool = False
    ) -> Iterator[list[Running]]:
        """Run these proxies at once, warm; the idle ones cost next to nothing."""
        with ExitStack() as stack:
            proxies = [
                stack.enter_context(running(peer, self.backends, workers=workers, log=log))
                for peer in peers
            ]
            warm_up(self.load, proxies)
            yield proxies

    def interleave(
        self, proxies: list[Running], step: Callable[[Running], None], rounds: int = 0
    ) -> None:
        """Take a step with each, in turn, as often as there are rounds: A B C A B C."""
        for _ in range(rounds or self.rounds):
            for proxy in proxies:
                with self.tolerance(proxy.peer.name):
                    step(proxy)

    @contextmanager
    def tolerance(self, name: str) -> Iterator[None]:
        """A round that fails is told and left out; the others are worth keeping."""
        try:
            yield
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            say(f"  {name}: a round failed and is left out: {error}")
            self.lost.append(name)

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
