"""What the figures belong to: the commit, the machine, the programs."""

import os
import platform
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PROC = Path("/proc")


def describe() -> dict[str, str]:
    """The facts without which no figure can be compared with another."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} × {_processor()}, {_memory()} GiB",
        "kernel": platform.release(),
        "congestion control": _sysctl("net/ipv4/tcp_congestion_control"),
        "python": f"{platform.python_version()} ({_build()})",
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


class Others:
    """What runs beside the benchmark on the same processors, which no round can be rid of."""

    def __init__(self) -> None:
        """Begin to watch."""
        self._began = time.monotonic()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def cores(self) -> float:
        """How many processors others have kept busy since; call it when our children have ended."""
        busy = _busy_seconds() - self._busy
        return max(0.0, busy - (_own_seconds() - self._own)) / (time.monotonic() - self._began)


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(word) for word in (_PROC / "stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _commit() -> str:
    """The commit, and whether the files differ from it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + (" and changes" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    command = ["git", "-C", str(_ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _sysctl(name: str) -> str:
    try:
        return (_PROC / "sys" / name).read_text().strip()
    except OSError:
        return "unknown"


def _build() -> str:
    """Whether the interpreter was built with profile-guided optimisation, worth a tenth or more."""
    words = sysconfig.get_config_var("CONFIG_ARGS")
    # Debian's build optimises without the option of configure.
    optimised = "--enable-optimizations" in str(words) or sys.prefix == "/usr"
    return "optimised build" if optimised else "build without --enable-optimizations"
