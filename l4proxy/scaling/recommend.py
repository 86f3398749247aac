"""A round of scaling: what was observed in, what is to be done out, and nothing else touched.

    recommend(observation, policy, state, now) -> (Decision, ScalingState)

The sum of `need` is steadied: upwards by a rate limit, downwards by a window in which the largest
need counts. What is over it drains first (`shrink`); the number itself is lowered only by victims
that are empty or past their deadline. So it never falls because somebody does not answer.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from l4proxy.scaling.awake import Watch, watch
from l4proxy.scaling.decision import Decision, Outlook, TermName
from l4proxy.scaling.fleet import Fleet, Member, sort_out
from l4proxy.scaling.forecast import Memory, foresee, spike
from l4proxy.scaling.hpa import Change, most_replicas
from l4proxy.scaling.need import Load, Sum, need
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.report import Observation
from l4proxy.scaling.shrink import Bounds, Drains, Plan, after, plan, released
from routing import BackendName

MAX_STEPS: Final = 512
"""Steps that the window and the rate limit remember: half an hour of rounds has 360."""

MIN_SPIKE: Final = 5
"""Sessions that a spike has at least: fewer come together by chance in any pool."""

_PANIC: Final = 60.0  # seconds that a panic lasts after its last cause, as Knative's stable window


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What a round hands to the next; a fresh one for a pool that was never looked at.

    Attributes:
        desired: What was asked for last; None: nothing was.
        held: Backends that were there at once and were not released: never asked for fewer.
        away: Those that the last round found failed, or drained by an operator.
        needs: The needs of the stabilisation window, falling, and when each was found.
        grown: Steps upwards, for the rate limit.
        drains: Who drains.
        memory: What the forecast is made of.
        panic_until: When the panic ends, in seconds, monotonic.

    """

    desired: int | None = None
    held: int = 0
    away: frozenset[BackendName] = frozenset()
    needs: tuple[Change, ...] = ()
    grown: tuple[Change, ...] = ()
    drains: Drains = field(default_factory=Drains)
    memory: Memory = field(default_factory=Memory)
    panic_until: float | None = None


def recommend(
    observation: Observation, policy: ScalingPolicy, state: ScalingState, now: float
) -> tuple[Decision, ScalingState]:
    """Decide what a pool needs, with every term of the sum, and who is to drain, rest or wake.

    Args:
        observation: The pool as of now.
        policy: What its operator asks for.
        state: What the last round handed on.
        now: Seconds, monotonic. A clock that jumps costs the forecast its trend, nothing else.

    """
    present = frozenset(report.name for report in observation.backends)
    before = replace(state.drains, released=released(state.drains, present, now))
    fleet = sort_out(observation, policy, before.released, now)
    outlook, memory, panic_until = _look_ahead(observation, policy, fleet, state, now)
    load = Load(fleet.sessions, max(0, observation.parked), outlook)
    whole = need(fleet, policy, load, observation.utc)
    held = max(state.held - len(state.away - present), fleet.size)
    asked = max(min(state.desired or 0, policy.maximum), held)
    needs = _steadied(whole, policy, state.needs or (Change(now, asked),), now)
    _tolerate(whole, policy, asked)
    if not fleet.complete:
        whole.raised_to(TermName.MISSING_DATA, asked, "data is missing, so nothing shrinks")
    if not outlook.panic:
        most = max(most_replicas(now, asked, state.grown, policy.grow), asked, policy.minimum)
        whole.lower_to(TermName.RATE_LIMIT, most, f"up to {most} at the rate that is allowed")
    calm = fleet.complete and not outlook.panic and not observation.blurred
    bounds = Bounds(fleet.size - whole.total, policy.shrink, policy.drain_timeout, calm)
    planned = plan(fleet, before, bounds, now)
    if outlook.expected > outlook.now or observation.blurred:
        planned = planned.kept()
    held -= len(planned.release)
    whole.raised_to(TermName.DRAINING, held, "were there and have not been released yet")
    drains = after(planned, before, policy.shrink, now)
    watched = watch(*_settled(fleet, planned, drains), policy, whole.busy, calm=calm)
    following = ScalingState(
        whole.total,
        held,
        frozenset(fleet.failed + fleet.taken),
        needs,
        _grown(state.grown, whole.total - asked, policy, now),
        drains,
        memory,
        panic_until,
    )
    return _told(fleet, whole, planned, watched, outlook), following


def _look_ahead(
    observation: Observation, policy: ScalingPolicy, fleet: Fleet, state: ScalingState, now: float
) -> tuple[Outlook, Memory, float | None]:
    """Return what to expect; in a panic, that the load goes on as it did in the last seconds."""
    load = fleet.sessions + max(0, observation.parked)
    outlook, memory = foresee(state.memory, load, fleet.lead, now, observation.utc)
    each = policy.sessions_per_backend
    until = state.panic_until
    if each is None:
        return outlook, memory, until
    slots = sum(member.slots for member in fleet.alive) + each * len(fleet.coming)
    rise, slope = spike(memory)
    growth = slope * fleet.lead
    if rise >= MIN_SPIKE and growth >= policy.panic * (slots - load):
        until = now + _PANIC
    if until is None or not 0 < until - now <= _PANIC:
        return outlook, memory, None
    expected = max(outlook.expected, load + growth)
    return outlook._replace(expected=expected, panic=True), memory, until


def _steadied(
    whole: Sum, policy: ScalingPolicy, needs: tuple[Change, ...], now: float
) -> tuple[Change, ...]:
    """Raise a sum to the largest of the window, and return the window with it."""
    asked = whole.total
    kept = [
        past
        for past in needs
        if past.backends > asked and 0 <= now - past.at <= policy.stabilisation
    ]
    if kept:
        most = min(kept[0].backends, policy.maximum)
        ago = now - kept[0].at
        whole.raised_to(TermName.STABILISATION, most, f"{most} were needed {ago:.0f} s ago")
    return (*kept[:MAX_STEPS], Change(now, asked))


def _tolerate(whole: Sum, policy: ScalingPolicy, target: int) -> None:
    """Leave a target as it is while the need is hardly below it."""
    least = target - int(policy.tolerance * target)
    if least <= whole.total < target:
        most = min(target, policy.maximum)
        whole.raised_to(TermName.TOLERANCE, most, f"a need of {least} to {most} changes nothing")


def _settled(fleet: Fleet, planned: Plan, drains: Drains) -> tuple[list[Member], list[Member]]:
    """Return who stays, and who drains but may still be called back."""
    leaving = {member.name for member in (*planned.going, *planned.drain)}
    final = drains.sealed | drains.released.keys()
    staying = [member for member in fleet.alive if member.name not in leaving]
    back = [member for member in fleet.alive if member.name in leaving - final]
    return staying, back


def _grown(
    grown: tuple[Change, ...], step: int, policy: ScalingPolicy, now: float
) -> tuple[Change, ...]:
    kept = tuple(change for change in grown if 0 <= now - change.at < policy.grow.seconds)
    return (*kept, Change(now, step))[-MAX_STEPS:] if step > 0 else kept


def _told(fleet: Fleet, whole: Sum, planned: Plan, watched: Watch, outlook: Outlook) -> Decision:
    return Decision(
        whole.total,
        tuple(whole.terms),
        tuple(member.name for member in planned.drain),
        tuple(member.name for member in planned.cancel),
        watched.rest,
        watched.wake,
        tuple(member.name for member in planned.release),
        fleet.failed,
        watched.mark,
        outlook,
        fleet.doubts,
    )
