"""Every wait of these tests has an end."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 20.0
"""Seconds until something that has not happened is taken for broken: far over what it takes."""


def until(
    what: str, happened: Callable[[], bool], patience: float = PATIENCE, log: Path | None = None
) -> None:
    """Waits for something that is bound to happen; fails with its name, and the log, if not."""
    end = time.monotonic() + patience
    while not happened():
        said = f"\n{log.read_text(errors='replace')}" if log else ""
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what}{said}"
        time.sleep(0.02)
