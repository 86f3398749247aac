"""Pauses grow, have an end, and are never two balancers' alike."""

import pytest

from l4proxy.kubernetes.backoff import FIRST_SECONDS, MOST_SECONDS, Backoff
from l4proxy.kubernetes.errors import ApiError, ApiFault

DOWN = ApiError(ApiFault.UNREACHABLE, "x")


def test_pauses_double_up_to_a_bound() -> None:
    """Each is at least half of what it may be, and the first again after a success."""
    backoff = Backoff()
    most = FIRST_SECONDS
    for _ in range(12):
        assert most / 2 <= backoff.pause(DOWN) <= most
        most = min(2 * most, MOST_SECONDS)
    backoff.succeeded()
    assert backoff.pause(DOWN) <= FIRST_SECONDS


def test_two_do_not_pause_alike() -> None:
    """Those that were cut off together do not come back together."""
    assert len({Backoff().pause(DOWN) for _ in range(8)}) > 1


@pytest.mark.parametrize(("asked", "least"), [(9.0, 9.0), (0.0, 0.0)])
def test_a_server_may_ask_for_more(asked: float, least: float) -> None:
    """Its pause is kept, if it is longer than ours."""
    pause = Backoff().pause(ApiError(ApiFault.BUSY, "x", asked))
    assert max(least, FIRST_SECONDS / 2) <= pause <= max(least, FIRST_SECONDS)
