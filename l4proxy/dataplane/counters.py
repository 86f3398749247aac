"""What a worker counts, and how labels of several names are put together and taken apart.

Names and labels come from code and configuration, never from a peer.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from l4proxy.messages import Report
from routing import BackendName, Forward, PoolName

ACCEPTED: Final = "accepted"
"""Connections accepted; label: none."""
REFUSED: Final = "refused"
"""Connections refused; label: the reason."""
FORWARDED: Final = "forwarded"
"""Connections relayed to a backend that answered, or to their end; label: pool/backend."""
CHOSEN: Final = "chosen"
"""Decisions for a backend; label: pool/why."""
DIAL_FAILED: Final = "dial_failed"
"""Dials that failed; label: pool/backend/reason."""
ENDED: Final = "ended"
"""Relays that ended; label: how."""
BYTES_UP: Final = "bytes_to_backend"
"""Bytes read from clients behind their hello; label: pool/backend."""
BYTES_DOWN: Final = "bytes_to_client"
"""Bytes read from backends; label: pool/backend."""
ACCEPT_PAUSED: Final = "accept_paused"
"""Times that accepting rested; label: why."""
FAILURES: Final = "internal_failures"
"""Connections ended by an error nobody foresaw; label: its class."""

LOG_DROPPED: Final = "log_dropped"
"""Lines of the access log that found the channel full; label: none."""
RESUMPTIONS: Final = "resumptions"
"""Sessions that clients offered to go on with; label: pool/why/outcome."""
OBSERVED_DROPPED: Final = "observed_dropped"
"""Observed tokens that found the channel full, unknown to other workers; label: none."""
PARKED: Final = "parked"
"""Hellos that waited for a backend; label: the pool. Less `UNPARKED`, those that wait."""
UNPARKED: Final = "unparked"
"""Of these, those that wait no more; label: the pool."""

MOST_COUNTERS: Final = 65_536
"""Different counters of a worker: what comes after them is counted together, as `OTHER`."""

OTHER: Final = "(other)"
"""The label of what found no counter of its own."""

ROWS_PER_REPORT: Final = 4_096
"""Counters in one message: some 200 KiB, well below the channel's frame bound."""

NAMES = frozenset(
    {
        ACCEPTED,
        REFUSED,
        FORWARDED,
        CHOSEN,
        DIAL_FAILED,
        ENDED,
        BYTES_UP,
        BYTES_DOWN,
        ACCEPT_PAUSED,
        FAILURES,
        LOG_DROPPED,
        RESUMPTIONS,
        OBSERVED_DROPPED,
        PARKED,
        UNPARKED,
    }
)
"""Everything that is counted."""

# Between the parts of a label; no name of a pool or backend holds it (l4proxy.config.names).
_SEPARATOR: Final = "/"

_OF_BACKENDS: Final = {FORWARDED, BYTES_UP, BYTES_DOWN}

_NEVER: Final = -1  # what no counter comes to


def backend_label(pool: PoolName, backend: BackendName) -> str:
    """Return the label of what is counted for each backend."""
    return f"{pool}{_SEPARATOR}{backend}"


def dial_parts(label: str) -> tuple[str, str]:
    """Return the backend's label and the reason of a dial that failed."""
    backend, _, reason = label.rpartition(_SEPARATOR)
    return backend, reason


def choice_parts(label: str) -> tuple[PoolName, str]:
    """Return the pool and what led to the backend, of a decision for one."""
    pool, _, why = label.partition(_SEPARATOR)
    return PoolName(pool), why


class _Row:
    """One counter: what it came to, and what of that was reported."""

    __slots__ = ("count", "leaving", "reported")

    def __init__(self) -> None:
        self.count = 0
        self.reported = _NEVER
        self.leaving = False


class _Copied:
    """The rows of the bytes of one backend's relays."""

    __slots__ = ("down", "up")

    def __init__(self, up: _Row, down: _Row) -> None:
        self.up = up
        self.down = down


class _OfPool:
    """Rows that a connection to a pool adds to, found without making their labels anew."""

    __slots__ = ("chosen", "copied", "forwarded")

    def __init__(self) -> None:
        self.chosen: dict[str, _Row] = {}
        self.forwarded: dict[str, _Row] = {}
        self.copied: dict[str, _Copied] = {}


class Counters:
    """Counts since the worker's start, and which of them changed since they were last reported.

    A count of nought in a report says that its row is forgotten: what it came to was reported.
    """

    # By name and by label: strings keep their hash, pairs of them do not.
    __slots__ = ("_counts", "_known", "_size")

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts: dict[str, dict[str, _Row]] = {}
        self._known: dict[str, _OfPool] = {}
        self._size = 0

    def add(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count."""
        labels = self._counts.get(name)
        row = None if labels is None else labels.get(label)
        if row is None:
            row = self._begin(name, label)
        row.count += amount

    def _begin(self, name: str, label: str) -> _Row:
        """Return the row of what may have none yet; that of `OTHER` if there is no room for it."""
        labels = self._counts.setdefault(name, {})
        if label not in labels and self._size >= MOST_COUNTERS:
            label = OTHER
        row = labels.get(label)
        if row is None:
            row = labels[label] = _Row()
            self._size += 1
        return row

    def dial_failed(self, forward: Forward, reason: str) -> None:
        """Count a dial that failed."""
        label = backend_label(forward.pool, forward.backend.name)
        self.add(DIAL_FAILED, f"{label}{_SEPARATOR}{reason}")

    def forwarded(self, forward: Forward) -> None:
        """Count a connection that was relayed, and what led to its backend."""
        pool, why, backend = forward.pool, forward.why, forward.backend.name
        known = self._of_pool(pool)
        row = known.chosen.get(why)
        if row is None:
            row = self._find(known.chosen, why, CHOSEN, f"{pool}{_SEPARATOR}{why}")
        row.count += 1
        row = known.forwarded.get(backend)
        if row is None:
            label = backend_label(pool, backend)
            row = self._find(known.forwarded, backend, FORWARDED, label)
        row.count += 1

    def resumption(self, forward: Forward, outcome: str) -> None:
        """Count what became of a session that a client offered to go on with."""
        self.add(RESUMPTIONS, _SEPARATOR.join((forward.pool, forward.why, outcome)))

    def copied(self, forward: Forward, up: int, down: int) -> None:
        """Count the bytes of a relay that has ended: to the backend, to the client."""
        known = self._of_pool(forward.pool)
        copied = known.copied.get(forward.backend.name)
        if copied is None:
            label = backend_label(forward.pool, forward.backend.name)
            copied = _Copied(self._begin(BYTES_UP, label), self._begin(BYTES_DOWN, label))
            if self._size < MOST_COUNTERS:
                known.copied[forward.backend.name] = copied
        copied.up.count += up
        copied.down.count += down

    def _of_pool(self, pool: PoolName) -> _OfPool:
        known = self._known.get(pool)
        if known is None:
            known = self._known[pool] = _OfPool()
        return known

    def _find(self, rows: dict[str, _Row], key: str, name: str, label: str) -> _Row:
        """Return a row and keep it under a key, unless it may be that of `OTHER`."""
        row = self._begin(name, label)
        if self._size < MOST_COUNTERS:
            rows[key] = row
        return row

    def forget(self, backends: AbstractSet[str]) -> None:
        """Drop the rows of backends that are gone, by label, once all they hold is reported.

        One that is counted again meanwhile is reported again before it is dropped.
        """
        for name, labels in self._counts.items():
            for label, row in labels.items():
                if (name in _OF_BACKENDS and label in backends) or (
                    name == DIAL_FAILED and dial_parts(label)[0] in backends
                ):
                    row.leaving = True
        self._known.clear()

    def changes(self) -> Report | None:
        """Return what changed since `reported`, at most `ROWS_PER_REPORT`; None if nothing did."""
        rows: list[tuple[str, str, int]] = []
        for name, labels in self._counts.items():
            for label, row in labels.items():
                if row.count != row.reported:
                    rows.append((name, label, row.count))
                elif row.leaving:
                    rows.append((name, label, 0))
                if len(rows) == ROWS_PER_REPORT:
                    return Report(tuple(rows))
        return Report(tuple(rows)) if rows else None

    def reported(self, report: Report) -> None:
        """Note that a report is on its way; one that was dropped is made again."""
        for name, label, count in report.counters:
            row = self._counts[name][label]
            if not count and row.leaving:
                del self._counts[name][label]
                self._size -= 1
                self._known.clear()  # it may be there
            else:
                row.reported = count
