"""What open connections cost: memory when idle, and what others beside them pay."""

import time

from beside.bench import Bench, say
from beside.peers import Peer
from beside.processes import cpu, memory, tree
from beside.results import Measure, Yardstick
from beside.running import Running, running, warm_up

MEMORY = Measure("memory", "memory per idle connection", "KiB", 0.5, Yardstick.HAPROXY, 2)
IDLE = Measure("idle", "CPU of all processes when idle", "ms/s", None, None, 3)
IDLE_WORKER = Measure("idle_worker", "… of the worker alone", "ms/s", None, None, 3)

LEVELS = (100, 1_000, 8_000)
OPEN = [
    Measure(f"open_{count}", f"CPU per short connection beside {count:,} idle", "µs")
    for count in LEVELS[:-1]
] + [
    Measure(
        f"open_{LEVELS[-1]}",
        f"CPU per short connection beside {LEVELS[-1]:,} idle",
        "µs",
        1.1,
        Yardstick.SELF_AT_100,
    )
]
BUSY = [
    Measure(
        f"busy_{count}",
        f"CPU per round trip over {count:,} in turn",
        "µs",
        1.1 if count == LEVELS[-1] else None,
        Yardstick.SELF_AT_100 if count == LEVELS[-1] else Yardstick.BEST,
    )
    for count in LEVELS
]

IDLE_CONNECTIONS = 5_000
IDLE_FOR_SECONDS = 2.0
"""By then who keeps something for the beginning of a connection has let go of it."""

IDLE_SECONDS = 5.0
_KIB = 1_024


def measure_memory(bench: Bench) -> None:
    """PSS of all processes, grown by 5,000 connections that have said hello and got an answer."""
    for _ in range(bench.few):
        for peer in bench.taking_part():
            with bench.tolerance(peer.name):
                each = _idle_bytes(bench, peer) / _KIB
                bench.results.add(MEMORY.key, peer.name, each)
                say(f"  memory   {peer.name:15} {each:9.2f} KiB")


def _idle_bytes(bench: Bench, peer: Peer) -> float:
    with running(peer, bench.backends) as proxy:
        warm_up(bench.load, [proxy])
        before = memory(proxy.pid)
        with bench.load.holding(proxy.port, IDLE_CONNECTIONS):
            time.sleep(IDLE_FOR_SECONDS)
            return (memory(proxy.pid) - before) / IDLE_CONNECTIONS


def measure_open(bench: Bench) -> None:
    """Short connections beside idle ones; then round trips over all of them in turn."""
    with bench.all_running(bench.taking_part()) as proxies:

        def step(proxy: Running) -> None:
            for count in LEVELS:
                _beside(bench, proxy, f"open_{count}", count, n=bench.some(10_000))
                trips = bench.some(40_000)
                _beside(bench, proxy, f"busy_{count}", count, n=trips, cycle=1)

        bench.interleave(proxies, step, bench.few)


def _beside(bench: Bench, proxy: Running, key: str, count: int, **plan: int) -> None:
    with bench.load.holding(proxy.port, count, **plan) as held:
        time.sleep(0.2)
        drive, spent = bench.spend(proxy, held.drive)
    each = spent.total / drive.done * 1e6
    bench.results.add(key, proxy.peer.name, each)
    say(f"  {key:9} {proxy.peer.name:15} {each:8.2f} µs")
    time.sleep(0.5)  # the held ones end, which is not what is measured


def measure_idle(bench: Bench) -> None:
    """All at once, for nobody does anything: CPU of each when there is no connection."""
    with bench.all_running(bench.taking_part()) as proxies:
        time.sleep(1)
        before = {pid: cpu(pid).total for proxy in proxies for pid in tree(proxy.pid)}
        began = time.monotonic()
        time.sleep(IDLE_SECONDS)
        for proxy in proxies:
            seconds = time.monotonic() - began
            whole = cpu(proxy.pid).total - before[proxy.pid]
            bench.results.add(IDLE.key, proxy.peer.name, whole / seconds * 1e3)
            for worker in tree(proxy.pid)[1:]:
                own = cpu(worker).total - before[worker]
                bench.results.add(IDLE_WORKER.key, proxy.peer.name, own / seconds * 1e3)
