"""Scale-in, drain first: who is to go, who may stay after all, and who may be removed now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from l4proxy.scaling.fleet import Fleet, Member
from l4proxy.scaling.hpa import Change, RateLimit, least_replicas
from l4proxy.scaling.report import BackendState
from routing import BackendName

MAX_RELEASE_SECONDS: Final = 600.0
"""How long a victim may take to be removed; one that is there still counts as staying again."""


@dataclass(frozen=True, slots=True)
class Drains:
    """Who drains, as the last round left it.

    Attributes:
        since: When each began to, in seconds, monotonic.
        sealed: Those found empty, whom no worker may wake any more.
        released: Those that the lowered number is to remove, and when it was lowered.
        begun: When drains began, for the rate limit.

    """

    since: Mapping[BackendName, float] = field(default_factory=dict)
    sealed: frozenset[BackendName] = frozenset()
    released: Mapping[BackendName, float] = field(default_factory=dict)
    begun: tuple[Change, ...] = ()


class Plan(NamedTuple):
    """Who is to drain.

    Attributes:
        going: Those that drain already and are to go on, the first victim first.
        drain: Those that are to begin, the first victim first.
        cancel: Those that are to stay after all, the one with most sessions first.
        release: Those that may be removed now, the first victim first.

    """

    going: tuple[Member, ...]
    drain: tuple[Member, ...]
    cancel: tuple[Member, ...]
    release: tuple[Member, ...]

    def kept(self) -> "Plan":
        """Return it with nobody removed yet: while load rises, who drains is a reserve."""
        return self._replace(release=())


class Bounds(NamedTuple):
    """How far a round may go: how many are too many, at which rate, until when they may wait."""

    surplus: int
    limit: RateLimit
    timeout: float | None
    calm: bool


def plan(fleet: Fleet, drains: Drains, bounds: Bounds, now: float) -> Plan:
    """Return who drains, begins to, need not, and may be removed."""
    draining = [member for member in fleet.alive if member.state is BackendState.DRAINING]
    surplus = max(0, bounds.surplus)
    going, cancel = draining[:surplus], draining[surplus:]
    begin: list[Member] = []
    if bounds.calm and surplus > len(going):
        staying = [member for member in fleet.alive if member.state is not BackendState.DRAINING]
        left = least_replicas(now, len(staying), drains.begun, bounds.limit)
        begin = staying[: min(surplus - len(going), max(0, len(staying) - left))]
    release = [member for member in going if _may_go(member, drains, bounds.timeout, now)]
    return Plan(tuple(going), tuple(begin), tuple(reversed(cancel)), tuple(release))


def _may_go(member: Member, drains: Drains, timeout: float | None, now: float) -> bool:
    if not member.sessions:
        return member.name in drains.sealed
    since = drains.since.get(member.name)
    return timeout is not None and since is not None and now - since >= timeout


def after(plan: Plan, drains: Drains, limit: RateLimit, now: float) -> Drains:
    """Return what the next round has to know."""
    names = {member.name for member in plan.release}
    kept = [member for member in plan.going if member.name not in names]
    since = {member.name: drains.since.get(member.name, now) for member in kept}
    since |= dict.fromkeys((member.name for member in plan.drain), now)
    begun = tuple(change for change in drains.begun if now - change.at < limit.seconds)
    if plan.drain:
        begun = (*begun, Change(now, -len(plan.drain)))
    return Drains(
        since,
        frozenset(member.name for member in kept if not member.sessions),
        {**drains.released, **dict.fromkeys(names, now)},
        begun,
    )


def released(
    drains: Drains, present: Collection[BackendName], now: float
) -> dict[BackendName, float]:
    """Return the released victims that are there still, and not for too long."""
    return {
        name: at
        for name, at in drains.released.items()
        if name in present and 0 <= now - at < MAX_RELEASE_SECONDS
    }
