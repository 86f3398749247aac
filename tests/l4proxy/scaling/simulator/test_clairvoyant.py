"""The fewest backends that could have carried a load."""

from l4proxy.scaling.policy import FreeSessions, ScalingPolicy
from l4proxy.scaling.simulator.clairvoyant import clairvoyant, hours, sessions_over_time
from l4proxy.scaling.simulator.trace import Arrival, Trace
from l4proxy.scaling.simulator.world import Setting

# One session all the time, and three more from the second 100 to the second 150.
TRACE = Trace("t", (Arrival(0, 1000), *(Arrival(100, 50),) * 3), 200)
POLICY = ScalingPolicy(1, 10, sessions_per_backend=1, free=FreeSessions(0), standby=1)


def test_sessions_are_counted_at_their_most() -> None:
    """A step has the most that were open at once in it."""
    assert sessions_over_time(TRACE, 50.0) == [1, 1, 4, 4, 1]
    assert sessions_over_time(Trace("t", (Arrival(10, 1), Arrival(12, 1)), 20), 20.0)[0] == 1


def test_backends_are_there_one_boot_before_they_are_needed() -> None:
    """Boot, free slots, standby and bounds are as for everybody."""
    setting = Setting(slots=1, boot=15, attest=5)
    found = clairvoyant(TRACE, setting, POLICY)
    assert (found[0], found[15], found[16], found[30], found[31]) == (2, 2, 5, 5, 2)
    assert max(clairvoyant(TRACE, setting, ScalingPolicy(1, 3, sessions_per_backend=1))) == 3
    assert min(clairvoyant(TRACE, setting, ScalingPolicy(4, 9, sessions_per_backend=1))) == 4


def test_hours_are_hours() -> None:
    """Two backends for an hour of steps are two backend-hours."""
    assert hours([2] * 720) == 2
