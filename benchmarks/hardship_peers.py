"""The peers of the hardships: backends that end in every way, clients that behave and that do not.

Each runs in a process of its own, on raw sockets, so that what is measured is the balancer.
"""

import contextlib
import multiprocessing
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from multiprocessing.sharedctypes import Synchronized

from tests.e2e.balancer import Address
from tests.e2e.sockets import HELLO, reset

BIND_ADDRESS_NO_PORT = 24  # linux/in.h; the socket module has no name for it before 3.12
ANSWER = b"ok"
PATIENCE = 5.0
"""Seconds after which a client counts as not served."""

MOST_HELD = 8_000
"""Connections that a flood holds at the most, those included that were ended meanwhile."""

_FORK = multiprocessing.get_context("fork")
_NEW = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


class Manner(Enum):
    """What a backend does once it has heard the hello and answered."""

    WAITS = "waits for the client's end"
    ENDS = "ends first"
    RESETS = "resets"


@contextmanager
def backends() -> Iterator[dict[Manner, str]]:
    """Backends of every manner, in one process; yields where they listen."""
    with contextlib.ExitStack() as stack:
        listening = {
            manner: stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
            for manner in Manner
        }
        process = _FORK.Process(target=_serve, args=[listening], daemon=True)
        process.start()
        try:
            yield {
                manner: f"127.0.0.1:{sock.getsockname()[1]}" for manner, sock in listening.items()
            }
        finally:
            process.kill()
            process.join()


def _serve(listening: dict[Manner, socket.socket]) -> None:
    poll = select.epoll()
    doors = {sock.fileno(): (sock, manner) for manner, sock in listening.items()}
    guests: dict[int, tuple[socket.socket, Manner | None]] = {}
    for fd, (sock, _) in doors.items():
        sock.setblocking(False)
        poll.register(fd, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in doors:
                sock, manner = doors[fd]
                with contextlib.suppress(BlockingIOError):
                    guest, _ = sock.accept()
                    guests[guest.fileno()] = guest, manner
                    poll.register(guest.fileno(), select.EPOLLIN)
            else:
                guest, heard = guests.pop(fd)
                if _attend(guest, heard):
                    guests[fd] = guest, None


def _attend(guest: socket.socket, manner: Manner | None) -> bool:
    """Serves one readiness; whether the guest stays. `manner` is None once it was answered."""
    try:
        if guest.recv(65_536):
            if manner is None:
                return True
            guest.send(ANSWER)
            if manner is Manner.ENDS:
                guest.shutdown(socket.SHUT_WR)
            if manner is not Manner.RESETS:
                return True
            reset(guest)
    except OSError:
        pass
    guest.close()
    return False


def dial(address: Address, source: str) -> socket.socket:
    """A socket on its way from a source address, non-blocking, its port chosen at connect."""
    sock = socket.socket(socket.AF_INET, _NEW)
    sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.connect_ex(address)
    return sock


def sources(count: int, network: int = 1) -> list[str]:
    """So many loopback addresses of one network, 127.N.0.0/16."""
    return [f"127.{network}.{n // 250}.{n % 250 + 1}" for n in range(count)]


@dataclass(frozen=True, slots=True)
class Service:
    """How a series of well-behaved clients was served.

    Attributes:
        latencies: Milliseconds from the beginning of the connect to the answer, of those served.
        missed: Clients that were not served.
    """

    latencies: list[float]
    missed: int

    @property
    def p99(self) -> float:
        """The latency that one client in a hundred exceeds."""
        ordered = sorted(self.latencies)
        return ordered[len(ordered) * 99 // 100] if ordered else float("inf")

    @property
    def share(self) -> float:
        """Percent of the clients that were served."""
        return 100 * len(self.latencies) / (len(self.latencies) + self.missed)


def visit(address: Address, seconds: float, rate: float) -> Service:
    """Well-behaved clients for so long, so many a second, one after the other."""
    latencies, missed = [], 0
    begin = time.monotonic()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        started = time.monotonic()
        try:
            with socket.create_connection(
                address, PATIENCE, (f"127.9.0.{number % 250 + 1}", 0)
            ) as c:
                c.sendall(HELLO)
                served = c.recv(100) == ANSWER
        except OSError:
            served = False
        if served:
            latencies.append((time.monotonic() - started) * 1e3)
        else:
            missed += 1
    return Service(latencies, missed)


class Flood:
    """A process that connects, says a whole hello and never reads, as often as it is told.

    Attributes:
        offered: Connections so far.
    """

    def __init__(self, address: Address, rate: float, addresses: list[str]) -> None:
        """Begins: `rate` connections a second from these addresses, in turn."""
        self._count: Synchronized[int] = _FORK.Value("q", 0)
        arguments = address, rate, addresses, self._count
        self._process = _FORK.Process(target=_flood, args=arguments, daemon=True)
        self._process.start()

    @property
    def offered(self) -> int:
        """Connections so far."""
        return self._count.value

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.join()


def _flood(address: Address, rate: float, addresses: list[str], count: "Synchronized[int]") -> None:
    held: deque[socket.socket] = deque()
    begin = time.monotonic()
    done = 0
    while True:
        due = int((time.monotonic() - begin) * rate)
        for _ in range(min(due - done, 64)):
            sock = dial(address, addresses[done % len(addresses)])
            with contextlib.suppress(OSError):
                sock.send(HELLO)
            held.append(sock)
            done += 1
        while len(held) > MOST_HELD:
            _look_after(held)
        count.value = done
        if done >= due:
            time.sleep(0.0005)


def _look_after(held: deque[socket.socket]) -> None:
    """Drops the oldest connection if it was ended, else keeps it as the newest."""
    sock = held.popleft()
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        held.append(sock)
    except OSError:
        sock.close()
    else:
        held.append(sock)
