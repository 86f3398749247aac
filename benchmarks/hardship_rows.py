"""The rows of the hardships: each brings one about and yields its figures."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import cast

from hardship_endings import (
    ENDINGS,
    HELLO_TIMEOUT,
    ROUTES,
    Lottery,
    draw,
    end_in_every_way,
    time_out,
)
from hardship_figures import GREETED, Figure, Stage, at_least, at_most, expect
from hardship_peers import Manner, backends, sources
from hardship_service import compared, served_beside_a_flood, settle, visited
from hardship_shortages import shortages

from tests.e2e.backends import Backend, echo
from tests.e2e.balancer import Balancer
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, TIMEOUT, connect, exactly
from tests.e2e.waiting import until
from tests.ports import free_port
from tests.sni.hellos import record

KIB = 1024
PRECISION_SECONDS = 0.1
"""How far from its deadline a hello may be cut."""
SILENT_SECONDS = 1.1
"""The same for who says nothing: the kernel hands such a connection over after a second."""
SILENT = "nothing"
FOREVER = 60.0
"""Seconds between the bytes of a client that says nothing."""
UNBOUND = {"per_client": "off"}
HALF_HELLO = record(b"\x01\x00\x02\x00" + bytes(600))[:100]
"""The first 100 bytes of a hello of some 500."""
NINE_BYTES = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"
"""A record header and a handshake header that announces 16 MiB."""
NINE_ALLOWED_BYTES = b"\x16\x03\x01\x40\x00\x01\x00\xff\x00"
"""The same for 65,280 bytes, which is less than may be announced."""


def endings(stage: Stage) -> Iterator[Figure]:
    """Descriptors and memory, before and after connections of every kind of ending."""
    rounds = stage.count(98_000) // len(ENDINGS) // 2
    with backends() as found:
        down = f"127.0.0.1:{free_port()}"
        pools = {"ends": [found[Manner.ENDS]], "resets": [found[Manner.RESETS]], "down": [down]}
        config = {
            "pools": {"app": [found[Manner.WAITS]], **pools},
            "routes": {**GREETED, **ROUTES},
            "limits": {"hello_timeout": f"{HELLO_TIMEOUT:.0f}s", **UNBOUND},
        }
        with stage.daemon(config) as balancer:
            worker = balancer.worker
            _end(balancer, stage.count(200), stage.count(1_000))
            settle(balancer)
            descriptors, memory = worker.descriptors, worker.resident
            before = _accepted(balancer)
            _end(balancer, rounds, stage.count(1_000))
            settle(balancer)
            time.sleep(1.5)  # workers report once a second
            count = _accepted(balancer) - before
            more = worker.descriptors - descriptors
            grown = (worker.resident - memory) / KIB
    yield at_most(f"descriptors more after {count:,} endings", more, "", 0)
    yield at_most(f"memory more after {count:,} endings", grown, "KiB", 512)


def _end(balancer: Balancer, rounds: int, held: int) -> None:
    with ProcessPoolExecutor(3, get_context("fork")) as pool:
        done = [
            pool.submit(end_in_every_way, balancer.address, rounds, "127.2.0.1"),
            pool.submit(end_in_every_way, balancer.address, rounds, "127.2.0.2"),
            *(pool.submit(time_out, balancer.address, held, "127.2.0.3") for _ in range(2)),
        ]
        for each in done:
            each.result()


def interleavings(stage: Stage) -> Iterator[Figure]:
    """Bytes lost over random orders of sending, half-closing and resetting."""
    drawn = Lottery()
    with Backend(drawn.serve) as backend:
        config = {"pools": {"app": [backend.address]}, "limits": UNBOUND}
        with stage.daemon(config) as balancer:
            draw(drawn, balancer.address, stage.count(10_000))
            settle(balancer)
    toll = drawn.toll
    what = f"over {toll.played:,} random half-closes and resets"
    yield at_most(f"bytes lost {what}", toll.lost, "", 0)
    yield at_most(f"resets invented {what}", toll.invented, "", 0)


def slow_hellos(stage: Stage) -> Iterator[Figure]:
    """When clients are cut that say their hello too slowly, from the deadline."""
    timeout = 3.0
    manners = {"a byte a second": 1.0, "a byte each 2.9 s": timeout - 0.1, SILENT: FOREVER}
    config = {"pools": {"app": ["127.0.0.1:9"]}, "limits": {"hello_timeout": f"{timeout:.0f}s"}}
    with stage.daemon(config) as balancer:
        clients = [(name, pause) for name, pause in manners.items() for _ in range(20)]
        with ProcessPoolExecutor(len(clients), get_context("fork")) as pool:
            done = [
                (name, pool.submit(_trickle, balancer.address, pause)) for name, pause in clients
            ]
            off = [(name, each.result() - timeout) for name, each in done]
    for name in manners:
        late = [each for who, each in off if who == name]
        most = SILENT_SECONDS if name == SILENT else PRECISION_SECONDS
        said = f"cut after the deadline: client that says {name}"
        yield at_most(f"{said}, latest", max(late), "s", most)
        yield at_least(f"{said}, earliest", min(late), "s", -PRECISION_SECONDS)


def _trickle(address: tuple[str, int], pause: float) -> float:
    """Says a hello slowly; returns seconds until it was cut."""
    with connect(address) as client:
        begun = time.monotonic()
        for byte in HELLO:
            if pause != FOREVER:
                client.sendall(bytes([byte]))
            client.settimeout(pause)
            with suppress(TimeoutError):
                _hear_end(client)
                break
        return time.monotonic() - begun


def _hear_end(client: socket.socket) -> None:
    with suppress(ConnectionError):
        client.recv(1)


def half_hellos(stage: Stage) -> Iterator[Figure]:
    """Memory for each client that waits with half a hello, and how others are served meanwhile."""
    for count in (1_000, 4_900):
        found = _held(stage, stage.count(count), HALF_HELLO)
        what = f"memory for each of {stage.count(count):,} held half hellos of 100 bytes"
        yield at_most(what, found, "KiB", 4)
    count = stage.count(1_000)
    found = _held(stage, count, NINE_ALLOWED_BYTES)
    what = f"memory for each of {count:,} held, 9 bytes announcing 64 KiB"
    yield at_most(what, found, "KiB", 4)


def _held(stage: Stage, count: int, first: bytes) -> float:
    """KiB of memory for each of so many clients that have sent these first bytes and wait."""
    limits = {"hello_timeout": "60s", **UNBOUND}
    with stage.daemon({"pools": {"app": ["127.0.0.1:9"]}, "limits": limits}) as balancer:
        before = balancer.worker.resident
        with _crowd(balancer, count, first):
            return (balancer.worker.resident - before) / KIB / count


@contextmanager
def _crowd(balancer: Balancer, count: int, first: bytes) -> Iterator[None]:
    """So many clients that have sent these bytes and wait."""
    with ExitStack() as stack:
        for source in sources(count):
            stack.enter_context(connect(balancer.address, source)).sendall(first)
        most = min(count, 4_984)  # half of what 20,000 descriptors allow: then the oldest goes
        until("all are held", lambda: balancer.open_connections() >= most)
        yield


def announcements(stage: Stage) -> Iterator[Figure]:
    """Memory that nine bytes announcing 16 MiB cost, for good."""
    count = stage.count(3_000)
    limits = {"hello_timeout": "60s", **UNBOUND}
    with stage.daemon({"pools": {"app": ["127.0.0.1:9"]}, "limits": limits}) as balancer:
        worker = balancer.worker
        _announce(balancer, count)
        before = worker.resident
        _announce(balancer, count)
        grown = (worker.resident - before) / count
    yield at_most(f"memory for each of {count:,} nine bytes announcing 16 MiB", grown, "bytes", 64)


def _announce(balancer: Balancer, count: int) -> None:
    for _ in range(count):
        with connect(balancer.address) as client:
            client.sendall(NINE_BYTES)
            client.recv(100)


def served_beside_half_hellos(stage: Stage) -> Iterator[Figure]:
    """How clients are served while others hold half hellos."""
    with backends() as found:
        pools = {"app": [found[Manner.WAITS]]}
        limits = {"hello_timeout": "60s", **UNBOUND}
        with stage.daemon({"pools": pools, "limits": limits}) as balancer:
            seconds = 10 * stage.scale
            visited(balancer.address, 1)
            quiet = visited(balancer.address, seconds)
            with _crowd(balancer, stage.count(5_000), HALF_HELLO):
                busy = visited(balancer.address, seconds)
    yield from compared("while 5,000 half hellos are held", [quiet], [busy])


def deaths(stage: Stage) -> Iterator[Figure]:
    """A worker is killed: who notices, and when are clients accepted again?"""
    touched, missed, took = 0, 0, []
    with Backend(echo) as backend:
        config = {"pools": {"app": [backend.address]}, "workers": 2, "limits": UNBOUND}
        for _ in range(3):
            with stage.daemon(config) as balancer:
                for seat in range(2):
                    lost, spared, seconds = _kill(balancer, seat)
                    touched += lost
                    missed += spared
                    took.append(seconds * 1e3)
    what = f"of {len(took)} deaths"
    yield at_most(f"connections of other workers cut, {what}", touched, "", 0)
    yield at_most(f"clients waiting at the death not served, {what}", missed, "", 0)
    yield at_most(f"until accepting again, median {what}", median(took), "ms", 200)
    yield Figure(f"until accepting again, worst {what}", max(took), "ms")


def _kill(balancer: Balancer, seat: int) -> tuple[int, int, float]:
    """Kills a worker: foreign connections cut, new clients not served, seconds to serve them."""
    with ExitStack() as stack:
        held = [stack.enter_context(connect(balancer.address)) for _ in range(60)]
        for client in held:
            client.sendall(HELLO)
            exactly(client, len(HELLO))
        victim = balancer.workers()[seat]
        own = _ports(victim)
        foreign = [client for client in held if client.getsockname()[1] not in own]
        expect(bool(foreign), "no connection of another worker")
        os.kill(victim.pid, signal.SIGKILL)
        killed = time.monotonic()
        new = [stack.enter_context(connect(balancer.address)) for _ in range(40)]
        for client in new:
            client.sendall(HELLO)
        served = sum(_answered(client) for client in new)
        seconds = time.monotonic() - killed
        for client in foreign:
            client.sendall(b"?")
        cut = sum(client.recv(1) != b"?" for client in foreign)
        until("the worker is replaced", lambda: bool(balancer.workers()))
    return cut, len(new) - served, seconds


def _answered(client: socket.socket) -> bool:
    client.settimeout(TIMEOUT)
    try:
        return exactly(client, len(HELLO)) == HELLO
    except OSError:
        return False


def _ports(worker: Process) -> set[int]:
    """The ports of the peers that a process is connected to."""
    links = (str(entry.readlink()) for entry in Path(f"/proc/{worker.pid}/fd").iterdir())
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return {int(row[2].split(":")[1], 16) for row in map(str.split, lines) if row[9] in inodes}


def _accepted(balancer: Balancer) -> int:
    return cast("Mapping[str, int]", balancer.status()["connections"])["accepted"]


Row = Callable[[Stage], Iterator[Figure]]

ROWS: dict[str, Row] = {
    row.__name__: row
    for row in (
        endings,
        interleavings,
        slow_hellos,
        half_hellos,
        announcements,
        served_beside_half_hellos,
        served_beside_a_flood,
        shortages,
        deaths,
    )
}
"""Every row by its name."""
