"""Many clients that come back, several at a time, each time from another address."""

import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from stickiness.figures import Share
from stickiness.stage import SEED, Stage
from tests.e2e.balancer import Address
from tests.e2e.returning import Visitor, context_for, sources

AT_ONCE = 8
"""Clients at a time: handshakes are most of the work, and the machine's cores are few."""

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(slots=True)
class Crowd:
    """Clients that all come equally often.

    Attributes:
        visitors: The clients.
        turn: How often they have come.
    """

    visitors: list[Visitor]
    turn: int = 0

    @classmethod
    def of(cls, stage: Stage, versions: Sequence[ssl.TLSVersion], clients: int) -> "Crowd":
        """So many clients that were never there, of these versions in turn."""
        contexts = [context_for(stage.authority, version) for version in versions]
        return cls([Visitor(contexts[at % len(contexts)]) for at in range(clients)])

    def visit(self, balancers: Sequence[Address]) -> None:
        """Each comes once, to the balancer that it did not come to the last time."""
        addresses = sources(Random(f"{SEED}/{self.turn}"))  # noqa: S311 - the same in each run
        work = [
            (visitor, balancers[(at + self.turn) % len(balancers)], next(addresses))
            for at, visitor in enumerate(self.visitors)
        ]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(lambda each: each[0].visit(each[1], each[2]), work):
                pass
        self.turn += 1

    def resumed(self, what: str, target: float | None = None) -> Share:
        """Of all visits but the first, those whose session went on."""
        again = [seen for visitor in self.visitors for seen in visitor.seen[1:]]
        return Share(what, sum(seen.resumed for seen in again), len(again), target)

    def at_home(self, what: str, target: float | None = None) -> Share:
        """Of all visits but the first, those to the enclave of the first."""
        homes = [
            seen.enclave == visitor.seen[0].enclave
            for visitor in self.visitors
            for seen in visitor.seen[1:]
        ]
        return Share(what, sum(homes), len(homes), target)
