"""Trouble that lasts, told when it begins and when it ends, and not at each client in between."""

import logging

_log = logging.getLogger(__name__)


class Trouble:
    """One thing that can fail again and again."""

    def __init__(self, what: str) -> None:
        """Call it `what` in the log."""
        self._what = what
        self._lasts = False

    def told(self, error: OSError) -> None:
        """It failed."""
        if not self._lasts:
            _log.warning("%s: %s", self._what, str(error) or "no answer in time")
        self._lasts = True

    def over(self) -> None:
        """It worked."""
        if self._lasts:
            _log.warning("%s: works again", self._what)
        self._lasts = False
