"""What a round decides, and why: every number of the sum with its reason."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from routing import BackendName, Mark


class TermName(StrEnum):
    """What a part of the sum is for, in the order in which the sum is made."""

    SESSIONS = "sessions"
    PARKED = "parked"
    FREE = "free"
    FORECAST = "forecast"
    METRIC = "metric"
    STANDBY = "standby"
    FAILED = "failed"
    TAKEN = "taken"
    SCHEDULE = "schedule"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    STABILISATION = "stabilisation"
    TOLERANCE = "tolerance"
    MISSING_DATA = "missing_data"
    RATE_LIMIT = "rate_limit"
    DRAINING = "draining"


class Term(NamedTuple):
    """A part of the sum.

    Attributes:
        name: What it is for.
        backends: How many it adds; below 0 where it takes away.
        reason: A sentence with the numbers behind it.

    """

    name: TermName
    backends: int
    reason: str


class Doubt(NamedTuple):
    """A claim that was not taken as it stood: of which backend, and what was done."""

    backend: BackendName
    reason: str


class Outlook(NamedTuple):
    """The sessions to expect.

    Attributes:
        now: Sessions, parked hellos included.
        expected: Sessions when a backend that is ordered now can serve.
        error: How far such forecasts were off, as a mean.
        lead: Seconds until then.
        panic: Whether the load jumps.

    """

    now: float
    expected: float
    error: float
    lead: float
    panic: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What a round decides.

    Attributes:
        desired: Backends that there are to be, those included that drain: the actuator's number.
        terms: The sum that it is: their `backends` add up to it.
        drain: Backends that are to begin to drain, first victims first.
        cancel: Draining backends that are to take new sessions again.
        rest: Backends that are to take no new sessions for now.
        wake: Resting backends that are to take new sessions.
        release: Victims, first ones first, that are empty or past their deadline: those that the
            lowered number is meant to remove.
        evict: Backends that failed.
        mark: How workers wake resting backends between two rounds.
        outlook: The load that was seen and foreseen.
        doubts: Claims that were not taken as they stood.

    """

    desired: int
    terms: tuple[Term, ...]
    drain: tuple[BackendName, ...]
    cancel: tuple[BackendName, ...]
    rest: tuple[BackendName, ...]
    wake: tuple[BackendName, ...]
    release: tuple[BackendName, ...]
    evict: tuple[BackendName, ...]
    mark: Mark
    outlook: Outlook
    doubts: tuple[Doubt, ...]
