"""The week as it usually goes."""

import pytest

from l4proxy.scaling.season import SLOT_SECONDS, Season

DAY = 86_400
MONDAY = 4 * DAY  # the fifth of January 1970


def learned(days: int) -> Season:
    """A season that saw load rise by 10 each half hour of each day, in three looks a slot."""
    season = Season()
    for slot in range(days * 48 + 1):
        for look in range(3):
            season = season.seen(MONDAY + slot * SLOT_SECONDS + look * 600, 10.0 * (slot % 48))
    return season


def test_a_fresh_season_knows_nothing() -> None:
    """Without a day behind it there is no slope."""
    assert Season().slope(MONDAY) == 0


def test_yesterday_tells_of_today() -> None:
    """After a day, the same hour of the day says how the load changes."""
    assert learned(1).slope(MONDAY + DAY + 6 * 3600) == pytest.approx(10 / SLOT_SECONDS)


def test_last_week_tells_better() -> None:
    """After a week, the same hour of the week does; midnight is no cliff that is not there."""
    season = learned(8)
    assert season.slope(MONDAY + 8 * DAY + 6 * 3600) == pytest.approx(10 / SLOT_SECONDS)
    assert season.slope(MONDAY + 8 * DAY) == pytest.approx(-470 / SLOT_SECONDS)


def test_a_week_is_all_that_is_remembered() -> None:
    """However long it runs, the profile has a place for each half hour of a week."""
    assert len(learned(20).profile) == 336


def test_the_newest_week_counts_for_half() -> None:
    """A change of habit is believed after a week or two, a freak day never whole."""
    season = Season().seen(MONDAY, 100.0).seen(MONDAY + SLOT_SECONDS, 0.0)
    season = season.seen(MONDAY + 7 * DAY, 200.0).seen(MONDAY + 7 * DAY + SLOT_SECONDS, 0.0)
    assert season.profile[0] == 150
