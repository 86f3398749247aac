"""A simulation as a picture: load, capacity and decisions over time."""

from collections.abc import Sequence
from pathlib import Path

from l4proxy.cli.simulation import OURS, Comparison
from l4proxy.scaling.simulator.clairvoyant import STEP_SECONDS
from l4proxy.scaling.simulator.replay import Moment

SUFFIXES = (".png", ".svg")
"""What a picture may be."""

_HOUR = 3600


class NoPlot(Exception):
    """No picture can be drawn: matplotlib is not there, or the file is to be something else."""


def draw(comparison: Comparison, path: Path) -> None:
    """Draw a comparison into a file.

    Above are the sessions and what could take them, below the backends that were asked for, those
    that were there, and those that took new sessions; the others' backends beside them.

    Raises:
        NoPlot: The file's name ends in neither `.png` nor `.svg`, or matplotlib is not installed.
        OSError: The file cannot be written.

    """
    if path.suffix not in SUFFIXES:
        raise NoPlot(f"found {path.name!r}, expected a name that ends in {' or '.join(SUFFIXES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NoPlot("plots need matplotlib: pip install 'l4proxy[plots]'") from error
    moments = comparison.results[OURS].moments
    hours = _hours(moments)
    figure = Figure(figsize=(11, 7), layout="constrained")
    load, backends = figure.subplots(2, 1, sharex=True)
    slots = comparison.slots
    load.set_title(f"{comparison.trace.name}: sessions and room for them")
    load.fill_between(hours, [moment.sessions for moment in moments], alpha=0.4, label="sessions")
    load.step(hours, [moment.awake * slots for moment in moments], label="slots, awake")
    load.step(hours, [moment.serving * slots for moment in moments], label="slots, all")
    load.plot(hours, [moment.parked for moment in moments], label="parked", color="red")
    load.legend(loc="upper right")
    backends.set_title("backends")
    backends.step(hours, [moment.desired for moment in moments], label="desired", linewidth=2)
    backends.step(hours, [moment.serving for moment in moments], label="attested")
    backends.step(hours, [moment.awake for moment in moments], label="awake")
    minimum = comparison.minimum
    places = [number * STEP_SECONDS / _HOUR for number in range(len(minimum))]
    backends.step(places, minimum, label="clairvoyant minimum", color="black", linestyle=":")
    for name, result in comparison.results.items():
        if name != OURS:
            counts = [moment.backends for moment in result.moments]
            backends.step(_hours(result.moments), counts, label=name, alpha=0.5, linewidth=1)
    backends.set_xlabel("hours")
    backends.legend(loc="upper right", ncols=2)
    figure.savefig(path)


def _hours(moments: Sequence[Moment]) -> list[float]:
    return [moment.at / _HOUR for moment in moments]
