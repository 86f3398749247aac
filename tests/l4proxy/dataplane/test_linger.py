"""The end of a refused client: its alert arrives, and its time is bounded."""

import socket
from collections.abc import Callable

from l4proxy.dataplane.engine import READABLE, Engine
from l4proxy.dataplane.linger import Linger, reset
from l4proxy.limits import LINGER_SECONDS
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet, settle

ALERT = b"\x15\x03\x03\x00\x02\x02\x70"
Pair = Callable[[], tuple[socket.socket, socket.socket]]


class Nobody:
    """A watcher that hears nothing."""

    def on_ready(self, events: int) -> None:
        """Nothing."""

    def on_cut(self) -> None:
        """Nothing."""

    def on_failure(self, error: Exception) -> None:
        """Nothing."""


class Lingering:
    """A lingering client that counts its ends."""

    def __init__(self, engine: Engine, pair: Pair) -> None:
        self.near, far = pair()
        self.client = Peer(far)
        self.ends = 0
        self.error: Exception | None = None
        self.linger = Linger(engine, self.near, self._ended)

    def _ended(self, error: Exception | None) -> None:
        assert self.near.fileno() == -1
        self.error = error
        self.ends += 1


def test_an_alert_arrives_though_the_client_still_talks(engine: Engine, pair: Pair) -> None:
    """Unread bytes of the client do not destroy its alert, nor do those it sends after it."""
    lingering = Lingering(engine, pair)
    lingering.client.say(bytes(100_000))
    lingering.linger.start(ALERT, registered=False)
    for _ in range(3):
        assert lingering.client.say(bytes(1_000))
        quiet(engine, 2)
    settle(engine, lingering.client.heard_all(ALERT, "fin"))
    assert lingering.ends == 0
    lingering.client.finish()
    settle(engine, lambda: lingering.ends == 1)


def test_without_last_words_the_client_hears_the_end(engine: Engine, pair: Pair) -> None:
    """Nothing to say is a plain end."""
    lingering = Lingering(engine, pair)
    lingering.linger.start(b"", registered=False)
    settle(engine, lingering.client.heard_all(b"", "fin"))


def test_a_socket_that_was_watched_is_read_from_at_once(engine: Engine, pair: Pair) -> None:
    """An end that came before the linger, and had its event already, is noticed."""
    lingering = Lingering(engine, pair)
    engine.register(lingering.near.fileno(), READABLE, Nobody())
    lingering.client.say(b"nonsense")
    lingering.client.finish()
    quiet(engine, 3)
    lingering.linger.start(ALERT, registered=True)
    settle(engine, lambda: lingering.ends == 1)
    lingering.client.hear()
    assert lingering.client.heard == ALERT


def test_the_time_is_bounded(clock: Clock, engine: Engine, pair: Pair) -> None:
    """A client that never ends is closed after its moment, however much it sends."""
    engine.turn(0)
    lingering = Lingering(engine, pair)
    lingering.linger.start(ALERT, registered=False)
    for _ in range(9):
        lingering.client.say(bytes(1 << 20))
        clock.now += LINGER_SECONDS / 10
        engine.turn(0)
    assert lingering.ends == 0
    clock.now += LINGER_SECONDS / 5
    settle(engine, lambda: lingering.ends == 1)


def test_a_client_that_is_gone_ends_at_once(engine: Engine, pair: Pair) -> None:
    """A reset before the alert or after it ends the linger, once."""
    before, after = Lingering(engine, pair), Lingering(engine, pair)
    before.client.reset()
    before.linger.start(ALERT, registered=False)
    assert before.ends == 1
    after.linger.start(ALERT, registered=False)
    after.client.reset()
    settle(engine, lambda: after.ends == 1)
    for lingering in (before, after):
        lingering.linger.on_ready(READABLE)
        lingering.linger.on_failure(RuntimeError("late"))
        assert lingering.ends == 1


def test_an_error_ends_it(engine: Engine, pair: Pair) -> None:
    """An unforeseen error closes the socket, and its owner hears of it."""
    lingering = Lingering(engine, pair)
    lingering.linger.start(ALERT, registered=False)
    lingering.linger.on_failure(RuntimeError("a bug"))
    assert lingering.ends == 1
    assert str(lingering.error) == "a bug"


def test_a_reset_is_a_reset(pair: Pair) -> None:
    """After `reset` the close is heard as a reset; on a closed socket it does nothing."""
    near, far = pair()
    reset(near)
    near.close()
    reset(near)
    client = Peer(far)
    client.hear()
    assert client.ending == "reset"


def test_a_cut_closes_once(engine: Engine, pair: Pair) -> None:
    """At the end of the process a client that is still read from is closed, without an error."""
    lingering = Lingering(engine, pair)
    lingering.linger.start(ALERT, registered=False)
    engine.cut()
    engine.cut()
    assert (lingering.ends, lingering.error) == (1, None)
