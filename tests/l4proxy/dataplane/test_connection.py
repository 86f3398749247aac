"""One connection from accept to end: whom it reaches, what it hears, and that counts balance."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from l4proxy.dataplane.connection import Connection
from l4proxy.limits import DIAL_ATTEMPTS, LINGER_SECONDS, REPLAY_BYTES, SETTLED_SECONDS
from l4proxy.refusal import RefusalStyle
from routing import (
    HOLD_SECONDS,
    BackendName,
    Capacity,
    Pools,
    RouteTable,
    TicketLayout,
    TicketName,
    TicketNames,
)
from sni import HelloLimits
from tests.l4proxy.dataplane.loopback import (
    Clock,
    Peer,
    open_descriptors,
    quiet,
    settle,
    tcp_pair,
)
from tests.l4proxy.dataplane.room import HELLO_TIMEOUT, TIMEOUTS, logging, snapshot
from tests.l4proxy.dataplane.stage import HELLO, WHO, Stage, converse, use
from tests.l4proxy.dataplane.test_dial import Full
from tests.ports import free_port
from tests.sni import hellos

STRANGER = hellos.python_hello("other.example.com")
KNOWN = b"known key name 1"
TICKETS = TicketNames([TicketName(TicketLayout(0, 16), KNOWN, BackendName("b1"))])


def resuming(key_name: bytes) -> bytes:
    """A hello that offers a TLS 1.3 ticket that begins with this key name."""
    return hellos.hello(
        hellos.server_name(b"app.example.com"),
        hellos.supported_versions(0x0304),
        hellos.pre_shared_key((key_name + bytes(100), 1)),
    ).wire()


# --- forward -------------------------------------------------------------------------------------


def test_a_client_reaches_its_backend(stage: Stage) -> None:
    """A hello that was there at accept is replayed unchanged, and everything is counted."""
    use(stage, snapshot(stage.ports[0]))
    client, _ = stage.arrive(HELLO)
    assert stage.room.slots == {0: 1}
    converse(stage, client, stage.backend())
    assert stage.room.counted == {
        ("chosen", "app/selected"): 1,
        ("forwarded", "app/b0"): 1,
        ("bytes_to_backend", "app/b0"): 4,
        ("bytes_to_client", "app/b0"): 6,
        ("ended", "complete"): 1,
    }


def test_a_hello_in_pieces_reaches_its_backend(stage: Stage) -> None:
    """A hello that comes byte by byte, early data right behind it, is replayed unchanged."""
    use(stage, snapshot(stage.ports[0]))
    client, _ = stage.arrive()
    for cut in range(0, len(HELLO), 50):
        client.say(HELLO[cut : cut + 50])
        stage.engine.turn(0)
    client.say(b"early data")
    converse(stage, client, stage.backend(), HELLO + b"early data")


def test_what_a_client_said_before_the_backend_answered_follows(stage: Stage) -> None:
    """Early data that came while a watched client waited for its backend is not forgotten."""
    full = Full()
    use(stage, snapshot(full.address.port))
    client, _ = stage.arrive(HELLO[:10])
    client.say(HELLO[10:])
    quiet(stage.engine)
    client.say(b"early data")
    quiet(stage.engine)
    full.make_room()
    backend = Peer(full.accept())
    # The backend talks before the balancer looks: one event brings connect and data together.
    backend.say(b"banner")
    settle(stage.engine, client.heard_all(b"banner"))
    settle(stage.engine, backend.heard_all(HELLO + b"early data"))
    full.close()


def test_a_hello_that_does_not_fit_follows_in_order(stage: Stage) -> None:
    """A hello with early data beyond what the backend's socket takes at once arrives whole."""
    use(stage, snapshot(stage.ports[0]))
    early = bytes(range(256)) * 60_000
    client, connection = stage.arrive()
    connection._flight.receive_data(HELLO + early)  # noqa: SLF001 - as a read of any size would
    client.say(b"then this")
    stage.engine.turn(0)
    backend = stage.backend()
    settle(stage.engine, backend.heard_all(HELLO + early + b"then this"))


def test_a_hello_that_nothing_has_room_for_ends_its_connection(stage: Stage) -> None:
    """What the backend does not take at once is beyond the budget: one end, everything is freed."""
    present = snapshot(stage.ports[0])
    use(stage, replace(present, settings=replace(present.settings, buffers=1_000)))
    stage.room.backlog.limit = 1_000
    client, connection = stage.arrive()
    connection._flight.receive_data(HELLO + bytes(16 << 20))  # noqa: SLF001 - as above
    client.say(b"then this")
    settle(stage.engine, lambda: stage.room.balanced)
    settle(stage.engine, client.has_ended)
    stage.clock.now += TIMEOUTS.idle
    quiet(stage.engine)
    assert stage.room.failures == []
    assert stage.room.counted["ended", "buffers_full"] == 1


def test_a_known_ticket_finds_its_backend(stage: Stage) -> None:
    """The owner of the ticket is dialled, without a wait."""
    use(stage, snapshot(*stage.ports, ticket_names=TICKETS))
    hello = resuming(KNOWN)
    client, _ = stage.arrive(hello)
    converse(stage, client, stage.backend(1), hello)
    assert stage.room.counted["chosen", "app/learned"] == 1


# --- hold ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2])
def test_an_unknown_ticket_waits_then_is_decided(stage: Stage, clock: Clock, pieces: int) -> None:
    """The hello is held for its moment, then forwarded by whatever is known by then."""
    use(stage, snapshot(stage.ports[0], stage.ports[1], ticket_names=TICKETS))
    hello = resuming(b"a name not known")
    cut = len(hello) // pieces
    client, _ = stage.arrive(hello[:cut])
    client.say(hello[cut:])
    clock.now += HOLD_SECONDS - 0.001
    quiet(stage.engine)
    held_since = clock.now
    assert stage.room.counted == {}
    assert stage.room.slots == {}
    learned = TicketName(TicketLayout(0, 16), b"a name not known", BackendName("b1"))
    use(stage, snapshot(*stage.ports, ticket_names=TicketNames([learned])))
    clock.now = held_since + HOLD_SECONDS
    quiet(stage.engine)
    converse(stage, client, stage.backend(1), hello)
    assert stage.room.counted["chosen", "app/learned"] == 1


def test_a_held_hello_that_stays_unknown_is_selected(stage: Stage, clock: Clock) -> None:
    """Nothing learned: the client is served like a new one, and not held twice."""
    use(stage, snapshot(stage.ports[0], ticket_names=TICKETS))
    hello = resuming(b"a name not known")
    client, _ = stage.arrive(hello)
    clock.now += HOLD_SECONDS
    quiet(stage.engine)
    converse(stage, client, stage.backend(), hello)
    assert stage.room.counted["chosen", "app/selected"] == 1


# --- refuse --------------------------------------------------------------------------------------

UNRECOGNIZED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(
    ("style", "heard", "ending"),
    [
        (RefusalStyle.ALERT, UNRECOGNIZED_NAME, "fin"),
        (RefusalStyle.CLOSE, b"", "fin"),
        (RefusalStyle.RESET, b"", "reset"),
    ],
)
def test_a_stranger_is_refused_as_configured(
    stage: Stage, style: RefusalStyle, heard: bytes, ending: str, pieces: int
) -> None:
    """Alert, end or reset, whether the hello came at once or in pieces; counted once."""
    use(stage, snapshot(stage.ports[0], style=style))
    cut = len(STRANGER) // pieces
    client, _ = stage.arrive(STRANGER[:cut])
    if pieces > 1:
        client.say(STRANGER[cut:])
    settle(stage.engine, lambda: client.heard_all(heard, ending)() or bool(client.ending))
    assert client.heard[:5] == heard[:5]
    assert (client.heard[-1:], client.ending) == (heard[-1:], ending)
    if ending == "fin":
        client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "unknown_server_name"): 1}


def test_what_is_not_tls_hears_no_alert(stage: Stage) -> None:
    """A peer that does not speak TLS hears the end only."""
    client, _ = stage.arrive(b"GET / HTTP/1.1\r\n\r\n")
    settle(stage.engine, client.heard_all(b"", "fin"))
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "not_tls"): 1}


def test_a_hello_beyond_the_limit_is_refused(stage: Stage) -> None:
    """The limit of the snapshot is the one that holds."""
    use(stage, snapshot(stage.ports[0], hello=HelloLimits(wire_bytes=100)))
    client, _ = stage.arrive(HELLO)
    settle(stage.engine, client.has_ended)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "too_long"): 1}


def test_a_silent_client_is_refused_at_the_deadline(stage: Stage, clock: Clock) -> None:
    """Without a hello in time the connection ends, and after its linger it is gone."""
    client, _ = stage.arrive()
    clock.now += HELLO_TIMEOUT
    settle(stage.engine, client.heard_all(b"", "fin"))
    clock.now += LINGER_SECONDS
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "hello_timeout"): 1}


@pytest.mark.parametrize("when", ["before", "while waiting"])
def test_a_client_that_resets_is_counted(stage: Stage, when: str) -> None:
    """A reset before the hello was whole ends the connection at once."""
    if when == "before":
        near, far = tcp_pair()
        Peer(far).reset()
        stage.room.open += 1
        Connection(stage.room, near, WHO).begin()
    else:
        client, _ = stage.arrive(HELLO[:20])
        client.reset()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted == {("refused", "client_reset"): 1}


def test_without_room_on_any_backend_the_client_is_refused(stage: Stage) -> None:
    """The second connection of a pool for one hears that there is none."""
    use(stage, snapshot(stage.ports[0], capacity=Capacity(sessions=1, connections=1)))
    stage.arrive(HELLO)
    client, _ = stage.arrive(HELLO)
    settle(stage.engine, client.has_ended)
    assert client.heard[-1] == 80  # internal_error
    assert stage.room.counted["refused", "no_eligible_backend"] == 1


# --- dial ----------------------------------------------------------------------------------------


def test_a_backend_that_is_down_costs_a_retry(stage: Stage) -> None:
    """Dead backends are tried once each, then the one that lives; the counts say so."""
    use(stage, snapshot(free_port(), stage.ports[1], free_port()))
    for _ in range(5):
        client, _ = stage.arrive(HELLO)
        converse(stage, client, stage.backend(1))
    assert stage.room.counted["forwarded", "app/b1"] == 5
    failed = {label for name, label in stage.room.counted if name == "dial_failed"}
    assert failed <= {"app/b0/econnrefused", "app/b2/econnrefused"}


@pytest.mark.parametrize("backends", [1, 3, 5])
def test_a_dead_pool_is_an_alert_after_few_dials(stage: Stage, backends: int) -> None:
    """At most so many backends are tried; then the client hears internal_error."""
    use(stage, snapshot(*[free_port() for _ in range(backends)]))
    client, _ = stage.arrive(HELLO)
    settle(stage.engine, client.has_ended)
    assert (client.heard[:1], client.heard[-1]) == (b"\x15", 80)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    counted = dict(stage.room.counted)
    assert counted.pop(("refused", "no_backend_answered")) == 1
    assert len(counted) == min(backends, DIAL_ATTEMPTS)
    assert {name for name, _ in counted} == {"dial_failed"}


def test_a_silent_backend_costs_its_timeout(stage: Stage, clock: Clock) -> None:
    """A backend that does not answer is given up at its deadline, and the slot is free again."""
    full = Full()
    use(stage, snapshot(full.address.port))
    client, _ = stage.arrive(HELLO)
    assert stage.room.slots == {0: 1}
    clock.now += TIMEOUTS.connect
    settle(stage.engine, client.has_ended)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted["dial_failed", "app/b0/etimedout"] == 1
    full.close()


def test_a_reload_that_takes_the_pool_away_lets_a_dial_finish(stage: Stage) -> None:
    """A backend that answers after its pool has left the snapshot still gets its client."""
    full = Full()
    use(stage, snapshot(full.address.port))
    client, _ = stage.arrive(HELLO)
    present = stage.room.snapshot
    use(stage, replace(present, pools=Pools(RouteTable(()), {}), timeouts={}))
    full.make_room()
    backend = Peer(full.accept())
    converse(stage, client, backend)
    assert stage.room.failures == []
    full.close()


# --- failure -------------------------------------------------------------------------------------


def failing(error: Exception) -> Callable[[object, object, object], None]:
    """What raises this, whatever it is called with."""

    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("a bug, not the client")])
def test_an_unforeseen_error_frees_everything(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An error behind the decision is reported, never taken for the client's reset."""
    before = open_descriptors()
    monkeypatch.setattr("l4proxy.dataplane.connection.dial", failing(error))
    client, _ = stage.arrive(HELLO[:20])
    client.say(HELLO[20:])
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.failures == [error]
    assert stage.room.counted == {}
    assert open_descriptors() == before + 1  # the client's own end


def test_an_error_at_once_reaches_the_caller(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails while the client is accepted is the worker's to pass to `on_failure`."""
    error = OSError("a bug, not the client")
    monkeypatch.setattr("l4proxy.dataplane.connection.dial", failing(error))
    with pytest.raises(OSError, match="a bug"):
        stage.arrive(HELLO)
    stage.connections[0].on_failure(error)
    assert stage.room.balanced


@pytest.mark.parametrize("pieces", [1, 2])
def test_an_error_before_any_slot_was_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """The boundary holds in every phase, that of a held hello too: nothing untaken is freed."""
    use(stage, snapshot(stage.ports[0], ticket_names=TICKETS))
    hello = resuming(b"a name not known")
    client, _ = stage.arrive(hello[: len(hello) // pieces])
    client.say(hello[len(hello) // pieces :])
    quiet(stage.engine, 2)
    error = RuntimeError("a bug")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("l4proxy.dataplane.connection.decide", fail)
    stage.clock.now += HOLD_SECONDS
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.failures == [error]
    stage.clock.now += HELLO_TIMEOUT
    quiet(stage.engine)
    assert stage.room.counted == {}


def test_an_error_of_the_relay_is_reported(stage: Stage) -> None:
    """An error in the copy ends this connection, and is counted as such."""
    use(stage, snapshot(stage.ports[0]))
    _, connection = stage.arrive(HELLO)
    error = RuntimeError("a bug")
    connection.relay_failed(error)
    assert stage.room.failures == [error]


# --- the end of the process ----------------------------------------------------------------------


def test_what_runs_when_the_process_ends_is_accounted_for(stage: Stage) -> None:
    """Whatever a connection waits for, it is counted, has a line, and everything is given back."""
    full = Full()
    use(stage, logging(snapshot(full.address.port)))
    stage.arrive(HELLO)  # waits for its dial
    stage.arrive(HELLO[:20])  # waits for its hello
    stage.arrive(b"no hello at all")  # lingers
    use(stage, logging(snapshot(stage.ports[0])))
    client, _ = stage.arrive(HELLO)
    backend = stage.backend()
    settle(stage.engine, backend.heard_all(HELLO))
    backend.say(b"half")
    settle(stage.engine, client.heard_all(b"half"))
    stage.engine.cut()
    assert stage.room.balanced
    assert stage.room.counted["refused", "shutdown"] == 2
    assert stage.room.counted["ended", "shutdown"] == 1
    lines = stage.room.lines()
    assert sorted(str(line.get("refused") or line["ended"]) for line in lines) == [
        "not_tls",
        "shutdown",
        "shutdown",
        "shutdown",
    ]
    (relayed,) = (line for line in lines if "ended" in line)
    assert relayed["bytes_to_client"] == 4
    full.close()


# --- what is kept to be said again ---------------------------------------------------------------


@pytest.mark.parametrize(("more", "kept"), [(0, True), (REPLAY_BYTES, False)])
def test_only_a_short_first_flight_is_kept_for_another_backend(
    stage: Stage, more: int, kept: bool
) -> None:
    """A backend that took the hello and says nothing costs no more than `REPLAY_BYTES`."""
    use(stage, snapshot(*stage.ports))
    client, connection = stage.arrive(HELLO + bytes(more))
    backend = stage.backend(None)
    settle(stage.engine, backend.heard_all(HELLO + bytes(more)))
    assert hasattr(connection, "_flight") is hasattr(connection, "_hello") is kept
    assert connection.may_ask_another() is kept
    backend.reset()
    settle(stage.engine, lambda: client.has_ended() or stage.waits())
    assert client.has_ended() is not kept


@pytest.mark.parametrize("who", ["client", "backend"])
def test_first_bytes_however_late_let_the_hello_go(stage: Stage, who: str) -> None:
    """Once either side has said more, the hello is not said again, nor kept."""
    use(stage, snapshot(stage.ports[0]))
    client, connection = stage.arrive(HELLO)
    backend = stage.backend()
    stage.clock.now += 10 * SETTLED_SECONDS
    quiet(stage.engine)
    assert hasattr(connection, "_flight")
    speaker, hearer = (client, backend) if who == "client" else (backend, client)
    before = HELLO if who == "client" else b""
    speaker.say(b"more")
    settle(stage.engine, hearer.heard_all(before + b"more"))
    assert not hasattr(connection, "_flight")
    assert not hasattr(connection, "_hello")
    assert stage.room.counted.get(("forwarded", "app/b0")) == (1 if who == "backend" else None)
