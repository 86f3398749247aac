"""How busy the machine is: processors and memory, as the kernel tells.

Where a control group has a limit (cgroup v2), the share of that counts too: what is scarcest is
what is told.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
"""Where the kernel tells of processes."""

CGROUPS: Final = Path("/sys/fs/cgroup")
"""Where it tells of control groups."""

# user, nice, system, idle, iowait, irq, softirq, steal: what guests take is in the first two.
_TIMES = 8
_IDLE = (3, 4)
_MICROSECONDS = 1e6


class Spent(NamedTuple):
    """Time of processors since some beginning: of one whole, in one unit."""

    used: float
    available: float


class Kernel:
    """What the kernel tells; what it does not tell is left out."""

    def __init__(self, proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        """Read below these two."""
        self._proc = proc
        self._groups = tuple(_groups(proc, cgroups))

    def processors(self, now: float) -> Mapping[str, Spent]:
        """Return what was spent of the machine, and of each limit.

        Args:
            now: Seconds, monotonic.

        """
        found: dict[str, Spent] = {}
        try:
            words = _read(self._proc / "stat").split(maxsplit=_TIMES + 1)[1 : _TIMES + 1]
            times = [int(word) for word in words]
            found["machine"] = Spent(sum(times) - sum(times[i] for i in _IDLE), sum(times))
        except (OSError, ValueError, IndexError):
            pass
        for group in self._groups:
            try:
                quota, period = map(int, _read(group / "cpu.max").split())
                used = int(_fields(group / "cpu.stat")["usage_usec"])
                found[str(group)] = Spent(used / _MICROSECONDS, now * quota / period)
            except (OSError, ValueError, KeyError, ZeroDivisionError):
                continue  # it has no limit, or no such file
        return found

    def memory(self) -> float | None:
        """Return the share of memory that cannot be had any more, 0 to 1; None: it is not told."""
        shares: list[float] = []
        try:
            told = _fields(self._proc / "meminfo")
            shares.append(1 - int(told["MemAvailable:"]) / int(told["MemTotal:"]))
        except (OSError, ValueError, KeyError, ZeroDivisionError):
            pass
        for group in self._groups:
            try:
                limit = int(_read(group / "memory.max"))
                # Pages of files that nobody has used lately are given up first.
                spare = int(_fields(group / "memory.stat")["inactive_file"])
                shares.append((int(_read(group / "memory.current")) - spare) / limit)
            except (OSError, ValueError, KeyError, ZeroDivisionError):
                continue  # as above
        return max(map(_share, shares), default=None)


def busy(before: Mapping[str, Spent], after: Mapping[str, Spent]) -> float | None:
    """Return the share of processors used between two looks, 0 to 1; None: nobody can tell."""
    shares = [
        _share((spent.used - before[name].used) / (spent.available - before[name].available))
        for name, spent in after.items()
        if name in before and spent.available > before[name].available
    ]
    return max(shares, default=None)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Yield this process's control group and those above it."""
    try:
        lines = _read(proc / "self" / "cgroup").splitlines()
    except OSError:
        return
    for line in lines:
        place = PurePosixPath(line.removeprefix("0::/"))
        # One that is outside of what we see begins with "..".
        if line.startswith("0::/") and ".." not in place.parts:
            yield from (cgroups / part for part in (place, *place.parents))


def _fields(path: Path) -> dict[str, str]:
    """Return the second word of each line by its first."""
    lines = (line.split() for line in _read(path).splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace")
