"""l4proxy beside HAProxy, nginx, Envoy and Traefik: the same work, in turn, on this machine.

    python benchmarks/bench.py [--quick] [--only NAME ...]

The full run writes its values, table and plot into benchmarks/results and the table into
docs/performance.md; a quick one, or a part, only prints.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

from beside import standing, syscalls, tls, traffic
from beside.bench import Bench, say
from beside.load import Load
from beside.machine import Others, describe
from beside.peers import Peer, Scope, all_peers
from beside.plot import plot
from beside.table import table

from tests.ports import free_port

FOLDER = Path(__file__).parent
CACHE = FOLDER / ".bench_cache"
RESULTS = FOLDER / "results"
PAGE = FOLDER.parent / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

PARTS: dict[str, Callable[[Bench], object]] = {
    "short": traffic.measure_short,
    "logged": traffic.measure_logged,
    "rounds": traffic.measure_rounds,
    "bulk": traffic.measure_bulk,
    "latency": traffic.measure_latency,
    "memory": standing.measure_memory,
    "open": standing.measure_open,
    "calls": syscalls.measure_calls,
    "tls": tls.measure_tls,
    "two": traffic.measure_two_workers,
    "idle": standing.measure_idle,
}
QUICK_PEERS = ("l4proxy", "l4proxy compiled", "HAProxy", "nginx", "bare loop")
DESCRIPTORS = 20_000
"""What 8,000 connections need on both sides of a proxy, and to spare."""


def main() -> None:
    """Measure, print the table, and keep a full run."""
    arguments = _arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    peers = _here(all_peers(CACHE), quick=arguments.quick)
    facts = describe()
    load = Load(CACHE)
    ports = (free_port(), free_port())
    began = time.monotonic()
    others = Others()
    with load.backend(*ports):
        rounds, few, scale = (3, 1, 0.2) if arguments.quick else (5, 3, 1.0)
        bench = Bench(load, ports, peers, rounds, few, scale)
        for name in arguments.only or PARTS:
            say(f"{name} ({time.monotonic() - began:.0f} s)")
            PARTS[name](bench)
    facts["seconds"] = f"{time.monotonic() - began:.0f}"
    facts["rounds that failed"] = ", ".join(bench.lost) or "none"
    facts["cores busy with other work"] = f"{others.cores():.2f} on average"
    text = _text(bench, facts)
    print(text)
    if not arguments.quick and not arguments.only:
        _keep(bench, facts, text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything: 3 minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    return parser.parse_args()


def _here(peers: list[Peer], *, quick: bool) -> list[Peer]:
    for peer in peers:
        if peer.program is None:
            say(
                f"{peer.name} is not here and is left out: `make bench-peers` fetches what it can, "
                "`make compiled` builds our own"
            )
    wanted = [peer for peer in peers if peer.program is not None]
    return [peer for peer in wanted if peer.name in QUICK_PEERS] if quick else wanted


def _text(bench: Bench, facts: dict[str, str]) -> str:
    names = [peer.name for peer in bench.peers]
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    lines += [f"- {peer.name} {peer.tell_version()}: {peer.settings}" for peer in bench.peers]
    lines.append(f"- {bench.rounds} rounds in turn; target ratios are to the yardstick named there")
    return table(bench.results, names) + "\n" + "\n".join(lines) + "\n"


def _keep(bench: Bench, facts: dict[str, str], text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    versions = {peer.name: peer.tell_version() for peer in bench.peers}
    document = {"facts": facts, "versions": versions, "values": bench.results.plain()}
    (RESULTS / "bench.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    shown = [peer.name for peer in bench.peers if peer.scope is Scope.ALL]
    (RESULTS / "bench.svg").write_text(plot(bench.results, shown), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
