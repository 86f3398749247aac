"""The week as it usually goes: how the load rises and falls by the hour."""

from dataclasses import dataclass, replace
from typing import Final

SLOT_SECONDS: Final = 1800.0
"""How finely a week is remembered: half an hour, the scale on which people come and go."""

_DAY: Final = 48  # slots
_WEEK: Final = 7 * _DAY
_THURSDAY: Final = 3 * _DAY  # the first of January 1970 was one; a week begins on Monday
_LEARNING: Final = 0.5  # the weight of this week beside all before it


@dataclass(frozen=True, slots=True)
class Season:
    """The mean load of each half hour of a week, where it was seen.

    Attributes:
        profile: The means, from Monday 00:00 UTC on; None: not seen yet.
        slot: The half hour that goes on now, counted from 1970; None: nothing was seen.
        total: Of the loads seen in it.
        count: How many those are.

    """

    profile: tuple[float | None, ...] = (None,) * _WEEK
    slot: int | None = None
    total: float = 0.0
    count: int = 0

    def seen(self, utc: float, load: float) -> "Season":
        """Return the season with one more load in it."""
        slot = int(utc // SLOT_SECONDS)
        if slot == self.slot:
            return replace(self, total=self.total + load, count=self.count + 1)
        profile = self.profile
        if self.slot is not None:
            mean = self.total / self.count
            where = _of_week(self.slot)
            before = profile[where]
            after = mean if before is None else before + _LEARNING * (mean - before)
            profile = (*profile[:where], after, *profile[where + 1 :])
        return Season(profile, slot, load, 1)

    def slope(self, utc: float) -> float:
        """Return how fast the load usually changes at this hour, a second; 0: nobody knows.

        The same hour of last week says it, else that of yesterday.
        """
        place = utc / SLOT_SECONDS - 0.5  # a mean stands for the middle of its half hour
        slot = int(place // 1)
        for back in (0, _DAY):
            here = self.profile[_of_week(slot - back)]
            there = self.profile[_of_week(slot + 1 - back)]
            if here is not None and there is not None:
                return (there - here) / SLOT_SECONDS
        return 0.0


def _of_week(slot: int) -> int:
    return (slot + _THURSDAY) % _WEEK
