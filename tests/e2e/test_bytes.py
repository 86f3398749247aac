"""Bytes: all of them, in order, whoever is slow; and the balancer holds few of them."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.e2e.backends import Backend
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, TIMEOUT, connect, exactly

MIB = 1024 * 1024
SIZE = 64 * MIB
RANDOM = Random(3).randbytes(4 * MIB)
ROUND = RANDOM[:MIB] * 2
"""Sent again and again, so that the byte at any place is known."""

# Generous: one direction keeps 64 KiB at the most; but a measured process has some noise.
MAX_GROWTH = 16 * MIB


@pytest.fixture(scope="module")
def balancer(start_shared: Start) -> Iterator[Balancer]:
    """A balancer before a backend that sends and reads as the client asks."""
    with Backend(_serve) as backend:
        routes = {NAME.decode(): "app"}
        yield start_shared({"routes": routes, "pools": {"app": [backend.address]}})


@pytest.mark.parametrize("slow", ["client", "backend", "nobody"])
def test_a_bulk_arrives_whole_in_both_directions(balancer: Balancer, slow: str) -> None:
    """64 MiB each way at once, in chunks of all sizes, and a reader that pauses: nothing changes.

    The worker's memory does not grow with what a slow reader has not read.
    """
    before = balancer.worker.resident
    with connect(balancer.address) as client:
        client.sendall(HELLO + _order(SIZE, slow=slow == "backend"))
        sender = threading.Thread(target=_send, args=[client, SIZE, 1])
        sender.start()
        received = _digest(client, SIZE, slow=slow == "client")
        sender.join(TIMEOUT)
        assert exactly(client, 32) == _expected(SIZE, 1)
    assert received == _expected(SIZE, 2)
    assert balancer.worker.resident - before < MAX_GROWTH


def test_many_bulks_at_once_are_not_mixed(balancer: Balancer) -> None:
    """Connections in parallel each get their own bytes."""
    clients = [connect(balancer.address) for _ in range(8)]
    digests: dict[int, bytes] = {}

    def run(number: int) -> None:
        size = 4 * MIB + number
        client = clients[number]
        client.sendall(HELLO + _order(size, slow=False))
        sender = threading.Thread(target=_send, args=[client, size, 1])
        sender.start()
        digests[number] = _digest(client, size, slow=False)
        sender.join(TIMEOUT)
        assert exactly(client, 32) == _expected(size, 1)

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    for client in clients:
        client.close()
    assert digests == {n: _expected(4 * MIB + n, 2) for n in range(len(clients))}


def test_a_client_that_reads_nothing_holds_the_backend_back(start: Start) -> None:
    """While a client does not read, its backend soon cannot send on, and the worker stays small."""
    sent = [0]

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        while True:
            at = sent[0] % MIB
            sent[0] += sock.send(ROUND[at : at + MIB])

    with Backend(serve) as backend:
        pools = {"app": [backend.address]}
        own = start({"routes": {NAME.decode(): "app"}, "pools": pools})
        before = own.worker.resident
        with connect(own.address) as client:
            client.sendall(HELLO)
            held = _when_steady(sent)
            assert held < SIZE
            assert own.worker.resident - before < MAX_GROWTH
            assert exactly(client, held) == (RANDOM[:MIB] * (held // MIB + 1))[:held]


def test_small_words_are_not_held_back(balancer: Balancer) -> None:
    """A question in two small writes is not delayed for more to come (Nagle's algorithm)."""
    with connect(balancer.address) as client:
        client.sendall(HELLO + b"talk")
        begun = time.monotonic()
        for _ in range(50):
            client.sendall(b"who")
            time.sleep(0.001)  # so that the balancer forwards them one by one
            client.sendall(b"?")
            assert exactly(client, 4) == b"who?"
        # Each exchange that waits for a delayed acknowledgement takes 40 ms, so all of them 2 s.
        assert time.monotonic() - begun < 1.5


def _serve(sock: socket.socket) -> None:
    exactly(sock, len(HELLO))
    order = exactly(sock, 4)
    if order == b"talk":
        heard = b""
        while part := sock.recv(4):
            heard += part
            if len(heard) == 4:
                sock.sendall(heard)
                heard = b""
        return
    size = int.from_bytes(exactly(sock, 8), "big")
    sender = threading.Thread(target=_send, args=[sock, size, 2])
    sender.start()
    digest = _digest(sock, size, slow=order == b"slow")
    sender.join(TIMEOUT)
    sock.sendall(digest)


def _order(size: int, *, slow: bool) -> bytes:
    return (b"slow" if slow else b"fast") + size.to_bytes(8, "big")


def _chunks(size: int, seed: int) -> Iterator[bytes]:
    """So many bytes in chunks of random lengths; the same for the same seed."""
    random = Random(seed)
    left = size
    while left:
        length = min(left, random.choice((1, 100, 16_384, 65_536, 300_000, MIB)))
        start = random.randrange(len(RANDOM) - length)
        yield RANDOM[start : start + length]
        left -= length


def _send(sock: socket.socket, size: int, seed: int) -> None:
    for chunk in _chunks(size, seed):
        sock.sendall(chunk)


def _expected(size: int, seed: int) -> bytes:
    digest = hashlib.sha256()
    for chunk in _chunks(size, seed):
        digest.update(chunk)
    return digest.digest()


def _digest(sock: socket.socket, size: int, *, slow: bool) -> bytes:
    """Reads so many bytes; a slow reader stops now and then until all buffers are full."""
    digest = hashlib.sha256()
    read = rest = 0
    while read < size:
        if slow and read >= rest:
            rest = read + 8 * MIB
            time.sleep(0.2)
        part = sock.recv(min(262_144, size - read))
        assert part, f"the end after {read} of {size} bytes"
        digest.update(part)
        read += len(part)
    return digest.digest()


def _when_steady(count: list[int]) -> int:
    """Waits until a count has not changed for a while and returns it."""
    end = time.monotonic() + TIMEOUT
    last = -1
    while last != count[0] or not last:
        assert time.monotonic() < end, "a backend that is never held back"
        last = count[0]
        time.sleep(0.5)
    return last
