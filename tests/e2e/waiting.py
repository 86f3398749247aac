"""Every wait of these tests has an end."""

import time
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds until something that has not happened is taken for broken: far over what it takes."""


def until(what: str, happened: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits for something that is bound to happen; fails with its name if it does not."""
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what}"
        time.sleep(0.02)
