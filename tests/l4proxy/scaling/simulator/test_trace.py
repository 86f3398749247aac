"""Load to replay."""

from random import Random

import pytest

from l4proxy.scaling.simulator.clairvoyant import sessions_over_time
from l4proxy.scaling.simulator.trace import (
    IDLE_SECONDS,
    SHAPES,
    Arrival,
    BadTrace,
    Load,
    read_csv,
    synthetic,
)

SMALL = Load(sessions=200, seconds=7200)


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_seed_gives_the_same_load(name: str) -> None:
    """A trace is a function of its draws, in order, within its time."""
    one, same = (synthetic(name, SMALL, Random(7).random) for _ in range(2))
    assert one == same
    assert list(one.arrivals) == sorted(one.arrivals, key=lambda arrival: arrival.at)
    assert all(0 <= at < 7200 and seconds > 0 for at, seconds in one.arrivals)
    assert one != synthetic(name, SMALL, Random(8).random)


def test_a_trace_begins_as_if_it_had_gone_on() -> None:
    """At the first second there are as many sessions as the base load says."""
    trace = synthetic("ramp", Load(sessions=1000), Random(1).random)
    first, *_ = sessions_over_time(trace, 5.0)
    assert 850 <= first <= 1150


def test_sessions_last_as_long_as_they_should() -> None:
    """The mean is what was asked for, and none that begins in the trace is shorter than idle."""
    trace = synthetic("ramp", Load(sessions=2000), Random(1).random)
    lasted = [seconds for at, seconds in trace.arrivals if at > 0]
    assert sum(lasted) / len(lasted) == pytest.approx(1800, rel=0.05)
    assert min(lasted) >= IDLE_SECONDS


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("diurnal", 2.5, 3.5), ("ramp", 2.7, 3.3), ("spike", 3.5, 6), ("flash-crowd", 5, 9),
     ("sawtooth", 1.3, 2.2)],
)  # fmt: skip
def test_shapes_are_what_they_are_called(name: str, least: float, most: float) -> None:
    """How many times more sessions there are at the peak than in the valley."""
    seen = sessions_over_time(synthetic(name, Load(sessions=2000), Random(3).random), 60.0)
    assert least <= max(seen) / min(seen) <= most


def test_a_shape_nobody_knows_is_refused() -> None:
    """The error names those that there are."""
    with pytest.raises(BadTrace, match="diurnal, ramp, spike"):
        synthetic("tide", SMALL, Random(1).random)


def test_a_synthetic_trace_is_bounded() -> None:
    """What no memory holds is refused before the first session is drawn; a short one is fine."""
    with pytest.raises(BadTrace, match="a second for so long"):
        synthetic("ramp", Load(sessions=100_000, mean=1.0, idle=0.5), Random(1).random)
    assert synthetic("ramp", Load(sessions=10, seconds=0.5), Random(1).random).arrivals


def test_a_csv_is_read_in_any_order() -> None:
    """A heading and empty lines are passed over; sessions come out by their beginning."""
    trace = read_csv("t", ["arrival,duration\n", "5, 10\n", "\n", "1.5,2\n"])
    assert trace.arrivals == (Arrival(1.5, 2), Arrival(5, 10))
    assert trace.seconds == 6


@pytest.mark.parametrize(
    "line", ["1", "1,2,3", "a,b", "1,nan", "inf,1", "-1,5", "1,0", "1,-1", "1e9,1", "1,1e9", "\x00"]
)
def test_what_is_no_session_is_refused(line: str) -> None:
    """A line that makes no sense is told by its number."""
    with pytest.raises(BadTrace, match="line 2"):
        read_csv("t", ["1,1", line])


def test_an_empty_csv_is_refused() -> None:
    """Nothing to replay is a mistake."""
    with pytest.raises(BadTrace, match="no session"):
        read_csv("t", ["arrival,duration"])


def test_a_csv_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions than fit are refused before they are all read."""
    monkeypatch.setattr("l4proxy.scaling.simulator.trace.MAX_SESSIONS", 3)
    with pytest.raises(BadTrace, match="over 3"):
        read_csv("t", ["1,1"] * 10)
