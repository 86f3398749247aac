"""System calls per short connection, as strace counts them."""

import re
import shutil
import signal
import subprocess
import time

from beside.bench import Bench, say
from beside.peers import Scope
from beside.processes import tree
from beside.results import Measure, Yardstick
from beside.running import Running

CALLS = Measure("calls", "system calls per short connection", "", 1.0, Yardstick.HAPROXY, 2)
TRIP_CALLS = Measure("trip_calls", "system calls per round trip", "", None, Yardstick.HAPROXY, 2)

_CONNECTIONS = 2_000
_TRIPS = 20
_TOTAL = re.compile(r"^100\.00 +[\d.]+ +(?:\d+ +)?(\d+) +(?:\d+ +)?total$", re.MULTILINE)
_ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(?!total)(\w+)$", re.MULTILINE)
_BACKGROUND = 0.05
"""Calls per connection below which a call belongs to no connection."""


def measure_calls(bench: Bench) -> None:
    """Count for each proxy: per connection, and per round trip of longer ones."""
    if shutil.which("strace") is None:
        say("strace is not here: system calls are not counted")
        return
    with bench.all_running(bench.taking_part(Scope.SMALL)) as proxies:
        for proxy in proxies:
            name = proxy.peer.name
            with bench.tolerance(name):
                short = _count(bench, proxy, rounds=0)
                long = _count(bench, proxy, rounds=_TRIPS)
                bench.results.add(CALLS.key, name, short)
                bench.results.add(TRIP_CALLS.key, name, (long - short) / _TRIPS)


def _count(bench: Bench, proxy: Running, rounds: int) -> float:
    """System calls of all processes for each connection."""
    summary = proxy.folder / "strace"
    attached = [word for pid in tree(proxy.pid) for word in ("-p", str(pid))]
    command = ["strace", "-c", "-f", "-o", str(summary), *attached]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        time.sleep(1)
        drive = bench.load.drive(proxy.port, n=_CONNECTIONS, rounds=rounds)
        time.sleep(0.2)
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
    text = summary.read_text()
    total = _TOTAL.search(text)
    if total is None:
        raise RuntimeError(f"strace's summary has no total:\n{text}")
    each = {name: int(times) / drive.done for times, name in _ROW.findall(text)}
    calls = [f"{name} {count:.2f}" for name, count in each.items() if count > _BACKGROUND]
    say(f"  calls    {proxy.peer.name:15} {', '.join(calls)}")
    return int(total[1]) / drive.done
