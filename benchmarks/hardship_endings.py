"""Connections of every kind of ending, by the thousand and at random: what stays, what is lost?"""

import array
import fcntl
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from random import Random

from hardship_peers import ANSWER

from tests.e2e.balancer import Address
from tests.e2e.sockets import HELLO, connect, exactly, reset
from tests.sni.hellos import hello, server_name

ENDS_FIRST = hello(server_name(b"ends.example.com")).wire()
RESETS = hello(server_name(b"resets.example.com")).wire()
DOWN = hello(server_name(b"down.example.com")).wire()
UNKNOWN = hello(server_name(b"unknown.example.com")).wire()
ROUTES = {"ends.example.com": "ends", "resets.example.com": "resets", "down.example.com": "down"}
HELLO_TIMEOUT = 1.0
"""Seconds, as the daemon of the endings is configured."""

Ending = Callable[[socket.socket], None]


def _complete(client: socket.socket) -> None:
    client.sendall(HELLO)
    client.recv(100)


def _client_ends_first(client: socket.socket) -> None:
    client.sendall(HELLO)
    client.recv(100)
    client.shutdown(socket.SHUT_WR)
    client.recv(100)


def _backend_ends_first(client: socket.socket) -> None:
    client.sendall(ENDS_FIRST)
    while client.recv(100):
        pass
    client.sendall(b"more")


def _client_resets(client: socket.socket) -> None:
    client.sendall(HELLO)
    client.recv(100)
    reset(client)


def _client_resets_at_once(client: socket.socket) -> None:
    client.sendall(HELLO)
    reset(client)


def _backend_resets(client: socket.socket) -> None:
    client.sendall(RESETS)
    while client.recv(100):
        pass


def _resets_in_the_hello(client: socket.socket) -> None:
    client.sendall(HELLO[:30])
    reset(client)


def _ends_in_the_hello(client: socket.socket) -> None:
    client.sendall(HELLO[:30])


def _is_unknown(client: socket.socket) -> None:
    client.sendall(UNKNOWN)
    client.recv(100)


def _is_not_tls(client: socket.socket) -> None:
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    client.recv(100)


def _finds_nobody(client: socket.socket) -> None:
    client.sendall(DOWN)
    client.recv(100)


def _says_nothing(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


ENDINGS: tuple[Ending, ...] = (
    _complete,
    _client_ends_first,
    _backend_ends_first,
    _client_resets,
    _client_resets_at_once,
    _backend_resets,
    _resets_in_the_hello,
    _ends_in_the_hello,
    _is_unknown,
    _is_not_tls,
    _finds_nobody,
    _says_nothing,
)
"""All endings but the hello timeout, which takes its time and is `time_out`'s."""


def end_in_every_way(address: Address, rounds: int, source: str) -> None:
    """Goes through all endings, one connection each, so many times."""
    for _ in range(rounds):
        for ending in ENDINGS:
            # A reset is one of the endings.
            with suppress(ConnectionError), connect(address, source) as client:
                ending(client)


def time_out(address: Address, count: int, source: str) -> None:
    """Holds so many half hellos until all are cut."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(address, source)) for _ in range(count)]
        for client in clients:
            client.sendall(HELLO[:30])
        for client in clients:
            client.recv(100)


# --- at random: every byte that was delivered before an end must arrive ------------------------

_NUMBER = struct.Struct(">q")
_WORDS = Random(5).randbytes(200_000)  # noqa: S311 - no secret, only not all the same
"""What a side says, as much of it as its script has."""
_TCP_CLOSE = 7  # the first byte of TCP_INFO (linux/tcp.h)
_WAIT_SECONDS = 20.0
_RESET_SHARE = 0.25

Heard = tuple[bytes, bool]
"""What a side has heard, and whether a reset was its end."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side does.

    Attributes:
        size: Bytes it sends.
        resets: It resets once these are acknowledged, instead of ending.
        reads_first: It hears the other side out before it sends.
    """

    size: int
    resets: bool
    reads_first: bool


@dataclass(slots=True)
class Toll:
    """What went wrong over many connections.

    Attributes:
        played: Connections.
        lost: Bytes that were sent and did not arrive, or not as they were.
        invented: Resets that nobody sent.
    """

    played: int = 0
    lost: int = 0
    invented: int = 0

    def weigh(self, heard: Heard, speaker: Side, listener: Side) -> None:
        """Add what a listener should have heard; who resets unheard the other is not asked."""
        words, was_reset = heard
        if listener.resets and not listener.reads_first:
            return
        if words != _WORDS[: speaker.size]:
            self.lost += max(1, speaker.size - len(words))
        self.invented += was_reset and not speaker.resets


def script(number: int) -> tuple[Side, Side]:
    """What client and backend of a connection do."""
    random = Random(number)  # noqa: S311 - as above: each number has its script
    waiting = random.choice(("neither", "client", "backend"))
    client, backend = (
        Side(int(len(_WORDS) ** random.random()), random.random() < _RESET_SHARE, waiting == who)
        for who in ("client", "backend")
    )
    return client, backend


def _play(sock: socket.socket, side: Side) -> Heard:
    words, was_reset = _listen(sock) if side.reads_first else (b"", False)
    try:
        sock.sendall(_WORDS[: side.size])
        if side.resets:
            _wait_acknowledged(sock)
            reset(sock)
            return words, was_reset
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        was_reset = True
    if not side.reads_first:
        words, broken = _listen(sock)
        was_reset = was_reset or broken
    return words, was_reset


def _listen(sock: socket.socket) -> Heard:
    heard = bytearray()
    try:
        while part := sock.recv(65_536):
            heard += part
    except ConnectionError:
        return bytes(heard), True
    return bytes(heard), False


def _wait_acknowledged(sock: socket.socket) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while _unacknowledged(sock) and time.monotonic() < end:
        if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
            return
        time.sleep(0.001)


def _unacknowledged(sock: socket.socket) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]


class Lottery:
    """A backend and clients that play scripts against each other through a balancer.

    Attributes:
        toll: What went wrong so far.
    """

    def __init__(self) -> None:
        """Prepares; the balancer's backend must `serve`."""
        self.toll = Toll()
        self._lock = threading.Lock()
        self._heard: dict[int, Heard] = {}

    def serve(self, sock: socket.socket) -> None:
        """Plays the backend's side of one connection."""
        begun = exactly(sock, len(HELLO) + _NUMBER.size)
        (number,) = _NUMBER.unpack(begun[len(HELLO) :])
        sock.sendall(ANSWER)
        self._heard[number] = _play(sock, script(number)[1])

    def play(self, address: Address, number: int) -> None:
        """Plays the client's side, and weighs what both have heard."""
        client, backend = script(number)
        with connect(address, f"127.3.0.{number % 250 + 1}") as sock:
            sock.sendall(HELLO + _NUMBER.pack(number))
            exactly(sock, len(ANSWER))
            told = _play(sock, client)
        end = time.monotonic() + _WAIT_SECONDS
        while number not in self._heard and time.monotonic() < end:
            time.sleep(0.001)
        heard = self._heard.pop(number, (b"", True))
        with self._lock:
            self.toll.played += 1
            self.toll.weigh(told, backend, client)
            self.toll.weigh(heard, client, backend)


def draw(drawn: Lottery, address: Address, count: int) -> None:
    """Plays so many scripts, several at a time."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: drawn.play(address, number), range(count)):
            pass
