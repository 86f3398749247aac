"""What was measured: every value of every round, by measure and proxy."""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from statistics import median

OURS = "l4proxy"
COMPILED = "l4proxy compiled"
YARDSTICKS = ("HAProxy", "nginx")
"""The peers whose best is 1.0; the others are shown beside them."""

DIRECT = "direct"
"""The column of the load without any proxy."""


class Yardstick(Enum):
    """What a target is a ratio to."""

    BEST = "the best of HAProxy and nginx"
    HAPROXY = "HAProxy"
    SELF_AT_100 = "itself with 100 open"


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured; less is better, unless it is a rate.

    Attributes:
        key: Its name in the results.
        title: Its name in the table.
        unit: What the values are in.
        target: What our ratio is to be at most; None: shown without a target.
        yardstick: What the ratio is to.
        digits: Decimals in the table.
    """

    key: str
    title: str
    unit: str
    target: float | None = None
    yardstick: Yardstick | None = Yardstick.BEST
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """The rounds of one measure and proxy."""

    median: float
    least: float
    most: float


class Results:
    """Values as they come in."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, key: str, who: str, value: float) -> None:
        """Take the value of a round."""
        self._values[key][who].append(value)

    def spread(self, key: str, who: str) -> Spread | None:
        """What the rounds say; None where nothing was measured."""
        values = self._values.get(key, {}).get(who)
        return Spread(median(values), min(values), max(values)) if values else None

    def middle(self, key: str, who: str) -> float | None:
        """The median of the rounds; None where nothing was measured."""
        spread = self.spread(key, who)
        return None if spread is None else spread.median

    def ratio(self, measure: Measure, who: str = OURS) -> float | None:
        """How many times the yardstick it costs; None where one of them was not measured."""
        own = self.middle(measure.key, who)
        base = self._base(measure, who)
        return None if own is None or not base else own / base

    def plain(self) -> dict[str, dict[str, list[float]]]:
        """Every value, for a file."""
        return {key: dict(by_peer) for key, by_peer in self._values.items()}

    def _base(self, measure: Measure, who: str) -> float | None:
        match measure.yardstick:
            case Yardstick.BEST:
                found = [self.middle(measure.key, name) for name in YARDSTICKS]
                return min((value for value in found if value is not None), default=None)
            case Yardstick.HAPROXY:
                return self.middle(measure.key, "HAProxy")
            case Yardstick.SELF_AT_100:
                return self.middle(measure.key.rpartition("_")[0] + "_100", who)
            case None:
                return None
