"""How many backends a load needs: the sum, term by term."""

from typing import NamedTuple

from l4proxy.scaling import hpa
from l4proxy.scaling.decision import Outlook, Term, TermName
from l4proxy.scaling.fleet import Fleet
from l4proxy.scaling.policy import ScalingPolicy


class Sum:
    """A number that is made of terms.

    Attributes:
        total: What the terms add up to.
        terms: In the order in which they were added.
        busy: Backends that the metrics want awake.

    """

    def __init__(self) -> None:
        self.total = 0
        self.busy = 0
        self.terms: list[Term] = []

    def add(self, name: TermName, backends: int, reason: str) -> None:
        """Add a term; one of 0 is kept when it explains what was looked at."""
        self.terms.append(Term(name, backends, reason))
        self.total += backends

    def raise_to(self, name: TermName, least: int, reason: str) -> None:
        """Add what is missing to a number, which may be nothing."""
        self.add(name, max(0, least - self.total), reason)

    def raised_to(self, name: TermName, least: int, reason: str) -> None:
        """Add what is missing to a number, and no term when that is nothing."""
        if least > self.total:
            self.add(name, least - self.total, reason)

    def lower_to(self, name: TermName, most: int, reason: str) -> None:
        """Take away what is over a number, and add no term when that is nothing."""
        if most < self.total:
            self.add(name, most - self.total, reason)


class Load(NamedTuple):
    """The sessions that a sum is made for."""

    sessions: int
    parked: int
    outlook: Outlook


def need(fleet: Fleet, policy: ScalingPolicy, load: Load, utc: float) -> Sum:
    """Return what a load needs, up to the policy's bounds."""
    whole = Sum()
    if policy.sessions_per_backend is not None:
        _sessions(whole, fleet, policy, load)
    elif load.parked:
        whole.raise_to(TermName.PARKED, 1, f"{load.parked} hellos wait")
    for metric, gauges in fleet.gauges:
        wanted = _by_metric(metric.target, gauges, metric.tolerance)
        whole.busy = max(whole.busy, wanted)
        reported = len(gauges.values)
        mean = sum(gauges.values) / reported if reported else 0.0
        whole.raise_to(
            TermName.METRIC,
            wanted,
            f"{metric.name} asks for {wanted}: mean {mean:.4g} of {reported} that report, "
            f"target {metric.target:g}",
        )
    if policy.standby:
        whole.add(TermName.STANDBY, policy.standby, "attested, without new sessions")
    if fleet.failed:
        failed = len(fleet.failed)
        whole.add(TermName.FAILED, failed, "failed, to be replaced")
    if fleet.taken:
        whole.add(TermName.TAKEN, len(fleet.taken), "drained by an operator, to be replaced")
    _bound(whole, policy, utc)
    return whole


def _sessions(whole: Sum, fleet: Fleet, policy: ScalingPolicy, load: Load) -> None:
    each = policy.sessions_per_backend or 1
    sessions, outlook = load.sessions, load.outlook
    waiting = sessions + load.parked

    def backends(slots: int) -> int:
        return fleet.backends_for(slots, each)

    whole.raise_to(TermName.SESSIONS, backends(sessions), f"{sessions} sessions, {each} a backend")
    whole.raised_to(TermName.PARKED, backends(waiting), f"{load.parked} hellos wait")
    slots = policy.free.slots(waiting)
    whole.raise_to(TermName.FREE, backends(slots), f"{policy.free} free: {slots} slots")
    if policy.forecast:
        expected = outlook.expected
        # The free slots are there for what no forecast says: its error comes out of them.
        slots = max(policy.free.slots(expected), hpa.up(expected + outlook.error))
        whole.raise_to(
            TermName.FORECAST,
            backends(slots),
            f"{expected:.0f} ± {outlook.error:.0f} sessions in {outlook.lead:.0f} s: {slots} slots"
            + (", panic" if outlook.panic else ""),
        )


def _by_metric(target: float, gauges: hpa.Gauges, tolerance: float) -> int:
    """Return what a metric asks for.

    Where the formula leaves things as they are, it counts backends that boot for other reasons
    too; only so many of them are asked for as the load explains.
    """
    now = gauges.replicas
    wanted = hpa.replicas(gauges, target, tolerance)
    if wanted != now or not gauges.values:
        return wanted
    explained = hpa.up(sum(gauges.values) / target)
    return min(now, max(len(gauges.values) + gauges.missing, explained))


def _bound(whole: Sum, policy: ScalingPolicy, utc: float) -> None:
    for schedule in policy.schedules:
        if schedule.window.active(utc):
            whole.raise_to(TermName.SCHEDULE, schedule.minimum, f"at least {schedule.minimum} now")
    whole.raised_to(TermName.MINIMUM, policy.minimum, f"never under {policy.minimum}")
    whole.lower_to(TermName.MAXIMUM, policy.maximum, f"never over {policy.maximum}")
