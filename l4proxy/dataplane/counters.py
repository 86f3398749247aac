"""What a worker counts, and how labels of several names are put together and taken apart.

Names and labels come from code and configuration, never from a peer.
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from l4proxy.messages import Report
from routing import BackendName, Forward, PoolName, Why

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

_KEPT_KEYS: Final = 8_192  # every backend of a large configuration

_Key = tuple[str, str]


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


# Made once for each pool and backend: two thirds of what counting a connection cost.
@lru_cache(maxsize=_KEPT_KEYS)
def _chosen(pool: PoolName, why: Why) -> _Key:
    return CHOSEN, f"{pool}{_SEPARATOR}{why}"


@lru_cache(maxsize=_KEPT_KEYS)
def _of_backend(pool: PoolName, backend: BackendName) -> tuple[_Key, _Key, _Key]:
    label = backend_label(pool, backend)
    return (FORWARDED, label), (BYTES_UP, label), (BYTES_DOWN, label)


class Counters:
    """Counts since the worker's start, and which of them changed since they were last reported.

    A count of nought in a report says that its row is forgotten: what it came to was reported.
    """

    __slots__ = ("_counts", "_leaving", "_reported")

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts: dict[_Key, int] = {}
        self._reported: dict[_Key, int] = {}
        self._leaving: set[_Key] = set()

    def add(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count."""
        self._add_to((name, label), amount)

    def _begin(self, key: _Key, amount: int) -> None:
        """Count what may have no counter yet."""
        if key not in self._counts and len(self._counts) >= MOST_COUNTERS:
            key = key[0], OTHER
        self._counts[key] = self._counts.get(key, 0) + amount

    def dial_failed(self, forward: Forward, reason: str) -> None:
        """Count a dial that failed."""
        label = backend_label(forward.pool, forward.backend.name)
        self.add(DIAL_FAILED, f"{label}{_SEPARATOR}{reason}")

    def forwarded(self, forward: Forward) -> None:
        """Count a connection that was relayed, and what led to its backend."""
        self._add_to(_chosen(forward.pool, forward.why), 1)
        self._add_to(_of_backend(forward.pool, forward.backend.name)[0], 1)

    def resumption(self, forward: Forward, outcome: str) -> None:
        """Count what became of a session that a client offered to go on with."""
        self.add(RESUMPTIONS, _SEPARATOR.join((forward.pool, forward.why, outcome)))

    def copied(self, forward: Forward, up: int, down: int) -> None:
        """Count the bytes of a relay that has ended: to the backend, to the client."""
        _, to_backend, to_client = _of_backend(forward.pool, forward.backend.name)
        self._add_to(to_backend, up)
        self._add_to(to_client, down)

    def _add_to(self, key: _Key, amount: int) -> None:
        try:
            self._counts[key] += amount
        except KeyError:
            self._begin(key, amount)

    def forget(self, backends: AbstractSet[str]) -> None:
        """Drop the rows of backends that are gone, by label, once all they hold is reported.

        One that is counted again meanwhile is reported again before it is dropped.
        """
        for key in self._counts:
            name, label = key
            if (name in _OF_BACKENDS and label in backends) or (
                name == DIAL_FAILED and dial_parts(label)[0] in backends
            ):
                self._leaving.add(key)

    def changes(self) -> Report | None:
        """Return what changed since `reported`, at most `ROWS_PER_REPORT`; None if nothing did."""
        rows = []
        for key, count in self._counts.items():
            if self._reported.get(key) != count:
                rows.append((*key, count))
            elif key in self._leaving:
                rows.append((*key, 0))
            if len(rows) == ROWS_PER_REPORT:
                break
        return Report(tuple(rows)) if rows else None

    def reported(self, report: Report) -> None:
        """Note that a report is on its way; one that was dropped is made again."""
        for name, label, count in report.counters:
            if not count and (name, label) in self._leaving:
                self._leaving.discard((name, label))
                del self._counts[name, label]
                self._reported.pop((name, label), None)  # one that was nought from the start
            else:
                self._reported[name, label] = count
