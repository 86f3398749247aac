"""What is known of a pool when a decision is made: one report a backend, all plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from routing import BackendName

MetricName = NewType("MetricName", str)
"""A gauge that backends report: one of the three below, or one of the operator's own."""

CPU: Final = MetricName("cpu")
"""Share of its processors that a backend uses, 0 to 1."""

MEMORY: Final = MetricName("memory")
"""Share of its memory that a backend uses, 0 to 1."""

REQUESTS: Final = MetricName("requests")
"""HTTP requests a second."""


class BackendState(StrEnum):
    """Where a backend is in its life, as the balancer sees it."""

    BOOTING = "booting"
    """Ordered; it does not answer yet."""

    ATTESTING = "attesting"
    """It answers, and has not proved yet what it runs."""

    READY = "ready"
    """It takes new sessions."""

    FULL = "full"
    """It would take new sessions, and has no room."""

    DRAINING = "draining"
    """It keeps its sessions and gets no new ones: a decision said so, and may take it back."""

    TAKEN = "taken"
    """An operator drained it, so that nobody calls it back."""

    STANDBY = "standby"
    """Healthy and attested, without new sessions until the pool's mark wakes it."""

    FAILED = "failed"
    """It does not answer any more, or lost its trust."""


COMING: Final = frozenset({BackendState.BOOTING, BackendState.ATTESTING})
"""States of a backend that will serve, and does not yet."""


class Reading(NamedTuple):
    """A value that a backend claimed, and how many seconds ago."""

    value: float
    age: float


@dataclass(frozen=True, slots=True)
class BackendReport:
    """One backend, as of this round.

    Attributes:
        name: Unique in its pool.
        state: Where it is in its life.
        sessions: Open on it by the balancer's own count; None: the count is not known.
        capacity: Sessions that it says it can carry; None: it says nothing.
        metrics: What its telemetry claims. Nothing of it is trusted unseen.
        started_at: When it was ordered, or first seen: seconds, monotonic.
        ready_at: When it first was attested and healthy; None: it never was.
        image_at: When its image was made, seconds UTC; 0 where nobody knows.

    """

    name: BackendName
    state: BackendState
    sessions: int | None = 0
    capacity: int | None = None
    metrics: Mapping[MetricName, Reading] = field(default_factory=dict)
    started_at: float = 0.0
    ready_at: float | None = None
    image_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A pool, as of this round.

    Attributes:
        backends: A report of each, names distinct.
        parked: Hellos that wait because no backend has room.
        utc: The wall clock, in seconds UTC: for schedules and the season alone.
        blurred: Whether the balancer does not see clearly as a whole, as when none of a pool
            answers, or a worker has not done yet what the last round said. Then nobody begins to
            drain, is released or is sent to rest.

    """

    backends: tuple[BackendReport, ...]
    parked: int = 0
    utc: float = 0.0
    blurred: bool = False
