"""Hostile clients: what they cost is bounded, and those who behave are served beside them."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.e2e.backends import Backend, Serve, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.faults import own_network, vanish
from tests.e2e.sockets import HELLO, NAME, TIMEOUT, Heard, alert, connect, exactly, hear, reset, say
from tests.e2e.waiting import until
from tests.sni.hellos import hello, record, server_name

ANSWER = Heard(b"served")
KIB, MIB = 1024, 1024 * 1024
PER_CONNECTION = 8 * KIB
"""Bytes that a connection without a whole hello may hold: twice the target, as pages are coarse."""
HALF = HELLO[: len(HELLO) // 2]
NINE_BYTES = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"
"""A record header, and a handshake header that announces 16 MiB."""
NINE_ALLOWED_BYTES = b"\x16\x03\x01\x40\x00\x01\x00\xff\x00"
"""The same for 65,280 bytes, which a hello may have."""
GREETED = {NAME.decode(): "app"}
UNBOUND = {"per_client": "off", "hello_timeout": "60s"}
BULK = bytes(262_144)
_ESTABLISHED_OR_CLOSE_WAIT = {1, 8}  # the first byte of TCP_INFO (linux/tcp.h)


@dataclass(frozen=True, slots=True)
class Scene:
    """A balancer with much time for hellos, and its backend."""

    balancer: Balancer
    backend: Backend


@pytest.fixture
def scene(start: Start) -> Iterator[Scene]:
    """A balancer that would wait for a hello longer than a test lasts."""
    with Backend(naming(ANSWER.data)) as backend:
        config = {"routes": GREETED, "pools": {"app": [backend.address]}, "limits": UNBOUND}
        yield Scene(start(config), backend)


@contextmanager
def _holding(
    balancer: Balancer, count: int, firsts: Sequence[bytes]
) -> Iterator[list[socket.socket]]:
    """So many clients from several addresses, which say one of these in turn and then nothing."""
    with ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(connect(balancer.address, f"127.0.1.{number % 50 + 1}"))
            client.sendall(firsts[number % len(firsts)])
            clients.append(client)
        yield clients


def _expect_served(balancer: Balancer, count: int = 20) -> None:
    assert all(say(balancer.address, HELLO) == ANSWER for _ in range(count))


def _is_open(client: socket.socket) -> bool:
    """Whether a client has heard nothing yet."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        client.settimeout(TIMEOUT)
    return False


@pytest.mark.parametrize("pause", [0.05, 0.9], ids=["steadily", "just in time"])
def test_progress_buys_no_time(start: Start, pause: float) -> None:
    """However a slow hello comes, it is cut at the one deadline, and no backend hears of it."""
    long = hello(server_name(NAME), (21, bytes(400))).wire()
    with Backend(naming(ANSWER.data)) as backend:
        limits = {"hello_timeout": "1s"}
        balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}, "limits": limits})
        begun = time.monotonic()
        with _holding(balancer, 20, [long[:1]]) as clients:
            said = 1
            while any(map(_is_open, clients)):
                time.sleep(pause)
                for client in filter(_is_open, clients):
                    client.sendall(long[said : said + 1])
                said += 1
                assert said < len(long), "the whole hello was taken"
        assert time.monotonic() - begun > 0.9
        balancer.expect_counted("refused", "hello_timeout", 20)
        _expect_served(balancer, 1)
        assert backend.accepted == 1


def test_a_crowd_that_says_little_costs_little(scene: Scene) -> None:
    """A thousand clients with five bytes, half a hello or a big promise take a few KiB each."""
    balancer, worker = scene.balancer, scene.balancer.worker
    _expect_served(balancer)
    before = worker.resident
    count = 1_500
    with _holding(balancer, count, [HELLO[:5], HALF, NINE_ALLOWED_BYTES]):
        until("all are held", lambda: balancer.open_connections() == count)
        assert worker.resident - before < count * PER_CONNECTION
        _expect_served(balancer)
    until("all are let go", lambda: not balancer.open_connections())


def test_silent_clients_keep_nobody_out(scene: Scene) -> None:
    """Clients that say nothing at all do not delay those who do, nor cost a dial."""
    with _holding(scene.balancer, 500, [b""]):
        _expect_served(scene.balancer)
    assert scene.backend.accepted == 20


def test_the_oldest_gives_way(start: Start) -> None:
    """When half of all connections wait for a hello, the one that has waited longest is reset."""
    with Backend(naming(ANSWER.data)) as backend:
        limits = {**UNBOUND, "connections": 40}
        balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}, "limits": limits})
        with _holding(balancer, 30, [HALF]) as clients:
            balancer.expect_counted("refused", "too_many_waiting", 10)
            assert [_is_open(client) for client in clients] == [False] * 10 + [True] * 20
            _expect_served(balancer)
            clients[-1].sendall(HELLO[len(HALF) :])
            assert hear(clients[-1]) == ANSWER


def test_a_promise_of_16_mib_costs_nothing(scene: Scene) -> None:
    """Nine bytes that announce 16 MiB are refused at once, and nothing is set aside for them."""
    balancer, worker = scene.balancer, scene.balancer.worker
    assert say(balancer.address, NINE_BYTES) == alert(50)
    before = worker.resident
    assert all(say(balancer.address, NINE_BYTES) == alert(50) for _ in range(300))
    assert worker.resident - before < MIB
    assert scene.backend.accepted == 0


def test_a_flood_of_whole_hellos_is_shed(start: Start) -> None:
    """Clients that never read get no more than `per_client` each; all others are served."""
    with Backend(echo) as held:
        limits = {"per_client": 20}
        pools = {"app": [held.address]}
        balancer = start({"routes": GREETED, "pools": pools, "limits": limits})
        with ExitStack() as stack:
            for number in range(600):
                source = f"127.0.1.{number % 3 + 1}"
                client = stack.enter_context(connect(balancer.address, source))
                try:
                    client.sendall(HELLO)
                except ConnectionError:
                    continue  # reset before it could say anything
            balancer.expect_counted("refused", "client_limit", 540)
            assert held.accepted == 60
            for _ in range(20):
                with connect(balancer.address) as client:
                    client.sendall(HELLO)
                    assert exactly(client, len(HELLO)) == HELLO


@pytest.mark.parametrize("said", [0, 1, 5, len(HALF)], ids=str)
def test_a_reset_before_the_hello_is_whole_leaves_nothing(scene: Scene, said: int) -> None:
    """A client that resets early leaves no descriptor behind, and no backend was dialled for it."""
    _expect_served(scene.balancer, 1)
    worker = scene.balancer.worker
    until("the first is gone", lambda: not scene.balancer.open_connections())
    before = worker.descriptors
    for _ in range(100):
        client = connect(scene.balancer.address)
        client.sendall(HELLO[:said])
        reset(client)
    _expect_served(scene.balancer, 1)
    until("all are gone", lambda: not scene.balancer.open_connections())
    until("no descriptor is left", lambda: worker.descriptors == before)
    assert scene.backend.accepted == 2


def test_a_reset_behind_the_hello_leaves_nothing(scene: Scene) -> None:
    """A client that resets right behind its hello leaves no descriptor and no connection."""
    worker = scene.balancer.worker
    before = worker.descriptors
    for _ in range(100):
        client = connect(scene.balancer.address)
        client.sendall(HELLO)
        reset(client)
    _expect_served(scene.balancer, 1)
    until("all are gone", lambda: not scene.balancer.open_connections())
    until("no descriptor is left", lambda: worker.descriptors == before)


def test_a_storm_of_resets_is_passed_on_and_counted(start: Start) -> None:
    """When hundreds reset at once every backend hears it, each is counted, no log is flooded."""
    count = 300
    heard: list[Heard] = []

    def serve(sock: socket.socket) -> None:
        sock.sendall(exactly(sock, len(HELLO)))
        heard.append(hear(sock))

    with Backend(serve) as backend:
        balancer = start(
            {"routes": GREETED, "pools": {"app": [backend.address]}, "limits": UNBOUND}
        )
        with _holding(balancer, count, [HELLO]) as clients:
            for client in clients:
                exactly(client, len(HELLO))
            lines = balancer.log.count("\n")
            for client in clients:
                reset(client)
            until("all backends hear", lambda: len(heard) == count)
        assert heard == [Heard(b"", reset=True)] * count
        until("all are gone", lambda: not balancer.open_connections())
        balancer.expect_counted("ended", "client_reset", count)
        assert balancer.log.count("\n") - lines < 5


def _pours(sock: socket.socket) -> None:
    """A backend that sends without end and never reads again."""
    exactly(sock, len(HELLO))
    while True:
        sock.sendall(BULK)


def _never_reads(sock: socket.socket) -> None:
    """A backend that answers, and then does nothing until the client is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.sendall(exactly(sock, len(HELLO)))
    until("it is cut", lambda: not _lives(sock), 2 * TIMEOUT)


def _lives(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ESTABLISHED_OR_CLOSE_WAIT


def _small(balancer: Balancer) -> socket.socket:
    """A client with next to no room for what it is sent."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(TIMEOUT)
    client.connect(balancer.address)
    client.sendall(HELLO)
    return client


def _pour(clients: list[socket.socket]) -> None:
    """Lets all send for some seconds as much as is taken, but not hear."""
    for client in clients:
        client.setblocking(False)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for client in clients:
            with suppress(BlockingIOError, ConnectionError):
                client.send(BULK)
        time.sleep(0.02)


@pytest.mark.parametrize("serve", [_pours, _never_reads], ids=["client", "backend"])
def test_who_does_not_read_cannot_fill_the_memory(start: Start, serve: Serve) -> None:
    """What is kept for slow readers stays within `buffers`: the one that waits longest is ended."""
    with Backend(serve) as backend:
        limits = {**UNBOUND, "buffers": "1MiB"}
        balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}, "limits": limits})
        before = balancer.worker.resident
        with ExitStack() as stack:
            clients = [stack.enter_context(_small(balancer)) for _ in range(400)]

            def somebody_gave_way() -> bool:
                """Pours again on a machine so busy that the kernel had room for it all."""
                if serve is _never_reads:
                    _pour(clients)
                return balancer.counted("ended", "buffers_full") > 0

            until("somebody gave way", somebody_gave_way)
            assert balancer.open_connections() >= 16
            # Without the bound it would be 400 times 64 KiB, and more.
            assert balancer.worker.resident - before < 6 * MIB
    until("all are gone", lambda: not balancer.open_connections())


@pytest.mark.parametrize(
    ("timeouts", "endings"),
    [
        ({"idle": "1s"}, ["idle_timeout"]),
        ({"user_timeout": "1s"}, ["client_reset", "backend_reset"]),
    ],
    ids=["idle", "user_timeout"],
)
def test_timers_fire_for_who_does_not_read(
    start: Start, timeouts: dict[str, str], endings: list[str]
) -> None:
    """Where neither side reads, `idle` and `user_timeout` still end the connection."""
    with Backend(_pours) as backend:
        pool = {"backends": [backend.address], "timeouts": timeouts}
        balancer = start({"routes": GREETED, "pools": {"app": pool}, "limits": UNBOUND})
        with _small(balancer) as client:
            _pour([client])
            until("it is ended", lambda: not balancer.open_connections())
        until("it is counted", lambda: any(balancer.counted("ended", word) for word in endings))


def _ticks(sock: socket.socket) -> None:
    """A backend that answers, and then says a word now and then."""
    sock.sendall(exactly(sock, len(HELLO)))
    while True:
        time.sleep(0.1)
        sock.sendall(b"tick")


@pytest.mark.parametrize("serve", [echo, _ticks], ids=["idle", "with bytes under way"])
def test_who_has_vanished_is_noticed(start: Start, serve: Serve) -> None:
    """A peer that is gone without a word is found out by the kernel, and nothing is left of it."""
    with own_network(), Backend(serve) as backend:
        timeouts = {"user_timeout": "1s", "keepalive": "5s"}
        pool = {"backends": [backend.address], "timeouts": timeouts}
        balancer = start({"routes": GREETED, "pools": {"app": pool}})
        worker = balancer.worker
        before = worker.descriptors
        with connect(balancer.address, "127.0.0.5") as client:
            client.sendall(HELLO)
            exactly(client, len(HELLO))
            time.sleep(1.2)  # a relay gets the options of long ones when it has lived for a second
            vanish("127.0.0.5")
            until("the connection is let go", lambda: not balancer.open_connections())
            until("no descriptor is left", lambda: worker.descriptors == before)


def test_records_of_one_byte_cost_no_more_than_their_bytes(scene: Scene) -> None:
    """A hello of thousands of tiny records is read, or refused, without stalling others."""
    message = HELLO[5:]
    wire = b"".join(record(bytes([byte])) for byte in message)
    with _holding(scene.balancer, 50, [wire[:-1]]) as clients:
        _expect_served(scene.balancer)
        for client in clients:
            client.sendall(wire[-1:])
            assert hear(client) == ANSWER
