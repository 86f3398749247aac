"""Who takes new sessions: few that fill up, while the others rest and empty by themselves."""

from typing import NamedTuple

from l4proxy.scaling.fleet import Member
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.report import BackendState
from routing import BackendName, Mark


class Watch(NamedTuple):
    """Who is to change between waking and resting.

    Attributes:
        rest: Those that are to take no new sessions for now.
        wake: Those that rest and are to take new ones.
        mark: How workers wake the others meanwhile.

    """

    rest: tuple[BackendName, ...]
    wake: tuple[BackendName, ...]
    mark: Mark


def watch(
    members: list[Member], drains: list[Member], policy: ScalingPolicy, least: int, *, calm: bool
) -> Watch:
    """Return who rests and who wakes.

    Args:
        members: Those that stay, the first victim first.
        drains: Those that drain and may be called back, the first victim first.
        policy: The pool's.
        least: How many are to be awake at least.
        calm: Whether anybody may be sent to rest.

    """
    awake = [member for member in members if member.state is not BackendState.STANDBY]
    asleep = [member for member in members if member.state is BackendState.STANDBY]
    below = policy.wake_below if policy.sessions_per_backend is not None else 0
    free = sum(member.free for member in awake)
    if not policy.pack:
        least = max(least, len(members) - policy.standby)
    wake: list[Member] = []
    while asleep and (free < below or len(awake) + len(wake) < least):
        wake.append(asleep.pop())
        free += wake[-1].free
    most = len(awake) - max(1, least)
    if policy.sessions_per_backend is None:
        most = min(most, policy.standby - len(asleep))
    rest = [] if wake or not calm else _superfluous(awake[: max(0, most)], free, 2 * below)
    order = sorted([*drains, *asleep, *rest], key=_call_back)
    return Watch(
        tuple(member.name for member in rest),
        tuple(member.name for member in wake),
        Mark(below, tuple(member.name for member in order)),
    )


def _superfluous(awake: list[Member], free: int, keep: int) -> list[Member]:
    """Return those without whom so many slots are free still, fewest sessions first."""
    rest = []
    for member in awake:
        free -= member.free
        if free < keep:
            break
        rest.append(member)
    return rest


def _call_back(member: Member) -> tuple[int, bool, float, float, BackendName]:
    """Order those that rest: most sessions first, and a drain before a backend that is fresh."""
    fresh = member.state is not BackendState.DRAINING
    return (-member.sessions, fresh, -member.image_at, -member.started_at, member.name)
