"""Does a backend answer? Probes and dials in, one verdict out that does not flap.

    heard of a backend        what it does to the verdict
    the first probe           decides at once, either way
    `fall` failures in a row  unhealthy
    `rise` answers in a row   healthy again, unless it is held
    dials fail, more than     held for a while: a passive ejection, bounded over the pool so that
      they succeed              one bad moment does not empty it
    it falls again and again  held longer each time, until it has been steady for a while

Before its first probe a backend counts as healthy, so that a start is no outage; one that was just
discovered may be made to prove itself first (`Rules.assume_healthy`).

A pool in which nobody is healthy opens: all its backends are usable, for a probe can be wrong and a
refusal certainly serves nobody. That holds for health alone; trust has no such door.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from routing.backend import BackendName

ProbeFault = NewType("ProbeFault", str)
"""Why a probe failed, as a short and stable label: `refused`, `timeout`, `tls_alert:40`."""

FAILED_DIALS = 5
"""Failed dials, beyond those that succeeded meanwhile, that eject: fewer are a hiccup."""

DIAL_MEMORY_SECONDS = 60.0
"""A backend that was not dialled for so long starts anew: a failure an hour is no outage."""

HOLD_BASE_SECONDS = 10.0
"""The first hold: about what two probes take. Each further one is twice as long."""

HOLD_MAX_SECONDS = 300.0
"""The longest hold: a backend that was mended is not punished for more than five minutes."""

STEADY_SECONDS = 300.0
"""A backend that was healthy for so long starts with a clean sheet."""

EJECTED_SHARE = 0.5
"""Of a pool, how much may be unhealthy, by whatever reason, once its dials eject a backend."""

# Falls counted: more would not hold any longer, HOLD_BASE_SECONDS doubled so often is the longest.
_MOST_FALLS = 6


class HealthReason(StrEnum):
    """Why a verdict is what it is; labels of log lines and metrics."""

    ASSUMED = "assumed"
    """Not probed yet, and healthy on trust."""

    UNPROBED = "unprobed"
    """Not probed yet, and to prove itself first."""

    ANSWERS = "answers"
    PROBES_FAILED = "probes_failed"

    DIALS_FAILED = "dials_failed"
    """Held because workers could not dial it."""

    FLAPPING = "flapping"
    """It answers probes again, and is held because it fell too often."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a pool believes that a backend is well.

    Attributes:
        rise: Answers in a row that make it healthy again.
        fall: Failures in a row that make it unhealthy.
        assume_healthy: What a backend is before its first probe.

    Raises:
        ValueError: A threshold is below 1.

    """

    rise: int = 2
    fall: int = 3
    assume_healthy: bool = True

    def __post_init__(self) -> None:
        if min(self.rise, self.fall) < 1:
            raise ValueError(f"rise {self.rise}, fall {self.fall}: expected at least 1 each")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is held of a backend at one moment.

    Attributes:
        healthy: Whether it may have traffic, as far as health goes.
        reason: Why.
        fault: What the newest failed probe found; None unless probes failed.
        until: When the hold ends, in seconds of `now`; None unless it is held.

    """

    healthy: bool
    reason: HealthReason
    fault: ProbeFault | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """A backend became healthy or unhealthy."""

    backend: BackendName
    verdict: Verdict


class Health:
    """What is known of one backend. Moments must not run backwards."""

    __slots__ = (
        "_answering",
        "_balance",
        "_contrary",
        "_dialled_at",
        "_ejected",
        "_falls",
        "_fault",
        "_held_until",
        "_probed",
        "_well_since",
        "rules",
    )

    def __init__(self, rules: Rules, now: float) -> None:
        self.rules = rules
        self._probed = False
        self._answering = rules.assume_healthy
        self._contrary = 0  # probes in a row that speak against `_answering`
        self._fault: ProbeFault | None = None
        self._balance = 0  # dials that failed beyond those that succeeded, 0 to FAILED_DIALS
        self._dialled_at = now
        self._falls = 0  # since it was last steady
        self._held_until = now
        self._ejected = False  # whether the newest hold is for failed dials
        self._well_since = now

    def verdict(self, now: float) -> Verdict:
        """Return what is held of the backend."""
        if not self._answering:
            if not self._probed:
                return Verdict(healthy=False, reason=HealthReason.UNPROBED)
            return Verdict(healthy=False, reason=HealthReason.PROBES_FAILED, fault=self._fault)
        if now < self._held_until:
            why = HealthReason.DIALS_FAILED if self._ejected else HealthReason.FLAPPING
            return Verdict(healthy=False, reason=why, until=self._held_until)
        why = HealthReason.ANSWERS if self._probed else HealthReason.ASSUMED
        return Verdict(healthy=True, reason=why)

    def healthy(self, now: float) -> bool:
        """Return whether the backend may have traffic, as far as health goes."""
        return self._answering and now >= self._held_until

    def observe_probe(self, fault: ProbeFault | None, now: float) -> None:
        """Take the outcome of one probe: None, or why it failed."""
        first = not self._probed
        self._probed = True
        if fault is not None:
            self._fault = fault
        if (fault is None) is self._answering:
            self._contrary = 0
            return
        self._contrary += 1
        if not first and self._contrary < (self.rules.fall if fault else self.rules.rise):
            return
        self._contrary = 0
        if fault is None:
            self._answering = True
            self._well_since = now
            return
        if self.healthy(now):
            self._fall(now, ejected=False)
        self._answering = False

    def observe_dials(self, successes: int, failures: int, now: float) -> bool:
        """Take what dials came to since the last report; return whether they call for `eject`.

        Dials of a backend that is unhealthy already tell nothing new.
        """
        if now - self._dialled_at > DIAL_MEMORY_SECONDS:
            self._balance = 0
        self._dialled_at = now
        if not self.healthy(now):
            self._balance = 0
            return False
        self._balance = min(max(0, self._balance + failures - successes), FAILED_DIALS)
        return self._balance >= FAILED_DIALS

    def eject(self, now: float) -> None:
        """Hold a healthy backend out, the longer the more often it fell."""
        self._fall(now, ejected=True)
        self._balance = 0

    def ejected(self, now: float) -> bool:
        """Return whether the backend is held because it could not be dialled."""
        return self._ejected and now < self._held_until

    def pardon(self, now: float) -> None:
        """End a hold."""
        self._held_until = now

    def _fall(self, now: float, *, ejected: bool) -> None:
        if now - max(self._well_since, self._held_until) >= STEADY_SECONDS:
            self._falls = 0
        # A first fall by probes costs no more than `rise`: who restarts a backend gets it back.
        holds = self._falls + ejected
        self._falls = min(self._falls + 1, _MOST_FALLS)
        hold = HOLD_BASE_SECONDS * 2 ** (holds - 1) if holds else 0.0
        self._held_until = now + min(hold, HOLD_MAX_SECONDS)
        self._ejected = ejected


@dataclass(slots=True)
class PoolHealth:
    """What is known of the backends of one pool.

    Attributes:
        rules: When a backend is believed to be well.
        spared: How often a backend was not ejected because too much of the pool was unhealthy.

    """

    rules: Rules = field(default_factory=Rules)
    spared: int = field(default=0, init=False)
    _members: dict[BackendName, Health] = field(default_factory=dict, init=False, repr=False)
    _told: dict[BackendName, bool] = field(default_factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[BackendName]:
        return iter(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def add(self, name: BackendName, now: float) -> None:
        """Begin with a backend of which nothing is known."""
        health = Health(self.rules, now)
        self._members[name] = health
        self._told[name] = health.healthy(now)

    def remove(self, name: BackendName, now: float) -> tuple[HealthChanged, ...]:
        """Forget a backend; of a smaller pool fewer may be ejected, so some may come back.

        Raises:
            KeyError: It is not in the pool.

        """
        del self._members[name], self._told[name]
        held = sorted(
            (health.verdict(now).until or now, member)
            for member, health in self._members.items()
            if health.ejected(now)
        )
        for _, member in held[: max(0, len(held) - self._most_ejected())]:
            self._members[member].pardon(now)
        return self.advance(now)

    def set_rules(self, rules: Rules) -> None:
        """Judge by other thresholds from now on; what is known stays."""
        self.rules = rules
        for health in self._members.values():
            health.rules = rules

    def observe_probe(
        self, name: BackendName, fault: ProbeFault | None, now: float
    ) -> HealthChanged | None:
        """Take the outcome of one probe: None, or why it failed.

        Raises:
            KeyError: The backend is not in the pool.

        """
        self._members[name].observe_probe(fault, now)
        return self._news(name, now)

    def observe_dials(
        self, name: BackendName, successes: int, failures: int, now: float
    ) -> HealthChanged | None:
        """Take what the dials of a backend came to since the last report.

        Raises:
            KeyError: The backend is not in the pool.

        """
        health = self._members[name]
        if health.observe_dials(successes, failures, now):
            unhealthy = sum(not member.healthy(now) for member in self._members.values())
            if unhealthy < self._most_ejected():
                health.eject(now)
            else:
                self.spared += 1
        return self._news(name, now)

    def advance(self, now: float) -> tuple[HealthChanged, ...]:
        """Return what has changed by the passing of time: holds end."""
        news = (self._news(name, now) for name in self._members)
        return tuple(changed for changed in news if changed is not None)

    def verdict(self, name: BackendName, now: float) -> Verdict:
        """Return what is held of one backend.

        Raises:
            KeyError: It is not in the pool.

        """
        return self._members[name].verdict(now)

    def usable(self, now: float) -> frozenset[BackendName]:
        """Return the backends that may have traffic, as far as health goes.

        They are the healthy ones, or all when none is: the pool is open. The answer differs only
        after a change of a verdict or of the members.
        """
        healthy = frozenset(name for name, health in self._members.items() if health.healthy(now))
        return healthy or frozenset(self._members)

    def _most_ejected(self) -> int:
        return int(len(self._members) * EJECTED_SHARE)

    def _news(self, name: BackendName, now: float) -> HealthChanged | None:
        verdict = self._members[name].verdict(now)
        if verdict.healthy is self._told[name]:
            return None
        self._told[name] = verdict.healthy
        return HealthChanged(name, verdict)
