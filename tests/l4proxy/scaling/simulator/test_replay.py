"""A trace against a scaler."""

from random import Random

import pytest

from l4proxy.scaling.policy import FreeSessions, ScalingPolicy
from l4proxy.scaling.report import Observation
from l4proxy.scaling.simulator.replay import replay
from l4proxy.scaling.simulator.scalers import AgonesBuffer, Fixed, Hpa, Orders, Recommender
from l4proxy.scaling.simulator.trace import Arrival, Load, Trace, synthetic
from l4proxy.scaling.simulator.world import Setting

HOUR = 3600


class EverySecond:
    """One backend that is looked at each second."""

    period = 1.0

    def round(self, seen: Observation, now: float) -> Orders:
        """Keep it."""
        del seen, now
        return Orders(1)


FOUR = tuple(Arrival(float(at), 600.0) for at in range(4))


def test_a_fixed_pool_costs_what_it_is() -> None:
    """Two backends for an hour: two backend-hours, no flap, nobody broken."""
    result = replay(Trace("t", FOUR, HOUR), Setting(slots=2, backends=2), Fixed(2))
    assert (result.sessions, result.refused, result.late) == (4, 0, 0)
    assert result.backend_hours == pytest.approx(2)
    assert (result.flaps, result.broken, result.most) == (0, 0, 2)
    assert len(result.moments) == 61


def test_those_without_room_are_counted() -> None:
    """Refused after their patience, late when they waited for more than a second."""
    arrivals = (Arrival(0.0, 20.0), Arrival(1.0, 600.0), Arrival(2.0, 600.0), Arrival(3.0, 600.0))
    result = replay(Trace("t", arrivals, HOUR), Setting(slots=2, backends=1), Fixed(1))
    assert (result.refused, result.late) == (1, 2)
    assert result.longest == result.mean_wait == 18


def test_a_trace_that_ends_leaves_nobody_uncounted() -> None:
    """Who is still parked at the end is late, too."""
    result = replay(Trace("t", FOUR, 10), Setting(slots=2, backends=1), EverySecond())
    assert result.late == 2


def test_whoever_keeps_the_number_breaks_sessions() -> None:
    """A pool that shrinks without saying who goes takes the youngest, busy or not."""
    at_once = (Arrival(0.0, 600.0),) * 4
    result = replay(Trace("t", at_once, HOUR), Setting(slots=4, backends=2), Fixed(1))
    assert result.broken == 2


def test_agones_spares_who_is_busy() -> None:
    """Servers with sessions stay, although they are too many."""
    policy = ScalingPolicy(1, 9, sessions_per_backend=4, free=FreeSessions(0))
    result = replay(Trace("t", FOUR, HOUR), Setting(slots=4, backends=3), AgonesBuffer(policy))
    assert result.broken == 0
    assert result.moments[-1].backends == 1


def test_a_step_taken_back_is_a_flap() -> None:
    """A backend that is ordered and removed within half an hour was not worth its boot."""
    burst = tuple(Arrival(600.0, 60.0) for _ in range(30))
    policy = ScalingPolicy(1, 9, sessions_per_backend=10, free=FreeSessions(20))
    result = replay(Trace("t", (*FOUR, *burst), HOUR), Setting(slots=10, backends=1), Hpa(policy))
    assert result.flaps == 1


def test_the_same_trace_gives_the_same_result() -> None:
    """There is no chance in a replay."""
    trace = synthetic("sawtooth", Load(sessions=160, seconds=HOUR), Random(1).random)
    policy = ScalingPolicy(sessions_per_backend=20)
    one, same = (
        replay(trace, Setting(slots=20, backends=10), Recommender(policy)) for _ in range(2)
    )
    assert one == same


def test_a_deadline_may_break_sessions() -> None:
    """Who sets one lets a drain end with sessions on it; without one none ever does."""
    load = Load(sessions=200, seconds=2 * HOUR)
    trace = synthetic("spike", load, Random(1).random)
    broken = []
    for timeout in (None, 60.0):
        policy = ScalingPolicy(
            1, 60, sessions_per_backend=20, stabilisation=120.0, drain_timeout=timeout
        )
        setting = Setting(slots=20, backends=13)
        broken.append(replay(trace, setting, Recommender(policy)).broken)
    assert broken[0] == 0 < broken[1]
