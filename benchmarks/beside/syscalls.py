"""System calls per short connection, as strace counts them."""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from beside.bench import Bench, say
from beside.processes import tree
from beside.results import Measure, Yardstick
from beside.running import Running

CALLS = Measure("calls", "system calls per short connection", "", 1.0, Yardstick.HAPROXY, 2)

_CONNECTIONS = 2_000
_TOTAL = re.compile(r"^100\.00 +[\d.]+ +(?:\d+ +)?(\d+) +(?:\d+ +)?total$", re.MULTILINE)
_ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE)


def measure_calls(bench: Bench) -> dict[str, dict[str, float]]:
    """Count for each proxy; returns how often each of them makes which call per connection."""
    if shutil.which("strace") is None:
        say("strace is not here: system calls are not counted")
        return {}
    peers = [peer for peer in bench.peers if not peer.bulk_only]
    with bench.all_running(peers=peers) as proxies:
        return {proxy.peer.name: _count(bench, proxy) for proxy in proxies}


def _count(bench: Bench, proxy: Running) -> dict[str, float]:
    summary = proxy.folder / "strace"
    attached = [word for pid in tree(proxy.pid) for word in ("-p", str(pid))]
    command = ["strace", "-c", "-f", "-o", str(summary), *attached]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        time.sleep(1)
        drive = bench.load.drive(proxy.port, n=_CONNECTIONS)
        time.sleep(0.2)
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
    return _read(bench, proxy.peer.name, summary, drive.done)


def _read(bench: Bench, name: str, summary: Path, count: int) -> dict[str, float]:
    text = summary.read_text()
    total = _TOTAL.search(text)
    if total is None:
        raise RuntimeError(f"strace's summary has no total:\n{text}")
    bench.results.add(CALLS.key, name, int(total[1]) / count)
    say(f"  calls    {name:15} {int(total[1]) / count:9.2f}")
    calls = {call: int(times) / count for times, call in _ROW.findall(text) if call != "total"}
    return {call: round(each, 3) for call, each in calls.items() if each > 0.01}  # noqa: PLR2004 - a hundredth of a call is the background's
