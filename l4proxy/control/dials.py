"""What workers' dials say of backends: the difference between two looks at the totals."""

import errno
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l4proxy.control.line import LOCAL_ERRORS
from l4proxy.dataplane.counters import DIAL_FAILED, FORWARDED, backend_label, dial_parts
from routing import BackendName, PoolName

_OURS = frozenset(errno.errorcode[code].lower() for code in LOCAL_ERRORS)


@dataclass(frozen=True, slots=True)
class Dials:
    """What the dials of one backend came to since the last look."""

    pool: PoolName
    backend: BackendName
    successes: int
    failures: int


class DialFeed:
    """Turns totals, which only grow, into what is new. Failures of this machine are left out."""

    __slots__ = ("_failures", "_successes")

    def __init__(self) -> None:
        """Start where everything counts as new."""
        self._successes: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def news(
        self,
        totals: Iterable[tuple[str, str, int]],
        pools: Mapping[PoolName, Iterable[BackendName]],
    ) -> tuple[Dials, ...]:
        """Return, for each backend of these pools that was dialled since the last call, how often.

        Args:
            totals: Name, label and count of every counter, as `Totals` yields them.
            pools: The backends of the pools in force; labels of others are passed over.
        """
        successes: Counter[str] = Counter()
        failures: Counter[str] = Counter()
        for name, label, count in totals:
            if name == FORWARDED:
                successes[label] = count
            elif name == DIAL_FAILED:
                backend, reason = dial_parts(label)
                failures[backend] += 0 if reason in _OURS else count
        good, bad = successes - self._successes, failures - self._failures
        self._successes, self._failures = successes, failures
        return tuple(
            Dials(pool, name, good[label], bad[label])
            for pool, names in pools.items()
            for name in names
            if (label := backend_label(pool, name)) in good or label in bad
        )
