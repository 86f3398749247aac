"""What scaling by sessions is to reach, in the simulator: figures of the model, not timings.

Boot and attestation take 90 s, the base load is ten backends with a fifth of their slots free, a
session lasts 30 minutes as a mean (ten of them idle), the trace four hours, and two backends are
on standby, for the clairvoyant minimum too.
"""

from functools import cache
from random import Random

import pytest

from l4proxy.scaling.policy import ScalingPolicy
from l4proxy.scaling.simulator.clairvoyant import clairvoyant, hours
from l4proxy.scaling.simulator.replay import Result, replay
from l4proxy.scaling.simulator.scalers import Hpa, Recommender
from l4proxy.scaling.simulator.trace import Load, synthetic
from l4proxy.scaling.simulator.world import Setting

POLICY = ScalingPolicy(2, 200, sessions_per_backend=100, standby=2)
SEEDS = (1,)
TRACES = "diurnal", "ramp", "sawtooth", "spike"


@cache
def result(name: str, seed: int) -> tuple[Result, Result, float]:
    """Ours, that of HPA, and the backend-hours of the clairvoyant minimum."""
    trace = synthetic(name, Load(sessions=800), Random(seed).random)
    minimum = clairvoyant(trace, Setting(), POLICY)
    setting = Setting(backends=minimum[0])
    ours = replay(trace, setting, Recommender(POLICY))
    return ours, replay(trace, setting, Hpa(POLICY)), hours(minimum)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["diurnal", "ramp", "sawtooth"])
def test_nobody_waits_where_load_moves_as_load_does(name: str, seed: int) -> None:
    """No session is refused, and none is parked for over a second."""
    assert result(name, seed)[0].late == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spike_of_ten_times_is_borne_by_two_standbys(seed: int) -> None:
    """At most one session in a hundred waits for over a second or is refused."""
    ours = result("spike", seed)[0]
    assert ours.late <= ours.sessions / 100


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["diurnal", "ramp"])
def test_it_costs_little_more_than_the_least(name: str, seed: int) -> None:
    """Backend-hours are within 1.15 of somebody's who knew it all beforehand."""
    ours, _, least = result(name, seed)
    assert ours.backend_hours <= 1.15 * least


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TRACES)
def test_no_session_is_ever_broken(name: str, seed: int) -> None:
    """Scale-in ends no session; HPA's ends some on each of these traces."""
    ours, hpa, _ = result(name, seed)
    assert ours.broken == 0
    assert hpa.broken > 0


def test_it_flaps_at_most_half_as_often_as_hpa() -> None:
    """Over all traces, steps that are taken back within half an hour."""
    pairs = [result(name, seed)[:2] for name in TRACES for seed in SEEDS]
    assert sum(ours.flaps for ours, _ in pairs) <= sum(hpa.flaps for _, hpa in pairs) / 2
