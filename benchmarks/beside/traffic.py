"""What traffic costs: short connections, round trips, bulk, and the time that it takes longer."""

from dataclasses import dataclass

from beside.bench import Bench, say
from beside.load import Drive
from beside.peers import Scope
from beside.processes import Cpu
from beside.results import Measure
from beside.running import Running

SHORT = Measure("short", "CPU per short connection", "µs", 1.4)
SHORT_USER = Measure("short_user", "… of it in user space", "µs", None, None)
SHORT_SYSTEM = Measure("short_system", "… of it in the kernel", "µs", None, None)
SHORT_RATE = Measure("short_rate", "… connections a second", "1/s", None, None, 0)
LOGGED = Measure("logged", "the same, access log on", "µs", 1.6)
ROUNDS = Measure("rounds", "CPU per connection with 20 round trips", "µs", 1.0)
ROUNDS_USER = Measure("rounds_user", "… of it in user space", "µs", None, None)
ROUNDS_SYSTEM = Measure("rounds_system", "… of it in the kernel", "µs", None, None)
BULK = Measure("bulk", "CPU per GB relayed", "ms", 0.8, digits=0)
BULK_RATE = Measure("bulk_rate", "… GB a second", "GB/s", None, None, 2)
TWO = Measure("two", "CPU per short connection, two workers", "µs")
TWO_RATE = Measure("two_rate", "… connections a second", "1/s", None, None, 0)
LATENCY_P50 = Measure("latency_p50", "latency of a connection, p50", "µs")
LATENCY_P99 = Measure("latency_p99", "latency of a connection, p99", "µs")
TRIP_P50 = Measure("trip_p50", "latency of a round trip, p50", "µs")
TRIP_P99 = Measure("trip_p99", "latency of a round trip, p99", "µs")

GIGABYTE = 1_000_000_000
STREAMS = 4


@dataclass(frozen=True, slots=True)
class _Work:
    """A plan of the load, and how its cost is told."""

    measure: Measure
    plan: dict[str, int]
    per: float = 1e-6  # seconds in the measure's unit
    times: float = 1.0  # how many units of work a connection is


def measure_short(bench: Bench) -> None:
    """Short connections with logs off: the whole cost, its halves and the rate."""
    plan = {"n": bench.some(30_000)}
    with bench.all_running(bench.taking_part(Scope.SMALL)) as proxies:

        def step(proxy: Running) -> None:
            drive, spent = _measure(bench, proxy, _Work(SHORT, plan))
            _split(bench, proxy, (SHORT_USER, SHORT_SYSTEM), (spent, drive.done))
            bench.results.add(SHORT_RATE.key, proxy.peer.name, drive.done / drive.seconds)

        for _ in range(bench.rounds):
            drive = bench.load.drive(bench.backends[0], **plan)
            bench.direct(SHORT_RATE.key, drive.done / drive.seconds)
        bench.interleave(proxies, step)


def measure_logged(bench: Bench) -> None:
    """Short connections with a line of the access log for each."""
    logging = [peer for peer in bench.taking_part() if peer.logs]
    with bench.all_running(logging, log=True) as proxies:
        _interleave(bench, proxies, _Work(LOGGED, {"n": bench.some(20_000)}))


def measure_rounds(bench: Bench) -> None:
    """Connections with 20 round trips after the answer to the hello."""
    with bench.all_running(bench.taking_part(Scope.SMALL)) as proxies:

        def step(proxy: Running) -> None:
            plan = {"n": bench.some(5_000), "rounds": 20}
            drive, spent = _measure(bench, proxy, _Work(ROUNDS, plan))
            _split(bench, proxy, (ROUNDS_USER, ROUNDS_SYSTEM), (spent, drive.done))

        bench.interleave(proxies, step)


def measure_bulk(bench: Bench) -> None:
    """Four streams at a time, from the backend to the client."""
    share = bench.some(2 * GIGABYTE) // STREAMS
    plan = {"n": STREAMS, "at": STREAMS, "answer": share}
    work = _Work(BULK, plan, per=1e-3, times=share / GIGABYTE)
    with bench.all_running(bench.taking_part(Scope.BULK)) as proxies:

        def step(proxy: Running) -> None:
            drive, _ = _measure(bench, proxy, work)
            rate = STREAMS * share / GIGABYTE / drive.seconds
            bench.results.add(BULK_RATE.key, proxy.peer.name, rate)

        for _ in range(bench.rounds):
            drive = bench.load.drive(bench.backends[0], **plan)
            bench.direct(BULK_RATE.key, STREAMS * share / GIGABYTE / drive.seconds)
        bench.interleave(proxies, step)


def measure_two_workers(bench: Bench) -> None:
    """Short connections through two workers or threads; the load shares the cores with them."""
    with bench.all_running(bench.taking_part(), workers=2) as proxies:

        def step(proxy: Running) -> None:
            drive, _ = _measure(bench, proxy, _Work(TWO, {"n": bench.some(20_000)}))
            bench.results.add(TWO_RATE.key, proxy.peer.name, drive.done / drive.seconds)

        bench.interleave(proxies, step)


def measure_latency(bench: Bench) -> None:
    """One at a time: from the connect to the answer, and of a round trip when connected."""
    with bench.all_running(bench.taking_part()) as proxies:

        def look(port: int, name: str) -> None:
            drive = bench.load.drive(port, n=bench.some(3_000), at=1)
            bench.results.add(LATENCY_P50.key, name, drive.p50_us)
            bench.results.add(LATENCY_P99.key, name, drive.p99_us)
            with bench.load.holding(port, 1, n=bench.some(10_000), at=1, cycle=1) as held:
                drive = held.drive()
            bench.results.add(TRIP_P50.key, name, drive.p50_us)
            bench.results.add(TRIP_P99.key, name, drive.p99_us)

        for _ in range(bench.rounds):
            look(bench.backends[0], "direct")
            for proxy in proxies:
                with bench.tolerance(proxy.peer.name):
                    look(proxy.port, proxy.peer.name)


def _interleave(bench: Bench, proxies: list[Running], work: _Work) -> None:
    def step(proxy: Running) -> None:
        _measure(bench, proxy, work)

    bench.interleave(proxies, step)


def _measure(bench: Bench, proxy: Running, work: _Work) -> tuple[Drive, Cpu]:
    drive, spent = bench.spend(proxy, lambda: bench.load.drive(proxy.port, **work.plan))
    value = spent.total / drive.done / work.times / work.per
    bench.results.add(work.measure.key, proxy.peer.name, value)
    say(f"  {work.measure.key:8} {proxy.peer.name:15} {value:9.2f} {work.measure.unit}")
    return drive, spent


def _split(
    bench: Bench, proxy: Running, halves: tuple[Measure, Measure], cost: tuple[Cpu, int]
) -> None:
    """Tell user space and kernel apart: the exact sum, split as the ticks are."""
    spent, count = cost
    ticks = spent.user + spent.system or 1.0
    each = spent.total / count * 1e6
    for measure, part in zip(halves, (spent.user, spent.system), strict=True):
        bench.results.add(measure.key, proxy.peer.name, each * part / ticks)
