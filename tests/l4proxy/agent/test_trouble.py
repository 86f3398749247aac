"""Promises of `l4proxy.agent.trouble`: a line when it begins, a line when it ends."""

import pytest

from l4proxy.agent.trouble import Trouble


def test_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many clients meet it; and again when it comes again."""
    trouble = Trouble("application")
    trouble.over()
    for _ in range(3):
        trouble.told(OSError("refused"))
    for _ in range(3):
        trouble.over()
    trouble.told(TimeoutError())
    assert [record.getMessage() for record in caplog.records] == [
        "application: refused",
        "application: works again",
        "application: no answer in time",
    ]
