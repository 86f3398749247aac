"""Processes as the kernel shows them in /proc."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that a test watches and may signal."""

    pid: int

    @property
    def alive(self) -> bool:
        """Whether it still runs: one that nobody has reaped yet does not."""
        state = self._stat()
        return bool(state) and state[0] not in {"Z", "X"}

    @property
    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def resident(self) -> int:
        """Bytes of memory it has resident."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """Processor time it has used."""
        state = self._stat()
        return (int(state[11]) + int(state[12])) / _TICKS

    @property
    def mapped(self) -> str:
        """The files mapped into its memory, a line each."""
        return Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")

    def children(self) -> list["Process"]:
        """The processes it has started and that still run."""
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        found = (Process(pid) for pid in pids)
        return [process for process in found if process.alive and process.parent == self.pid]

    @property
    def parent(self) -> int:
        """The process that it belongs to; 0: none any more."""
        state = self._stat()
        return int(state[1]) if state else 0

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def _stat(self) -> list[str]:
        """What proc(5) tells behind the name: state, parent, … ; nothing once it is gone."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return []
        return text.rpartition(")")[2].split()
