"""The fewest backends that could have carried a load, for somebody who knew it beforehand."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from l4proxy.scaling import hpa
from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.simulator.trace import Trace
from l4proxy.scaling.simulator.world import Setting

STEP_SECONDS: Final = 5.0
"""How finely the minimum is worked out: a round."""

_HOUR: Final = 3600.0


def clairvoyant(trace: Trace, setting: Setting, policy: ScalingPolicy) -> list[int]:
    """Return the fewest backends, step by step, of somebody who knows all that will come.

    They hold every session, the same free slots and the same standby, within the same bounds, and
    each is ordered exactly one boot before it is needed. That is a bound from below: sessions may
    move between backends for nothing, so that a backend is gone the moment the sum allows it.
    """
    needed = []
    for sessions in sessions_over_time(trace, STEP_SECONDS):
        wanted = hpa.up(policy.free.slots(sessions) / setting.slots) + policy.standby
        needed.append(max(policy.minimum, min(policy.maximum, wanted)))
    ahead = int((setting.boot + setting.attest) / STEP_SECONDS)
    return [max(needed[at : at + ahead + 1]) for at in range(len(needed))]


def hours(backends: Sequence[int]) -> float:
    """Return the backend-hours of a count a step."""
    return sum(backends) * STEP_SECONDS / _HOUR


def sessions_over_time(trace: Trace, step: float) -> list[int]:
    """Return the most sessions that are open at once in each step of a trace, were all served."""
    moves = [(at, 1) for at, _ in trace.arrivals]
    moves += [(at + seconds, -1) for at, seconds in trace.arrivals]
    moves.sort()
    cells = [0] * (int(trace.seconds / step) + 1)
    now = cell = 0
    for (at, move), (following, _) in pairwise([*moves, (trace.seconds, 0)]):
        now += move
        if at >= trace.seconds:
            break
        first, last = int(at / step), min(int(following / step), len(cells) - 1)
        for cell in range(first, last + 1):
            cells[cell] = max(cells[cell], now)
    return cells
