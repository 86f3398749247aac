"""What is believed of what a backend tells."""

import math

import pytest

from l4proxy.control.scrape.claims import (
    LEAST_INTERVAL_SECONDS,
    MOST,
    MOST_INTERVAL_SECONDS,
    OVERSHOOT,
    Claims,
    Refused,
)
from l4proxy.scaling.report import CPU, MetricName, Reading
from l4proxy.series import parse_series

QUEUE, JOBS = MetricName("queue"), MetricName("jobs")


def claims(**series: str) -> Claims:
    """Claims about these."""
    return Claims({MetricName(name): parse_series(text) for name, text in series.items()})


def test_a_value_stays_and_ages() -> None:
    """It is the last one, whatever comes to nothing after it."""
    found = claims(queue="queue")
    found.take({QUEUE: 7.0}, 100.0)
    found.take({}, 105.0)
    assert found.readings(110.0) == {QUEUE: Reading(7.0, 10.0)}
    assert (found.refused, found.heard_at) == ({QUEUE: Refused.ABSENT}, 105.0)


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (math.nan, Refused.NOT_A_NUMBER),
        (math.inf, Refused.INFINITE),
        (-math.inf, Refused.INFINITE),
        (-1e-9, Refused.NEGATIVE),
        (MOST * 1.1, Refused.TOO_LARGE),
        (10**400, Refused.TOO_LARGE),
        (-(10**400), Refused.NEGATIVE),
        (Refused.DUPLICATE, Refused.DUPLICATE),
    ],
)
@pytest.mark.parametrize("series", ["queue", "rate(queue)"])
def test_what_is_no_sound_number_does_not_count(
    sample: float | Refused, why: Refused, series: str
) -> None:
    """Each with its reason, and the value before it stays."""
    found = claims(queue=series)
    found.take({QUEUE: 0.0}, 0.0)
    found.take({QUEUE: 5.0}, 1.0)
    before = found.readings(2.0)
    found.take({QUEUE: sample}, 2.0)
    assert before
    assert found.refused == {QUEUE: why}
    assert found.readings(2.0) == before


def test_a_quotient_may_become_too_large() -> None:
    """The divisor is the operator's, and may be tiny."""
    found = claims(queue="queue / 1e-9")
    found.take({QUEUE: 1e9}, 0.0)
    assert found.refused == {QUEUE: Refused.TOO_LARGE}


def test_a_share_is_at_most_one() -> None:
    """A little above counts as one, as busy machines measure; a percentage does not."""
    found = claims(cpu="cpu")
    found.take({CPU: 1 + OVERSHOOT}, 0.0)
    assert found.readings(0.0) == {CPU: Reading(1.0, 0.0)}
    found.take({CPU: 70.0}, 5.0)
    assert found.refused == {CPU: Refused.ABOVE_ONE}


def test_a_counter_becomes_a_rate() -> None:
    """By what it has grown, over the time between; divided last."""
    found = claims(jobs="jobs_total / 2")
    found.take({JOBS: 1_000.0}, 100.0)
    assert (found.readings(100.0), found.refused) == ({}, {JOBS: Refused.BEGUN})
    found.take({JOBS: 1_100.0}, 105.0)
    assert found.readings(105.0) == {JOBS: Reading(10.0, 0.0)}
    found.take({JOBS: 1_100.0}, 110.0)
    assert found.readings(110.0) == {JOBS: Reading(0.0, 0.0)}


def test_a_counter_that_begins_anew_says_nothing_yet() -> None:
    """The rate before it stays, and ages; then it counts from where it began."""
    found = claims(jobs="jobs_total")
    for total, now in ((0.0, 0.0), (50.0, 5.0), (10.0, 10.0)):
        found.take({JOBS: total}, now)
    assert found.refused == {JOBS: Refused.BEGUN}
    assert found.readings(10.0) == {JOBS: Reading(10.0, 5.0)}
    found.take({JOBS: 20.0}, 15.0)
    assert found.readings(15.0) == {JOBS: Reading(2.0, 0.0)}


@pytest.mark.parametrize("now", [LEAST_INTERVAL_SECONDS / 2, 0.0, -5.0])
def test_two_counts_in_a_moment_are_no_rate(now: float) -> None:
    """Nor two whose clock stands still; the first counts on."""
    found = claims(jobs="jobs_total")
    found.take({JOBS: 0.0}, 0.0)
    found.take({JOBS: 1e9}, now)
    assert found.readings(1.0) == {}
    found.take({JOBS: 20.0}, 2.0)
    assert found.readings(2.0) == {JOBS: Reading(10.0, 0.0)}


def test_two_counts_far_apart_are_no_rate() -> None:
    """A mean over a long silence says nothing of now."""
    found = claims(jobs="jobs_total")
    found.take({JOBS: 0.0}, 0.0)
    found.take({JOBS: 1e6}, MOST_INTERVAL_SECONDS + 1)
    assert found.refused == {JOBS: Refused.BEGUN}


def test_a_whole_number_counts_as_any_other() -> None:
    """As plug-ins tell them: it is divided, doubted as a share, and made a rate."""
    found = claims(cpu="load / 4", memory="used", jobs="jobs_total")
    found.take({CPU: 2, MetricName("memory"): 85, JOBS: 10}, 0.0)
    found.take({CPU: 2, MetricName("memory"): 85, JOBS: 20}, 5.0)
    assert found.readings(5.0) == {CPU: Reading(0.5, 0.0), JOBS: Reading(2.0, 0.0)}
    assert found.refused == {MetricName("memory"): Refused.ABOVE_ONE}
