"""A figure beside its target, and where it is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.balancer import Balancer, Config, running
from tests.e2e.sockets import NAME

GREETED = {NAME.decode(): "app"}
"""Routes of a daemon: the name that clients say leads to the pool `app`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        what: What was measured.
        found: As measured.
        unit: Of what was found.
        target: What we want to reach; empty: the figure is for comparison.
        reached: Whether it is; None: there is no target.
    """

    what: str
    found: float
    unit: str
    target: str = ""
    reached: bool | None = None


def at_most(what: str, found: float, unit: str, most: float) -> Figure:
    """A figure that must not exceed a bound."""
    return Figure(what, found, unit, f"≤ {most:g}" if most else "0", found <= most)


def at_least(what: str, found: float, unit: str, least: float) -> Figure:
    """A figure that must come up to a bound."""
    return Figure(what, found, unit, f"≥ {least:g}", found >= least)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a row runs.

    Attributes:
        folder: For its daemons.
        scale: Of all counts and durations; 1 is full size.
    """

    folder: Path
    scale: float

    def count(self, full: int) -> int:
        """A count at this scale."""
        return max(12, int(full * self.scale))

    @contextmanager
    def daemon(self, config: Config) -> Iterator[Balancer]:
        """A daemon that has no internal failures when the block ends."""
        folder = self.folder / f"daemon-{len(list(self.folder.iterdir()))}"
        with running(folder, {"routes": GREETED, **config}, sticks=False) as balancer:
            yield balancer
            expect(not balancer.status()["internal_failures"], "internal failures")


def expect(held: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like the assert it stands for
    """Raises where something does not hold without which a figure would mean nothing."""
    if not held:
        raise RuntimeError(f"the measurement is void: {otherwise}")
