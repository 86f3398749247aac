"""A wheel of backends, each as wide as its weight: to take turns, or to draw by weight."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import gcd
from typing import Final

from routing.backend import Backend

# A step of this part of a wheel's circumference keeps as far as can be from where it has been, so
# that the turns of a heavy backend are spread between the others'.
_GOLDEN: Final = 0.6180339887498949


class Wheel:
    """Backends side by side, immutable. Nobody turns it: the place is an argument."""

    __slots__ = ("_edges", "backends")

    def __init__(self, backends: Sequence[Backend], weights: Sequence[float]) -> None:
        """Lay out backends, at least one before anything is asked, with one weight each."""
        self.backends = backends
        self._edges = tuple(accumulate(weights))  # where each one ends

    def turn(self, number: int) -> Backend:
        """Return whose turn it is, weights being whole.

        In as many turns in a row as the weights add up to, each backend has as many as its weight:
        the stride has no divisor in common with the circumference, so no place is met twice.
        """
        around = int(self._edges[-1])
        stride = int(around * _GOLDEN)
        while gcd(stride, around) != 1:
            stride += 1
        return self.backends[self._at(number * stride % around)]

    def drawn(self, draw: float) -> Backend:
        """Return one by chance, as likely as it is wide, by one number in [0, 1)."""
        return self.backends[self._at(draw * self._edges[-1])]

    def two_drawn(self, draw: float) -> tuple[Backend, Backend]:
        """Return two by chance, not the same one twice where there are two, by one number.

        Where in the first one's width the number fell is a second number of chance, with which the
        other is drawn from the rest. A double has bits for both.
        """
        place = draw * self._edges[-1]
        one = self._at(place)
        begin = self._edges[one - 1] if one else 0
        width = self._edges[one] - begin
        second = (place - begin) / width * (self._edges[-1] - width)
        other = self._at(second if second < begin else second + width)
        return self.backends[one], self.backends[other]

    def _at(self, place: float) -> int:
        # Rounding may push a place onto the very end, which is the last one's.
        return bisect_right(self._edges, place, 0, len(self._edges) - 1)
