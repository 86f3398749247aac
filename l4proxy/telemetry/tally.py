"""The balancer's counters, sorted by what they count.

A worker handles hostile bytes, so the labels that it reports are taken as a stranger's: those that
neither the code nor the present configuration knows are counted together as `other`. So JSON and
metrics never grow beyond the configuration; a backend that a reload has removed is shown no more.
"""

import errno
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from l4proxy.dataplane import counters as names
from l4proxy.dataplane.dial import NO_ANSWER
from l4proxy.dataplane.relay import Ending
from l4proxy.refusal import labels
from l4proxy.telemetry.balancer import Totals
from routing import BackendName, PoolName, Pools, Why

Key = tuple[PoolName, BackendName]
"""A backend."""

OTHER = "other"
"""Label of what was counted under a name that we do not know."""

MAX_ERROR_NAMES = 32
"""Classes of internal failures told apart: there is at most a handful of bugs at a time."""

MAX_ERROR_NAME_LENGTH = 64
"""Characters of such a name: the longest class of the standard library has 30."""

# What has no name in the system is counted as unknown by the dial itself.
_DIAL_REASONS = frozenset(
    {NO_ANSWER, "unknown", *(name.lower() for name in errno.errorcode.values())}
)

_Row = tuple[str, int]


class AcceptPause(StrEnum):
    """Why accepting rested: no room as configured, or none in the process or the system."""

    CONNECTIONS = "connections"
    EMFILE = "emfile"
    ENFILE = "enfile"
    ENOBUFS = "enobufs"
    ENOMEM = "enomem"


@dataclass(slots=True)
class Served:
    """What was counted of one backend.

    Attributes:
        forwarded: Connections relayed to it.
        to_backend: Bytes from clients behind their hello, of relays that have ended.
        to_client: Bytes from the backend, of relays that have ended.
        dial_failures: By reason.

    """

    forwarded: int = 0
    to_backend: int = 0
    to_client: int = 0
    dial_failures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Tally:
    """All counters. What can be named beforehand is there from the start, with its zero.

    Attributes:
        accepted: Connections.
        refused: By the reason of the refusal.
        ended: Relays, by how they ended.
        accept_pauses: By reason.
        internal_failures: By the class of the error.
        decisions: For a backend of a pool, by what led to it.
        backends: What each backend did.
        log_dropped: Lines of the access log that workers could not hand over.

    """

    accepted: int
    refused: Mapping[str, int]
    ended: Mapping[str, int]
    accept_pauses: Mapping[str, int]
    internal_failures: Mapping[str, int]
    decisions: Mapping[PoolName, Mapping[str, int]]
    backends: Mapping[Key, Served]
    log_dropped: int

    @property
    def forwarded(self) -> int:
        """Connections relayed to the backends of the present configuration."""
        return sum(served.forwarded for served in self.backends.values())


def tally(totals: Totals, pools: Pools) -> Tally:
    """Sort the counters of a balancer by what they count."""
    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    for name, label, count in totals:
        rows[name].append((label, count))
    return Tally(
        accepted=sum(count for _, count in rows[names.ACCEPTED]),
        refused=_known(labels(), rows[names.REFUSED]),
        ended=_known(Ending, rows[names.ENDED]),
        accept_pauses=_known(AcceptPause, rows[names.ACCEPT_PAUSED]),
        internal_failures=_errors(rows[names.FAILURES]),
        decisions=_decisions(rows[names.CHOSEN], pools),
        backends=_backends(rows, pools),
        log_dropped=sum(count for _, count in rows[names.LOG_DROPPED]),
    )


def _known(expected: Iterable[str], rows: Iterable[_Row]) -> Counter[str]:
    found = Counter({str(label): 0 for label in expected})
    for label, count in rows:
        found[label if label in found else OTHER] += count
    return found


def _errors(rows: Iterable[_Row]) -> Counter[str]:
    found: Counter[str] = Counter()
    for label, count in rows:
        named = label.isidentifier() and len(label) <= MAX_ERROR_NAME_LENGTH
        found[label if named and len(found) < MAX_ERROR_NAMES else OTHER] += count
    return found


def _decisions(rows: Iterable[_Row], pools: Pools) -> dict[PoolName, Counter[str]]:
    of_pool: defaultdict[str, list[_Row]] = defaultdict(list)
    for label, count in rows:
        pool, why = names.choice_parts(label)
        of_pool[pool].append((why, count))
    return {name: _known(Why, of_pool[name]) for name in pools.pools}


def _backends(rows: Mapping[str, list[_Row]], pools: Pools) -> dict[Key, Served]:
    backends = {(pool.name, name): Served() for pool in pools.pools.values() for name in pool.named}
    by_label = {names.backend_label(*key): served for key, served in backends.items()}
    for name, attribute in (
        (names.FORWARDED, "forwarded"),
        (names.BYTES_UP, "to_backend"),
        (names.BYTES_DOWN, "to_client"),
    ):
        for label, count in rows.get(name, ()):
            if label in by_label:
                setattr(by_label[label], attribute, count)
    for label, count in rows.get(names.DIAL_FAILED, ()):
        backend, reason = names.dial_parts(label)
        if backend in by_label:
            known = reason if reason in _DIAL_REASONS else OTHER
            by_label[backend].dial_failures[known] += count
    return backends
