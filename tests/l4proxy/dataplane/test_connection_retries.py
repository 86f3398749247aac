"""Another backend, another source: what a client never hears of one that fails."""

import socket
from pathlib import Path

import pytest

from l4proxy.dataplane.dial import Call, Dialler, dial
from l4proxy.dataplane.engine import Engine
from l4proxy.limits import DIAL_ATTEMPTS, SETTLED_SECONDS, SOURCE_ATTEMPTS, UNIX_RETRY_SECONDS
from l4proxy.snapshot import Dialling, ProxyVersion
from routing import Address, BackendName
from tests.l4proxy.dataplane.loopback import (
    Clock,
    Peer,
    open_descriptors,
    quiet,
    settle,
)
from tests.l4proxy.dataplane.room import TIMEOUTS, logging, snapshot
from tests.l4proxy.dataplane.stage import HELLO, Stage, converse, use
from tests.ports import free_port
from tests.sni import hellos

NOT_OURS = "198.51.100.1"
"""An address for documentation (RFC 5737): bind says EADDRNOTAVAIL, as with no port left."""
EARLY = hellos.hello(
    hellos.server_name(b"app.example.com"),
    hellos.supported_versions(0x0304),
    hellos.early_data(),
    hellos.pre_shared_key((b"ticket" * 9, 1)),
).wire()


def hang_up(backend: Peer, how: str) -> None:
    """End without a byte: having read all, as an orderly end; or as a reset."""
    if how == "fin":
        backend.sock.close()
    else:
        backend.reset()


# --- a backend without an answer -----------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_another_backend_hears_the_hello(stage: Stage, how: str, pieces: int) -> None:
    """A backend that took the hello and said nothing costs its client a moment, no more."""
    cut = len(HELLO) // pieces
    client, _ = stage.arrive(HELLO[:cut])
    client.say(HELLO[cut:])
    quiet(stage.engine)
    first = stage.backend(None)
    settle(stage.engine, first.heard_all(HELLO))
    hang_up(first, how)
    quiet(stage.engine)
    converse(stage, client, stage.backend(None))
    counted = dict(stage.room.counted)
    failed = [label for name, label in counted if name == "dial_failed"]
    assert failed in (["app/b0/no_answer"], ["app/b1/no_answer"])
    assert counted["ended", "complete"] == 1


def test_what_a_client_says_in_between_is_not_lost(stage: Stage) -> None:
    """Bytes whose event came while no backend was there to take them follow the hello."""
    client, _ = stage.arrive(HELLO)
    quiet(stage.engine)
    first = stage.backend(None)
    settle(stage.engine, first.heard_all(HELLO))
    full_port = free_port()
    # The next one needs time to answer, and meanwhile the client talks.
    with socket.create_server(("127.0.0.1", full_port), backlog=0) as server:
        waiting = socket.create_connection(server.getsockname(), timeout=5)
        use(stage, snapshot(full_port, full_port))
        first.reset()
        quiet(stage.engine)
        assert stage.room.slots
        client.say(b"early words")
        quiet(stage.engine)
        server.settimeout(10)
        server.accept()[0].close()
        sock, _ = server.accept()
        converse(stage, client, Peer(sock), HELLO + b"early words")
        waiting.close()
        sock.close()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_silent_backends_are_asked_a_few_times_only(stage: Stage, how: str) -> None:
    """After so many tries the client hears what the last backend did, and the tries are counted."""
    stage.more_backends(2)
    use(stage, logging(snapshot(*stage.ports)))
    client, _ = stage.arrive(HELLO)
    for _ in range(DIAL_ATTEMPTS):
        backend = stage.backend(None)
        settle(stage.engine, backend.heard_all(HELLO))
        hang_up(backend, how)
        quiet(stage.engine)
    client.hear()
    assert (client.heard, client.ending) == (b"", how)
    if how == "fin":
        client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    counted = stage.room.counted
    failed = [label for name, label in counted if name == "dial_failed"]
    assert len(failed) == DIAL_ATTEMPTS - 1
    assert all(label.endswith("/no_answer") for label in failed)
    (line,) = stage.room.lines()
    assert (line["attempts"], "ended" in line) == (DIAL_ATTEMPTS, True)


def test_the_only_backend_says_nothing(stage: Stage) -> None:
    """Nobody else to ask: the client hears internal_error, and the log knows what was dialled."""
    use(stage, logging(snapshot(stage.ports[0])))
    client, _ = stage.arrive(HELLO)
    stage.backend().reset()
    settle(stage.engine, client.has_ended)
    assert (client.heard[:1], client.heard[-1]) == (b"\x15", 80)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    (line,) = stage.room.lines()
    assert (line["refused"], line["backend"], line["attempts"]) == ("no_backend_answered", "b0", 1)


def test_after_a_retry_the_log_tells_the_last_try(stage: Stage, clock: Clock) -> None:
    """A second backend that cannot be reached: no time of the first is taken for its own."""
    use(stage, logging(snapshot(stage.ports[0])))
    client, _ = stage.arrive(HELLO)
    quiet(stage.engine)
    first = stage.backend()
    use(stage, logging(snapshot(stage.ports[0], free_port())))
    clock.now += 2.0
    first.reset()
    settle(stage.engine, client.has_ended)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    (line,) = stage.room.lines()
    assert (line["attempts"], line["backend"], line["connect_ms"]) == (2, "b1", None)


def test_early_data_never_reaches_two_backends(stage: Stage) -> None:
    """A hello that announces 0-RTT is said once: the end is the client's to hear (RFC 8446 §8)."""
    client, _ = stage.arrive(EARLY)
    backend = stage.backend(None)
    settle(stage.engine, backend.heard_all(EARLY))
    backend.reset()
    settle(stage.engine, client.heard_all(b"", "reset"))
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.counted["ended", "backend_reset"] == 1


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("what", ["an answer", "more of the client"])
def test_after_a_byte_either_way_no_other_backend_is_asked(
    stage: Stage, clock: Clock, what: str, settled: bool
) -> None:
    """One byte of an answer, or one behind the hello, and the end is passed on."""
    client, _ = stage.arrive(HELLO)
    backend = stage.backend(None)
    settle(stage.engine, backend.heard_all(HELLO))
    if what == "an answer":
        backend.say(b"a")
        settle(stage.engine, client.heard_all(b"a"))
    else:
        client.say(b"b")
        settle(stage.engine, backend.heard_all(HELLO + b"b"))
    if settled:
        clock.now += SETTLED_SECONDS
        quiet(stage.engine)
    backend.reset()
    settle(stage.engine, client.has_ended)
    settle(stage.engine, lambda: stage.room.balanced)
    assert not [label for name, label in stage.room.counted if name == "dial_failed"]


def test_a_backend_that_thinks_long_may_still_be_replaced(stage: Stage, clock: Clock) -> None:
    """The hello is kept as long as there was no answer."""
    client, _ = stage.arrive(HELLO)
    first = stage.backend(None)
    clock.now += 10 * SETTLED_SECONDS
    quiet(stage.engine)
    first.reset()
    quiet(stage.engine)
    converse(stage, client, stage.backend(None))


def test_a_client_that_is_gone_meanwhile_is_passed_on_as_gone(stage: Stage) -> None:
    """Client and first backend reset in one turn: nothing stays open."""
    client, _ = stage.arrive(HELLO)
    first = stage.backend(None)
    quiet(stage.engine)
    first.reset()
    client.reset()
    settle(stage.engine, lambda: stage.room.balanced)


def test_an_error_in_the_second_decision_frees_everything(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boundary holds between two backends too, when no relay owns the client."""
    before = open_descriptors()
    client, _ = stage.arrive(HELLO)
    quiet(stage.engine)
    error = RuntimeError("a bug")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("l4proxy.dataplane.connection.decide", fail)
    stage.backend(None).reset()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.failures == [error]
    settle(stage.engine, client.has_ended)
    assert open_descriptors() == before + 1  # the client's own end


# --- where to leave from -------------------------------------------------------------------------


@pytest.mark.parametrize("good", ["127.0.0.9", "::1"])
def test_a_source_without_a_port_is_followed_by_the_next(stage: Stage, good: str) -> None:
    """Addresses that cannot be left from are passed over; the backend sees one that can."""
    family = socket.AF_INET6 if ":" in good else socket.AF_INET
    with socket.create_server((good, 0), family=family) as server:
        stage.servers.append(server)
        bad = ("2001:db8::1", "2001:db8::2") if ":" in good else (NOT_OURS, "198.51.100.2")
        # Those of the other family are not for this backend.
        sources = (*bad, good, "127.0.0.77" if ":" in good else "2001:db8::3")
        address = Address(good, server.getsockname()[1])
        use(stage, snapshot(address, dialling=Dialling(sources=sources)))
        for _ in range(4):
            client, _ = stage.arrive(HELLO)
            backend = stage.backend(2)
            assert backend.sock.getpeername()[0] == good
            converse(stage, client, backend)


def test_without_any_source_the_backend_has_failed(stage: Stage) -> None:
    """When none can be left from, other backends are no better: each is tried, then an alert."""
    dialling = Dialling(sources=(NOT_OURS, "198.51.100.2"))
    use(stage, snapshot(*stage.ports, dialling=dialling))
    client, _ = stage.arrive(HELLO)
    settle(stage.engine, client.has_ended)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert dict(stage.room.counted) == {
        ("dial_failed", "app/b0/eaddrnotavail"): 1,
        ("dial_failed", "app/b1/eaddrnotavail"): 1,
        ("refused", "no_backend_answered"): 1,
    }


def test_of_many_sources_a_few_are_tried(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses have no port left: so many binds for each backend, and one refusal."""
    binds: list[str | None] = []

    def note(engine: Engine, call: Call, dialler: Dialler) -> None:
        binds.append(call.source)
        dial(engine, call, dialler)

    monkeypatch.setattr("l4proxy.dataplane.connection.dial", note)
    sources = tuple(f"198.51.100.{number}" for number in range(1, 255))
    use(stage, snapshot(*stage.ports, dialling=Dialling(sources=sources)))
    client, _ = stage.arrive(HELLO)
    settle(stage.engine, client.has_ended)
    client.finish()
    settle(stage.engine, lambda: stage.room.balanced)
    assert stage.room.failures == []
    assert len(binds) == 2 * SOURCE_ATTEMPTS
    assert all(len(set(tried)) == SOURCE_ATTEMPTS for tried in (binds[:8], binds[8:]))


# --- unix backends -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, *ProxyVersion])
def test_a_unix_backend_is_served(
    stage: Stage, tmp_path: Path, version: ProxyVersion | None
) -> None:
    """A backend on this machine behind a path, with sources configured for others, and a header."""
    path = tmp_path / "backend"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        stage.servers.append(server)
        proxy = {} if version is None else {BackendName("b0"): version}
        dialling = Dialling(proxy, sources=(NOT_OURS,))
        use(stage, snapshot(Address(str(path), 0), dialling=dialling))
        client, _ = stage.arrive(HELLO)
        backend = stage.backend(2)
        settle(stage.engine, lambda: backend.heard_all(b"")() or backend.heard.endswith(HELLO))
        assert backend.heard.startswith({None: HELLO, 1: b"PROXY TCP4", 2: b"\r\n\r\n"}[version])
        converse(stage, client, backend, backend.heard)


def test_a_busy_unix_backend_gets_its_client_later(
    stage: Stage, clock: Clock, tmp_path: Path
) -> None:
    """A full queue is asked again on the timer until it has room."""
    path = str(tmp_path / "backend")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(path)
        server.listen(0)
        waiting.connect(path)
        stage.servers.append(server)
        use(stage, snapshot(Address(path, 0)))
        client, _ = stage.arrive(HELLO)
        clock.now += UNIX_RETRY_SECONDS
        quiet(stage.engine)
        server.accept()[0].close()
        clock.now += UNIX_RETRY_SECONDS
        quiet(stage.engine)
        converse(stage, client, stage.backend(2))


def test_a_unix_backend_that_stays_busy_costs_its_timeout(
    stage: Stage, clock: Clock, tmp_path: Path
) -> None:
    """No room until the deadline: another backend is asked."""
    path = str(tmp_path / "backend")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(path)
        server.listen(0)
        waiting.connect(path)
        use(stage, snapshot(Address(path, 0)))
        client, _ = stage.arrive(HELLO)
        use(stage, snapshot(Address(path, 0), stage.ports[1]))
        clock.now += TIMEOUTS.connect
        quiet(stage.engine)
        converse(stage, client, stage.backend(1))
        assert stage.room.counted["dial_failed", "app/b0/etimedout"] == 1
