"""Windows of the week: a start in cron's five fields, and how long it lasts. All in UTC."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

_DAY: Final = 86_400

_LEAST_SECONDS: Final = 60
MAX_WINDOW_SECONDS: Final = 7 * _DAY
"""The longest window, a week: what lasts longer is the pool's minimum."""

_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_SUNDAY: Final = 7


class BadCron(ValueError):
    """A text that is no start of a window, or a length that no window has."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes at which something begins.

    Attributes:
        minutes: 0 to 59, rising.
        hours: 0 to 23, rising.
        days: Of the month; None: any.
        months: 1 to 12.
        weekdays: 1 (Monday) to 7; None: any. With both kinds of days given, either will do.
        text: As it was written.

    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read `minute hour day month weekday`: `*`, `7`, `1-5`, `*/15`, and lists of them.

        Raises:
            BadCron: It is nothing of the kind, or names a minute, an hour or a day that none is.

        """
        fields = text.split()
        if len(fields) != len(_RANGES):
            raise BadCron(f"found {text!r}, expected five fields: minute hour day month weekday")
        read = [_field(field, *bounds) for field, bounds in zip(fields, _RANGES, strict=True)]
        minutes, hours, days, months, weekdays = read
        return cls(
            tuple(sorted(minutes)),
            tuple(sorted(hours)),
            None if fields[2] == "*" else days,
            months,
            None if fields[4] == "*" else frozenset(day or _SUNDAY for day in weekdays),
            " ".join(fields),
        )

    def __str__(self) -> str:
        return self.text

    def has_day(self, day: date) -> bool:
        """Tell whether something begins on a day."""
        if day.month not in self.months:
            return False
        if self.days is None or self.weekdays is None:
            by_month = self.days is None or day.day in self.days
            return by_month and (self.weekdays is None or day.isoweekday() in self.weekdays)
        return day.day in self.days or day.isoweekday() in self.weekdays


@dataclass(frozen=True, slots=True)
class CronWindow:
    """Stretches of time that begin by a cron and last so many seconds.

    Raises:
        BadCron: The length is not between a minute and `MAX_WINDOW_SECONDS`.

    """

    starts: Cron
    seconds: float

    def __post_init__(self) -> None:
        if not _LEAST_SECONDS <= self.seconds <= MAX_WINDOW_SECONDS:
            raise BadCron(f"found a window of {self.seconds:g} s, expected a minute to a week")

    def active(self, utc: float) -> bool:
        """Tell whether a moment, in seconds UTC, lies in such a stretch."""
        moment = datetime.fromtimestamp(utc, UTC)
        reach = int(self.seconds // _DAY) + 2
        for back in range(reach):
            day = moment.date() - timedelta(days=back)
            if self.starts.has_day(day):
                start = self._last_start(day, utc)
                if start is not None:
                    return utc - start < self.seconds
        return False

    def _last_start(self, day: date, utc: float) -> float | None:
        """Return the last start on a day that is not after a moment."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        starts = (
            midnight + hour * 3600 + minute * 60
            for hour in reversed(self.starts.hours)
            for minute in reversed(self.starts.minutes)
        )
        return next((start for start in starts if start <= utc), None)


def _field(text: str, low: int, high: int) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _part(part, low, high))


def _part(text: str, low: int, high: int) -> range:
    span, _, step = text.partition("/")
    first, dash, last = span.partition("-")
    if span == "*":
        first, last = str(low), str(high)
    elif not dash:
        last = str(high) if step else first
    numbers = (first, last, step or "1")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise BadCron(f"found {text!r}, expected *, a number, a range or a step")
    begin, end, stride = (int(number[:4]) for number in numbers)
    if not low <= begin <= end <= high or stride == 0:
        raise BadCron(f"found {text!r}, expected something from {low} to {high}")
    return range(begin, end + 1, stride)
