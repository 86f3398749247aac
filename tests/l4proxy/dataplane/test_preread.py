"""Reading the first flight: in any pieces, until one deadline that nothing moves."""

import socket
from collections.abc import Callable

import pytest

from l4proxy.dataplane.engine import READABLE, Engine
from l4proxy.dataplane.preread import Preread, read_now
from l4proxy.first_flight import FirstFlight
from l4proxy.proxy_protocol import HeaderRejected
from sni import NEED_DATA, HelloFault, HelloLimits, HelloPeeker, HelloReceived, HelloRejected
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet, settle
from tests.l4proxy.proxy_protocol.headers import LINE_4
from tests.sni.hellos import python_hello

HELLO = python_hello()
DEADLINE = 5.0
Pair = Callable[[], tuple[socket.socket, socket.socket]]


class Host:
    """Notes what it hears."""

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[HelloReceived | HelloRejected | HeaderRejected | str | Exception] = []
        self._error = error
        self.held = 0

    def hello_read(self, outcome: HelloReceived | HelloRejected | HeaderRejected) -> None:
        """Note the outcome."""
        self.heard.append(outcome)
        if self._error is not None:
            raise self._error

    def hello_grew(self, count: int) -> None:
        """Add it up."""
        self.held += count

    def hello_missed(self) -> None:
        """Note it."""
        self.heard.append("missed")

    def client_lost(self) -> None:
        """Note it."""
        self.heard.append("lost")

    def cut(self) -> None:
        """Note it."""
        self.heard.append("cut")

    def on_failure(self, error: Exception) -> None:
        """Note it."""
        self.heard.append(error)


class Reading:
    """A preread under way."""

    def __init__(self, engine: Engine, pair: Pair, error: Exception | None = None) -> None:
        near, far = pair()
        self.near, self.client = near, Peer(far)
        self.host = Host(error)
        self.peeker = HelloPeeker()
        self.preread = Preread(engine, near, self.peeker, self.host)
        self.preread.start(engine.now + DEADLINE)


def test_a_hello_in_pieces_is_read(engine: Engine, pair: Pair) -> None:
    """Wherever it is cut, the hello is told once, when it is whole."""
    for cut in (1, 5, 6, len(HELLO) // 2, len(HELLO) - 1):
        reading = Reading(engine, pair)
        reading.client.say(HELLO[:cut])
        quiet(engine, 2)
        assert reading.host.heard == []
        reading.client.say(HELLO[cut:])
        settle(engine, lambda found=reading: bool(found.host.heard))  # type: ignore[misc]  # mypy cannot type a default
        (outcome,) = reading.host.heard
        assert isinstance(outcome, HelloReceived)
        assert reading.peeker.received == HELLO


def test_the_deadline_is_absolute(clock: Clock, engine: Engine, pair: Pair) -> None:
    """Progress buys no time: a byte a second is cut at the deadline like silence."""
    engine.turn(0)
    reading = Reading(engine, pair)
    for second in range(4):
        clock.now += 1
        reading.client.say(HELLO[second : second + 1])
        quiet(engine, 2)
    clock.now += 0.999
    quiet(engine, 2)
    assert reading.host.heard == []
    clock.now += 0.001
    engine.turn(0)
    assert reading.host.heard == ["missed"]
    reading.client.say(HELLO[4:])
    quiet(engine)
    assert reading.host.heard == ["missed"]


def test_no_hello_is_told(engine: Engine, pair: Pair) -> None:
    """Bytes that can never become a hello are told at once."""
    reading = Reading(engine, pair)
    reading.client.say(b"GET / HTTP/1.1\r\n\r\n")
    settle(engine, lambda: bool(reading.host.heard))
    (outcome,) = reading.host.heard
    assert isinstance(outcome, HelloRejected)
    assert outcome.error.reason is HelloFault.NOT_TLS


def test_an_early_end_is_told(engine: Engine, pair: Pair) -> None:
    """A client that ends before its hello is whole is told as truncated."""
    reading = Reading(engine, pair)
    reading.client.say(HELLO[:9])
    reading.client.finish()
    settle(engine, lambda: bool(reading.host.heard))
    (outcome,) = reading.host.heard
    assert isinstance(outcome, HelloRejected)
    assert outcome.error.reason is HelloFault.TRUNCATED


def test_a_reset_is_told(engine: Engine, pair: Pair) -> None:
    """A client that resets is lost."""
    reading = Reading(engine, pair)
    reading.client.say(HELLO[:9])
    reading.client.reset()
    settle(engine, lambda: bool(reading.host.heard))
    assert reading.host.heard == ["lost"]


def test_late_and_stale_events_change_nothing(clock: Clock, engine: Engine, pair: Pair) -> None:
    """An event without data is no end, and after the answer none is heard, nor the deadline."""
    reading = Reading(engine, pair)
    reading.preread.on_ready(READABLE)
    assert reading.host.heard == []
    reading.client.say(HELLO)
    settle(engine, lambda: bool(reading.host.heard))
    reading.client.say(b"early data")
    reading.preread.on_ready(READABLE)
    clock.now += 2 * DEADLINE
    quiet(engine)
    assert len(reading.host.heard) == 1
    assert reading.near.recv(100) == b"early data"  # left for whoever comes next


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("a bug, not the client")])
def test_an_error_of_the_host_is_no_loss_of_the_client(
    engine: Engine, pair: Pair, error: Exception
) -> None:
    """Whatever the host raises when it takes the hello is told as a failure, once."""
    reading = Reading(engine, pair, error)
    reading.client.say(HELLO)
    settle(engine, lambda: len(reading.host.heard) > 1)
    quiet(engine)
    assert reading.host.heard[1:] == [error]


def test_a_header_before_the_hello_is_read_too(engine: Engine, pair: Pair) -> None:
    """Whatever reads the first flight is fed: header and hello, or why there is no header."""
    for wire, kind in ((LINE_4 + HELLO, HelloReceived), (HELLO, HeaderRejected)):
        near, far = pair()
        host = Host()
        flight = FirstFlight(HelloLimits())
        Preread(engine, near, flight, host).start(engine.now + DEADLINE)
        for cut in (slice(20), slice(20, None)):
            Peer(far).say(wire[cut])
            quiet(engine, 2)
        settle(engine, lambda found=host: bool(found.heard))  # type: ignore[misc]  # as above
        assert isinstance(host.heard[0], kind)


def test_reading_without_data_says_so(pair: Pair) -> None:
    """A socket that holds nothing is no end: the peeker hears nothing."""
    near, far = pair()
    peeker = HelloPeeker()
    assert not read_now(near, peeker)
    far.send(b"\x16")
    assert read_now(near, peeker)
    assert peeker.next_event() is NEED_DATA


def test_a_cut_is_told_once_and_only_while_it_waits(engine: Engine, pair: Pair) -> None:
    """At the end of the process who waits for a hello is told; who has one is not."""
    waiting, done = Reading(engine, pair), Reading(engine, pair)
    done.client.say(HELLO)
    settle(engine, lambda: bool(done.host.heard))
    engine.cut()
    engine.cut()
    assert waiting.host.heard == ["cut"]
    assert [type(each) for each in done.host.heard] == [HelloReceived]
