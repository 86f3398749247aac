"""What a worker counts. Names and labels come from code and configuration, never from a peer."""

from collections import defaultdict

from l4proxy.messages import Report

ACCEPTED = "accepted"
"""Connections accepted; label: none."""
REFUSED = "refused"
"""Connections refused; label: the reason."""
FORWARDED = "forwarded"
"""Connections relayed to a backend that answered, or to their end; label: pool/backend."""
CHOSEN = "chosen"
"""Decisions for a backend; label: pool/why."""
DIAL_FAILED = "dial_failed"
"""Dials that failed; label: pool/backend/reason."""
ENDED = "ended"
"""Relays that ended; label: how."""
BYTES_UP = "bytes_to_backend"
"""Bytes read from clients behind their hello; label: pool/backend."""
BYTES_DOWN = "bytes_to_client"
"""Bytes read from backends; label: pool/backend."""
ACCEPT_PAUSED = "accept_paused"
"""Times that accepting rested; label: why."""
FAILURES = "internal_failures"
"""Connections ended by an error nobody foresaw; label: its class."""

LOG_DROPPED = "log_dropped"
"""Lines of the access log that found the channel full; label: none."""

MOST_COUNTERS = 65_536
"""Different counters of a worker: what comes after them is counted together, as `OTHER`."""

OTHER = "(other)"
"""The label of what found no counter of its own."""

ROWS_PER_REPORT = 4_096
"""Counters in one message: some 200 KiB, well below the channel's frame bound."""


class Counters:
    """Counts since the worker's start, and which of them changed since they were last reported."""

    __slots__ = ("_counts", "_reported")

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._reported: dict[tuple[str, str], int] = {}

    def add(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count."""
        key = name, label
        if key not in self._counts and len(self._counts) >= MOST_COUNTERS:
            key = name, OTHER
        self._counts[key] += amount

    def changes(self) -> Report | None:
        """Return what changed since `reported`, at most `ROWS_PER_REPORT`; None if nothing did."""
        rows = []
        for key, count in self._counts.items():
            if self._reported.get(key) != count:
                rows.append((*key, count))
                if len(rows) == ROWS_PER_REPORT:
                    break
        return Report(tuple(rows)) if rows else None

    def reported(self, report: Report) -> None:
        """Note that a report is on its way; one that was dropped is made again."""
        for name, label, count in report.counters:
            self._reported[name, label] = count
