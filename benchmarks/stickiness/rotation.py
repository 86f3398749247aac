"""One enclave changes its ticket key while everybody comes back."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from l4proxy.control.tickets.learner import ROUND_SECONDS
from stickiness.crowd import VERSIONS, Crowd
from stickiness.figures import Share
from stickiness.resumptions import KEYS
from stickiness.stage import Stage, ours
from tests.e2e.enclaves import enclaves
from tests.e2e.returning import Seen

CLIENTS = 600
BEFORE, AFTER = 2, 4
"""Visits of each client before and after the change."""


def measure(stage: Stage) -> Iterator[Share]:
    """The first of three enclaves forgets its old key: a new file, or a reload that makes one up.

    Half of the clients speak TLS 1.2, the other half TLS 1.3.
    """
    for keys, make in KEYS.items():
        with (
            enclaves(stage.folder("enclaves"), stage.own, [make() for _ in range(3)]) as there,
            ours(stage, there) as balancers,
        ):
            crowd = Crowd.of(stage, list(VERSIONS.values()), stage.some(CLIENTS))
            for _ in range(BEFORE):
                crowd.visit(balancers)
            time.sleep(ROUND_SECONDS)  # a pool is not asked twice within it, whatever came before
            there[0].rotate(make())
            for _ in range(AFTER):
                crowd.visit(balancers)
            yield from _shares(crowd, keys, there[0].name)


def _shares(crowd: Crowd, keys: str, rotated: str) -> Iterator[Share]:
    """By who issued the ticket that was offered, and when."""
    old, new, others = list[Seen](), list[Seen](), list[Seen]()
    for visitor in crowd.visitors:
        for at, (issued, seen) in enumerate(pairwise(visitor.seen), 1):
            if issued.enclave != rotated:
                others.append(seen)
            elif at > BEFORE:
                new.append(seen)
            elif at == BEFORE:
                old.append(seen)
    label = f"rotation, {keys}"
    yield _resumed(f"{label}: tickets issued after it, resumed", new)
    yield _resumed(f"{label}: tickets of the other enclaves, resumed", others)
    back = sum(seen.enclave == rotated for seen in old)
    yield Share(f"{label}: tickets of the old key, on their enclave all the same", back, len(old))


def _resumed(what: str, visits: Sequence[Seen]) -> Share:
    return Share(what, sum(seen.resumed for seen in visits), len(visits), 1.0)
