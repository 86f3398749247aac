"""Load to replay: sessions that begin at a moment and last for a while."""

from collections.abc import Callable, Iterable, Iterator
from math import exp, inf, isfinite, log, pi, sin
from typing import Final, NamedTuple

Draw = Callable[[], float]
"""Gives a random number from 0 up to 1."""

MAX_SESSIONS: Final = 2_000_000
"""Sessions of a trace: a month of the default load has 1.3 million."""

MAX_TRACE_SECONDS: Final = 31 * 86_400.0
"""The longest trace, a month."""

IDLE_SECONDS: Final = 600.0
"""What each session of a synthetic trace lasts at least: it ends when it was idle for so long."""

_HOUR: Final = 3600.0
_WARMING: Final = 12  # means before the trace begins, so that it begins with sessions of every age


class BadTrace(ValueError):
    """A text that is no trace."""


class Arrival(NamedTuple):
    """A session: when it begins, in seconds from the beginning of the trace; how long it lasts."""

    at: float
    seconds: float


class Trace(NamedTuple):
    """Sessions in the order in which they begin, and how long the replay lasts."""

    name: str
    arrivals: tuple[Arrival, ...]
    seconds: float


class Load(NamedTuple):
    """What a synthetic trace is made of.

    Attributes:
        sessions: Open at once at the base rate.
        mean: How long a session lasts, in seconds, the idle time at its end included.
        seconds: How long the trace lasts.
        idle: The least that a session lasts; what is beyond has no memory.

    """

    sessions: float = 800.0
    mean: float = 1800.0
    seconds: float = 4 * _HOUR
    idle: float = IDLE_SECONDS


def _diurnal(place: float, _: float) -> float:
    return 1 + sin(2 * pi * place) / 2


def _ramp(place: float, _: float) -> float:
    return 1 + 2 * min(1.0, max(0.0, (place - 1 / 8) * 2))


def _spike(_: float, at: float) -> float:
    return 10.0 if _HOUR <= at < _HOUR + 600 else 1.0


def _flash_crowd(_: float, at: float) -> float:
    since = at - _HOUR
    if since < 0:
        return 1.0
    return 1 + 19 * (since / 60 if since < 60 else exp((60 - since) / 600))  # noqa: PLR2004 - one minute


def _sawtooth(place: float, _: float) -> float:
    return 1 + place * 6 % 1


SHAPES: Final[dict[str, Callable[[float, float], float]]] = {
    "diurnal": _diurnal,
    "ramp": _ramp,
    "spike": _spike,
    "flash-crowd": _flash_crowd,
    "sawtooth": _sawtooth,
}
"""Times the base rate, by the share of the trace that is over and by the seconds."""


def synthetic(name: str, load: Load, draw: Draw) -> Trace:
    """Return a trace of a named shape: arrivals by chance at its rate (a Poisson process).

    It begins as if the first rate had gone on for ever.

    Raises:
        BadTrace: No shape has the name, or it would be over `MAX_SESSIONS`.

    """
    shape = SHAPES.get(name)
    if shape is None:
        raise BadTrace(f"found {name!r}, expected one of {', '.join(SHAPES)}")
    seconds = load.seconds
    rate = load.sessions / load.mean
    first = shape(0.0, 0.0)
    most = max(shape(at / seconds, at) for at in range(int(seconds) + 1))
    begin = -_WARMING * load.mean
    if rate * most * (seconds - begin) > MAX_SESSIONS:
        raise BadTrace(f"{rate * most:g} sessions a second for so long are over {MAX_SESSIONS}")
    arrivals = []
    for at in _poisson(rate * most, draw, begin, seconds):
        lasts = load.idle - (load.mean - load.idle) * log(1 - draw())
        if draw() * most < (first if at < 0 else shape(at / seconds, at)):
            arrivals.append(Arrival(at, lasts))
    return Trace(name, _begun(arrivals), seconds)


def _begun(arrivals: Iterable[Arrival]) -> tuple[Arrival, ...]:
    """Return what is left of sessions at the beginning of a trace, and all that follow."""
    return tuple(
        Arrival(max(0.0, at), seconds + min(0.0, at))
        for at, seconds in arrivals
        if at + seconds > 0
    )


def _poisson(rate: float, draw: Draw, begin: float, end: float) -> Iterator[float]:
    at = begin - log(1 - draw()) / rate
    while at < end:
        yield at
        at -= log(1 - draw()) / rate


def read_csv(name: str, lines: Iterable[str]) -> Trace:
    """Read lines of `arrival,duration`, both in seconds; a first line of words is passed over.

    Raises:
        BadTrace: A line is none, numbers are negative or without end, or it is all too much.

    """
    arrivals = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not (number == 1 and line.strip()[0].isalpha()):
            arrivals.append(_arrival(line, number))
        if len(arrivals) > MAX_SESSIONS:
            raise BadTrace(f"over {MAX_SESSIONS} sessions")
    if not arrivals:
        raise BadTrace("found no session, expected lines of arrival,duration in seconds")
    arrivals.sort()
    return Trace(name, tuple(arrivals), arrivals[-1].at + 1)


def _arrival(line: str, number: int) -> Arrival:
    try:
        at, seconds = (float(part) for part in line.split(","))
    except ValueError:
        at, seconds = inf, inf
    if not (isfinite(at) and isfinite(seconds)):
        raise BadTrace(f"line {number}: found {line.strip()[:60]!r}, expected arrival,duration")
    if not 0 <= at <= MAX_TRACE_SECONDS or not 0 < seconds <= MAX_TRACE_SECONDS:
        raise BadTrace(f"line {number}: expected 0 to {MAX_TRACE_SECONDS:.0f} seconds")
    return Arrival(at, seconds)
