"""When a balancer knows the tickets of its backends: it says so itself."""

import json
import time
from collections.abc import Mapping
from functools import partial
from typing import cast

from tests.e2e.balancer import Balancer, Page
from tests.e2e.waiting import until

_PUBLISHED_SECONDS = 0.5
"""What is learned goes to the workers at most ten times a second."""


def wait_interviewed(*balancers: Balancer) -> None:
    """Waits until every backend has been asked for its tickets, and the workers know the names."""
    for balancer in balancers:
        until("every backend was asked", partial(_all_asked, balancer))
    time.sleep(_PUBLISHED_SECONDS)
    for balancer in balancers:
        until("the workers know", partial(_applied, balancer))


def _all_asked(balancer: Balancer) -> bool:
    document = cast("Mapping[str, Page]", json.loads(balancer.page("/api/v1/backends")))
    backends = cast("list[Mapping[str, Mapping[str, Page] | None]]", document["backends"])
    return all(
        (tickets := each["tickets"]) is not None and tickets["asked"] is not None
        for each in backends
    )


def _applied(balancer: Balancer) -> bool:
    status = balancer.status()
    workers = cast("list[dict[str, int]]", status["workers"])
    return all(worker["applied"] >= cast("int", status["snapshot"]) for worker in workers)
