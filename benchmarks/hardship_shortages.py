"""Descriptors run out: how soon is a worker back once there are some again?"""

import itertools
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from hardship_figures import Figure, Stage, at_most
from hardship_peers import ANSWER, Manner, backends

from tests.e2e.balancer import Balancer
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, connect

PAUSE_SECONDS = 0.05
"""How long each shortage lasts: less than what makes a worker turn clients away."""
BACK_MS = 10
"""The pause between two looks: from the end of a shortage, half of it on average."""


def shortages(stage: Stage) -> Iterator[Figure]:
    """From the end of a shortage of descriptors to the answer to a client that waits."""
    with backends() as found, stage.daemon({"pools": {"app": [found[Manner.WAITS]]}}) as balancer:
        _back(balancer)
        took = [_back(balancer) * 1e3 for _ in range(stage.count(200))]
    what = f"of {len(took)} shortages"
    yield at_most(f"from descriptors to an answer, median {what}", median(took), "ms", BACK_MS)
    worst = sorted(took)[len(took) * 99 // 100]
    yield Figure(f"from descriptors to an answer, p99 {what}", worst, "ms")


def _back(balancer: Balancer) -> float:
    """Brings a shortage about and ends it; returns the seconds from then to an answer."""
    worker = balancer.worker
    usual = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (_open(worker), usual[1]))
    with connect(balancer.address) as client:
        client.sendall(HELLO)
        time.sleep(PAUSE_SECONDS)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, usual)
        begun = time.monotonic()
        if client.recv(100) != ANSWER:
            raise RuntimeError("the measurement is void: a client that is not served")
        return time.monotonic() - begun


def _open(worker: Process) -> int:
    """The limit that leaves a process no descriptor beside those that it has."""
    taken = {int(entry.name) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in taken)
