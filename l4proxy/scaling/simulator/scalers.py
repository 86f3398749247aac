"""Who decides in a simulation: the recommender, and what it is compared with."""

from collections import deque
from math import floor
from typing import Final, NamedTuple, Protocol

from l4proxy.scaling import hpa
from l4proxy.scaling.decision import Decision
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.recommend import ScalingState, recommend
from l4proxy.scaling.report import COMING, Observation


class Orders(NamedTuple):
    """What a round orders.

    Attributes:
        desired: How many backends there are to be.
        decision: Who drains, rests, wakes and goes; None: whoever keeps the number chooses.
        spares: Whether backends with sessions are kept although they are too many.

    """

    desired: int
    decision: Decision | None = None
    spares: bool = False


class Scaler(Protocol):
    """Decides in rounds."""

    @property
    def period(self) -> float:
        """Seconds between two rounds."""
        ...

    def round(self, seen: Observation, now: float) -> Orders:
        """Look at a pool, and say what it needs."""
        ...


class Recommender:
    """Ours."""

    period: Final = 5.0

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy = policy
        self.state = ScalingState()

    def round(self, seen: Observation, now: float) -> Orders:
        """Decide by the policy, drain first."""
        decision, self.state = recommend(seen, self.policy, self.state, now)
        return Orders(decision.desired, decision)


class Fixed:
    """So many backends, whatever comes."""

    period: Final = 60.0

    def __init__(self, backends: int) -> None:
        self.backends = backends

    def round(self, seen: Observation, now: float) -> Orders:
        """Keep the number."""
        del seen, now
        return Orders(self.backends)


class Hpa:
    """Kubernetes' HorizontalPodAutoscaler v2 on a Pods metric, sessions, with its defaults.

    Attributes:
        policy: Bounds, and the target: the sessions of a backend less the free share.

    """

    period: Final = 15.0
    UP: Final = hpa.RateLimit(4, 100, 15)
    DOWN: Final = hpa.RateLimit(0, 100, 15)
    WINDOW: Final = 300.0

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy = policy
        self.target = target_of(policy)
        self._changes: list[hpa.Change] = []
        self._window: deque[hpa.Change] = deque()

    def round(self, seen: Observation, now: float) -> Orders:
        """Decide as the controller does: formula, window, rates, bounds."""
        values = [report.sessions or 0 for report in seen.backends if report.state not in COMING]
        current = len(seen.backends)
        found = hpa.replicas(hpa.Gauges(values, current - len(values)), self.target)
        self._window.append(hpa.Change(now, found))
        while now - self._window[0].at > self.WINDOW:
            self._window.popleft()
        wanted = found if found > current else max(past.backends for past in self._window)
        if found <= current:
            wanted = min(wanted, current)
        most = max(current, hpa.most_replicas(now, current, self._changes, self.UP))
        least = min(current, hpa.least_replicas(now, current, self._changes, self.DOWN))
        wanted = max(least, min(most, wanted))
        wanted = max(self.policy.minimum, min(self.policy.maximum, wanted))
        self._changes = [past for past in self._changes if now - past.at < self.UP.seconds]
        if wanted != current:
            self._changes.append(hpa.Change(now, wanted - current))
        return Orders(wanted)


class Kpa:
    """Knative's pod autoscaler: sessions as its concurrency, with its defaults."""

    period: Final = 2.0
    STABLE: Final = 60.0
    PANIC: Final = 6.0
    THRESHOLD: Final = 2.0
    MOST_UP: Final = 1000.0
    MOST_DOWN: Final = 2.0

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy = policy
        self.target = target_of(policy)
        self._seen: deque[tuple[float, int]] = deque()
        self._panic_at: float | None = None
        self._panic_pods = 0

    def round(self, seen: Observation, now: float) -> Orders:
        """Decide as the autoscaler does: two windows, and no scale-in in a panic."""
        ready = max(1, sum(report.state not in COMING for report in seen.backends))
        load = sum(report.sessions or 0 for report in seen.backends) + seen.parked
        self._seen.append((now, load))
        while now - self._seen[0][0] >= self.STABLE:
            self._seen.popleft()
        stable = self.wanted(self._mean(now, self.STABLE), ready)
        panic = self.wanted(self._mean(now, self.PANIC), ready)
        if panic / ready >= self.THRESHOLD:
            self._panic_at = now
        elif self._panic_at is not None and now - self._panic_at > self.STABLE:
            self._panic_at, self._panic_pods = None, 0
        if self._panic_at is not None:
            self._panic_pods = max(self._panic_pods, panic, ready)
            stable = self._panic_pods
        return Orders(max(self.policy.minimum, min(self.policy.maximum, stable)))

    def wanted(self, concurrency: float, ready: int) -> int:
        """Return the pods for a concurrency, with the bounds on one step."""
        pods = hpa.up(concurrency / self.target)
        most, least = hpa.up(ready * self.MOST_UP), floor(ready / self.MOST_DOWN)
        return max(least, min(most, pods))

    def _mean(self, now: float, window: float) -> float:
        loads = [load for at, load in self._seen if now - at < window]
        return sum(loads) / len(loads)


class AgonesBuffer:
    """Agones' FleetAutoscaler with a Counter policy: so many free slots, busy servers stay."""

    period: Final = 30.0

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy = policy

    def round(self, seen: Observation, now: float) -> Orders:
        """Decide as the autoscaler does; it lets go only of servers without sessions."""
        del now
        load = sum(report.sessions or 0 for report in seen.backends)
        slots = self.policy.free.slots(load)
        wanted = max(1, hpa.up(slots / (self.policy.sessions_per_backend or 1)))
        bounded = max(self.policy.minimum, min(self.policy.maximum, wanted))
        return Orders(bounded, spares=True)


def target_of(policy: ScalingPolicy) -> float:
    """Return the sessions of a backend that leave the policy's free share."""
    each = policy.sessions_per_backend or 1
    free = policy.free
    return each * (100 - free.amount) / 100 if free.percent else float(each)
