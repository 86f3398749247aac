"""Windows of the week."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.scaling.cron import MAX_WINDOW_SECONDS, BadCron, Cron, CronWindow


def utc(text: str) -> float:
    """Seconds of a moment."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("cron", "hours", "moment", "active"),
    [
        ("0 8 * * 1-5", 10, "2026-11-23T08:00", True),  # a Monday
        ("0 8 * * 1-5", 10, "2026-11-23T17:59", True),
        ("0 8 * * 1-5", 10, "2026-11-23T18:00", False),
        ("0 8 * * 1-5", 10, "2026-11-22T09:00", False),  # a Sunday
        ("0 22 * * 0", 6, "2026-11-23T03:59", True),  # over midnight
        ("0 22 * * 7", 6, "2026-11-23T04:00", False),
        ("0 0 1 * 1", 1, "2026-11-23T00:30", True),  # either kind of day will do
        ("0 0 1 * 1", 1, "2026-12-01T00:30", True),
        ("0 0 1 * 1", 1, "2026-12-02T00:30", False),
        ("0 0 13 * *", 1, "2026-11-13T00:30", True),
        ("*/15 9-10 * 11 *", 1 / 4, "2026-11-23T10:59", True),
        ("*/15 9-10 * 12 *", 1 / 4, "2026-11-23T10:59", False),
        ("30/20 9 * * *", 1 / 60, "2026-11-23T09:50:59", True),
        ("0 0 * * 1", 168, "2026-11-29T23:59", True),
    ],
)
def test_a_window_is_open_from_its_start(
    cron: str, hours: float, moment: str, active: bool
) -> None:
    """It is open at its first second, and shut at the second after its last."""
    assert CronWindow(Cron.parse(cron), hours * 3600).active(utc(moment)) is active


@pytest.mark.parametrize(
    "text", ["", "0 8 * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *",
             "x * * * *", "-1 * * * *", "1, * * * *", "99999999999999 * * * *"],
)  # fmt: skip
def test_what_is_no_cron_is_refused(text: str) -> None:
    """What never comes, or is no number, is an error that says what was found."""
    with pytest.raises(BadCron, match="found"):
        Cron.parse(text)


@pytest.mark.parametrize("seconds", [0, 59, MAX_WINDOW_SECONDS + 1])
def test_a_window_has_a_length(seconds: float) -> None:
    """A window is between a minute and a week long."""
    with pytest.raises(BadCron):
        CronWindow(Cron.parse("0 0 * * *"), seconds)


@given(
    st.integers(0, 59), st.integers(0, 23), st.integers(60, 86_400),
    st.integers(1_700_000_000, 1_800_000_000),
)  # fmt: skip
def test_a_daily_window_is_open_its_share_of_the_day(
    minute: int, hour: int, seconds: int, now: int
) -> None:
    """Whether a daily window is open is arithmetic on the second of the day."""
    window = CronWindow(Cron.parse(f"{minute} {hour} * * *"), seconds)
    since = (now - hour * 3600 - minute * 60) % 86_400
    assert window.active(now) is (since < seconds)
