"""Rounds of one pool as they are told: to the log, to the API, to metrics. Pure."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from l4proxy.control.lineup import Taken
from l4proxy.scaling import BackendReport, BackendState, Decision, Observation, TermName
from routing import BackendName

MAX_ROUNDS: Final = 32
"""Rounds that are kept of those that changed something: what an operator looks back at."""

_AWAKE: Final = frozenset({BackendState.READY, BackendState.FULL})


class Kind(StrEnum):
    """What a round did; labels of metrics."""

    GROW = "grow"
    """It asked for more backends than before."""

    SHRINK = "shrink"
    """It asked for fewer."""

    DRAIN = "drain"
    CANCEL = "cancel"
    REST = "rest"
    WAKE = "wake"
    RELEASE = "release"
    EVICT = "evict"

    NONE = "none"
    """Nothing of all that."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round.

    Attributes:
        utc: When, seconds since the epoch.
        decision: What was decided.
        taken: What of it was carried out here.
        evict: Those that failed and may be removed.
        current: Backends that there were.
        states: How many of them were in each state.
        free: Free session slots on those that take new sessions; None: sessions have no bound.
        parked: Hellos that waited.
        kinds: What it did; `NONE` alone, if it did nothing.
    """

    utc: float
    decision: Decision
    taken: Taken
    evict: tuple[BackendName, ...]
    current: int
    states: Counter[BackendState]
    free: int | None
    parked: int
    kinds: tuple[Kind, ...]

    @property
    def changes(self) -> bool:
        """Whether it did anything."""
        return self.kinds != (Kind.NONE,)

    def __str__(self) -> str:
        """Return it as the log has it: the number, the sum that it is, and who is concerned."""
        terms = ", ".join(
            f"{term.name} {term.backends:+d} ({term.reason})"
            for term in self.decision.terms
            if term.backends or term.name is TermName.FORECAST
        )
        done = "; ".join(f"{what} {', '.join(names)}" for what, names in self._concerned() if names)
        doubts = f"; {len(self.decision.doubts)} doubts" if self.decision.doubts else ""
        number = f"{self.decision.desired} backends, {self.current} there"
        return f"{number}: {terms or 'nothing'}{f'; {done}' if done else ''}{doubts}"

    def _concerned(self) -> Iterator[tuple[Kind, tuple[BackendName, ...]]]:
        yield Kind.DRAIN, self.taken.drain
        yield Kind.CANCEL, self.taken.cancel
        yield Kind.REST, self.taken.rest
        yield Kind.WAKE, self.taken.wake
        yield Kind.RELEASE, self.decision.release
        yield Kind.EVICT, self.evict


class Rounds:
    """What is kept of a pool's rounds.

    Attributes:
        last: The newest; None: there was none yet.
        changes: The newest of those that changed something, newest last.
        counts: How many rounds did what, since the pool is scaled.
    """

    __slots__ = ("changes", "counts", "last")

    def __init__(self) -> None:
        """Begin before the first round."""
        self.last: Round | None = None
        self.changes: deque[Round] = deque(maxlen=MAX_ROUNDS)
        self.counts: Counter[Kind] = Counter()

    def add(
        self,
        observation: Observation,
        decision: Decision,
        taken: Taken,
        evict: tuple[BackendName, ...],
        slots: int | None,
    ) -> Round:
        """Keep a round, and return it.

        Args:
            observation: What it saw.
            decision: What it decided.
            taken: What of that was carried out here.
            evict: Whom it would have removed.
            slots: Sessions that each backend may carry; None: there is no bound.
        """
        reports = observation.backends
        done = Round(
            observation.utc,
            decision,
            taken,
            evict,
            len(reports),
            Counter(report.state for report in reports),
            None if slots is None else sum(_free(reports, slots)),
            observation.parked,
            tuple(self._kinds(decision, taken, evict, len(reports))) or (Kind.NONE,),
        )
        self.last = done
        self.counts.update(done.kinds)
        if done.changes:
            self.changes.append(done)
        return done

    def _kinds(
        self, decision: Decision, taken: Taken, evict: tuple[BackendName, ...], there: int
    ) -> Iterator[Kind]:
        before = self.last.decision.desired if self.last is not None else there
        known = self.last.evict if self.last is not None else ()
        for kind, so in (
            (Kind.GROW, decision.desired > before),
            (Kind.SHRINK, decision.desired < before),
            (Kind.DRAIN, taken.drain),
            (Kind.CANCEL, taken.cancel),
            (Kind.REST, taken.rest),
            (Kind.WAKE, taken.wake),
            (Kind.RELEASE, decision.release),
            (Kind.EVICT, set(evict) - set(known)),
        ):
            if so:
                yield kind


def _free(reports: Iterable[BackendReport], slots: int) -> Iterator[int]:
    for report in reports:
        if report.state in _AWAKE:
            yield max(0, slots - (report.sessions or 0))
