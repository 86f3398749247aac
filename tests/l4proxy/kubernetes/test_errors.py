"""Errors of the API: a word for each, and no more of the server's text than helps."""

import pytest

from l4proxy.kubernetes.errors import (
    MAX_QUOTED,
    MAX_RETRY_AFTER_SECONDS,
    ApiFault,
    refusal,
)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, ApiFault.UNAUTHORIZED),
        (409, ApiFault.CONFLICT),
        (410, ApiFault.GONE),
        (400, ApiFault.REFUSED),
        (0, ApiFault.REFUSED),
        (503, ApiFault.SERVER),
        (999, ApiFault.SERVER),
    ],
)
def test_every_status_has_a_word(status: int, fault: ApiFault) -> None:
    """Also one that HTTP does not know."""
    error = refusal("get x", status, None)
    assert (error.fault, error.retry_after) == (fault, None)
    assert str(error).startswith(f"get x: the API server answers {status}")


def test_what_the_server_says_is_quoted_in_part() -> None:
    """No control characters, no length without end, nothing but text."""
    error = refusal("get x", 500, {"message": "a\n\x1b" + "b" * 1000})
    assert "a\\n\\x1b" in str(error)
    assert len(str(error)) < MAX_QUOTED + 100
    assert refusal("get x", 500, {"message": ["a"]}).args == refusal("get x", 500, "a").args


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("2", 2.0), ("9999", MAX_RETRY_AFTER_SECONDS), ("9" * 9_999, MAX_RETRY_AFTER_SECONDS)]
    + [(said, None) for said in ("", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "²")],
)
def test_a_server_may_ask_for_a_pause(said: str, seconds: float | None) -> None:
    """In seconds, up to a bound; a date is not read."""
    assert refusal("get x", 429, None, said).retry_after == seconds
