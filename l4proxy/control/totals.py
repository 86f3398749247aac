"""Counters of all workers, those that have ended included: a total never falls."""

from collections import defaultdict
from collections.abc import Iterator

from l4proxy.dataplane.counters import NAMES, OTHER
from l4proxy.messages import Report

Key = tuple[str, str]
"""Metric name and label value."""

MAX_COUNTERS = 65_536
"""Different counters kept of one worker, or of all that ended: 4,096 backends with a dozen each.

What comes after them is left out of a worker that invents them, and counted as `OTHER` of those
that ended: backends come and go."""


class Totals:
    """What every worker has counted since this balancer started.

    What was counted of backends that are gone moves to the label `OTHER`, so that the sum under a
    name never falls and the table does not grow with every address that a name has ever had.
    """

    __slots__ = ("_ended", "_running", "ignored")

    def __init__(self) -> None:
        """Start at nothing."""
        self._ended: defaultdict[Key, int] = defaultdict(int)
        self._running: dict[int, dict[Key, int]] = {}
        self.ignored = 0
        """Rows left out: more than `MAX_COUNTERS`, or of a name that nothing is counted under."""

    def take(self, worker: int, report: Report) -> None:
        """Take what the worker on this seat has counted so far, where it changed; 0: it forgets."""
        counts = self._running.setdefault(worker, {})
        for name, label, count in report.counters:
            if name not in NAMES:
                self.ignored += 1
            elif not count:
                gone = counts.pop((name, label), 0) + self._ended.pop((name, label), 0)
                self._end((name, OTHER), gone)
            elif len(counts) >= MAX_COUNTERS and (name, label) not in counts:
                self.ignored += 1
            else:
                counts[name, label] = max(count, counts.get((name, label), 0))

    def close(self, worker: int) -> None:
        """Keep what the worker on this seat counted: its successor starts at nothing."""
        for key, count in self._running.pop(worker, {}).items():
            if len(self._ended) >= MAX_COUNTERS and key not in self._ended:
                self._end((key[0], OTHER), count)
            else:
                self._end(key, count)

    def _end(self, key: Key, count: int) -> None:
        if count:
            self._ended[key] += count

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield (name, label, count) over all workers, sorted."""
        sums = self._ended.copy()
        for counts in self._running.values():
            for key, count in counts.items():
                sums[key] += count
        for (name, label), count in sorted(sums.items()):
            yield name, label, count

    def count(self, name: str, label: str = "") -> int:
        """Return one total."""
        return self._ended.get((name, label), 0) + self.running(name, label)

    def running(self, name: str, label: str = "") -> int:
        """Return what of one total the running workers have counted.

        The difference of two of these is what is there: a worker's own ended with it.
        """
        return sum(counts.get((name, label), 0) for counts in self._running.values())
