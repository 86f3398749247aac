"""What a process and all its descendants cost: CPU time, memory. Read from /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time of a tree of processes.

    Attributes:
        total: Seconds on a processor, from the scheduler's own clock (nanoseconds).
        user: Seconds in user space, as the clock tick saw it (10 ms): for the split only.
        system: Seconds in the kernel, likewise.
    """

    total: float
    user: float
    system: float

    def __sub__(self, earlier: "Cpu") -> "Cpu":
        """What was spent since."""
        return Cpu(
            self.total - earlier.total, self.user - earlier.user, self.system - earlier.system
        )


def tree(root: int) -> list[int]:
    """The process `root` and all its descendants that live now."""
    parents = {pid: parent for pid, parent in _parents() if pid != root}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu(root: int) -> Cpu:
    """CPU time that the tree of `root` has taken until now."""
    total, user, system = 0.0, 0, 0
    for pid in tree(root):
        for task in (_PROC / str(pid) / "task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
        fields = _stat(pid)
        user += int(fields[11])
        system += int(fields[12])
    return Cpu(total, user / _TICK, system / _TICK)


def memory(root: int) -> int:
    """Bytes of memory of the tree, pages that are shared counted by their share (PSS)."""
    return sum(_pss(pid) for pid in tree(root))


def _pss(pid: int) -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _parents() -> Iterator[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may hold spaces."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
