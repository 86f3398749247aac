"""Connections that come back: reservations, held hellos, sessions, and the proof."""

from dataclasses import replace

import pytest

from l4proxy.dataplane.closing import CLOSING_SECONDS
from l4proxy.dataplane.holds import MAX_HELD
from l4proxy.dataplane.room import Peer as Client
from l4proxy.messages import Message, Unknown
from l4proxy.snapshot import SessionRules, Snapshot
from routing import (
    HOLD_SECONDS,
    BackendIndex,
    BackendName,
    Balance,
    Pool,
    Pools,
    TicketLayout,
    TicketName,
    TicketNames,
)
from tests.l4proxy.dataplane.loopback import Peer, quiet, settle
from tests.l4proxy.dataplane.room import APP, ENTRANCE, logging, snapshot
from tests.l4proxy.dataplane.stage import HELLO, Stage, use
from tests.ports import free_port
from tests.sni import answers, hellos

KNOWN, NEW = b"known key name 1", b"a key just rolled"[:16]
RULES = SessionRules(idle=60, reservation=10, learns=True, observes=True)
RESUMED = hellos.record(answers.server_hello(answers.TLS_1_3, answers.KEY_SHARE, answers.ACCEPTED))
FULL = hellos.record(answers.server_hello(answers.TLS_1_3, answers.KEY_SHARE))


def names(*found: tuple[bytes, str]) -> TicketNames:
    """These names of 16 bytes and their owners."""
    return TicketNames(
        TicketName(TicketLayout(0, 16), name, BackendName(owner)) for name, owner in found
    )


def sticky(*ports: int, known: TicketNames | None = None) -> Snapshot:
    """Backends whose tickets begin with names, with a session for each client."""
    found = known or names((KNOWN, "b1"))
    return replace(snapshot(*ports, ticket_names=found), sessions={APP: RULES})


def changed(present: Snapshot, **values: object) -> Snapshot:
    """The same with another pool."""
    pool: Pool = replace(present.pools.pools[APP], **values)  # type: ignore[arg-type]  # by name
    return replace(present, pools=Pools(present.pools.table, {APP: pool}))


def coming_back(key_name: bytes) -> bytes:
    """A hello that offers a ticket that begins with this name."""
    return hellos.hello(
        hellos.server_name(b"app.example.com"),
        hellos.supported_versions(0x0304),
        hellos.pre_shared_key((key_name + bytes(100), 1)),
    ).wire()


def renew(stage: Stage, present: Snapshot) -> None:
    """Let everything go by another snapshot, as a worker does."""
    before = stage.room.snapshot.pools
    stage.room.waits.holds.apply(present.pools, before)
    use(stage, present)


def asked(messages: list[Message]) -> int:
    """How often the supervisor was asked for names."""
    return sum(isinstance(message, Unknown) for message in messages)


def test_parallel_first_connections_of_a_client_stay_together(stage: Stage) -> None:
    """By the load alone each would go to the backend that has fewest; another client does."""
    use(stage, sticky(*stage.ports))
    stage.arrive(HELLO)
    first = next(iter(stage.room.slots))
    for _ in range(4):
        stage.arrive(HELLO)
    assert stage.room.slots == {first: 5}
    assert stage.room.load.sessions(BackendIndex(first)) == 1
    stage.arrive(HELLO, who=Client(bytes([198, 51, 100, 1]), 1, ENTRANCE))
    assert stage.room.slots == {first: 5, 1 - first: 1}


def test_a_dial_that_failed_reserves_nothing(stage: Stage) -> None:
    """The client's next connection is not sent where its first could not go."""
    use(stage, changed(sticky(free_port(), *stage.ports), balance=Balance.ROUND_ROBIN))
    stage.arrive(HELLO)
    backend = stage.backend(None)
    settle(stage.engine, backend.heard_all(HELLO))
    (served,) = stage.room.slots
    assert served != 0
    assert [stage.room.load.sessions(BackendIndex(cell)) for cell in (0, served)] == [0, 1]
    stage.arrive(HELLO)
    assert stage.room.slots == {served: 2}


def test_each_has_its_turn(stage: Stage) -> None:
    """Round robin goes by the worker's own count of decisions."""
    use(stage, changed(sticky(*stage.ports), balance=Balance.ROUND_ROBIN))
    for host in range(4):
        stage.arrive(HELLO, who=Client(bytes([198, 51, 100, host]), 1, ENTRANCE))
    assert stage.room.slots == {0: 2, 1: 2}


def test_an_unknown_name_waits_for_the_pool_to_be_asked(stage: Stage) -> None:
    """The supervisor hears of it at once; the new owner gets the client as soon as it is known."""
    use(stage, sticky(*stage.ports))
    stage.arrive(coming_back(NEW))
    assert (asked(stage.room.said()), stage.room.slots) == (1, {})
    renew(stage, sticky(*stage.ports, known=names((KNOWN, "b0"), (NEW, "b1"))))
    quiet(stage.engine, 2)
    settle(stage.engine, stage.backend(1).heard_all(coming_back(NEW)))
    assert stage.room.slots == {1: 1}


@pytest.mark.parametrize("gone", [False, True])
def test_an_unknown_name_does_not_wait_for_ever(stage: Stage, gone: bool) -> None:
    """After 150 ms it is decided without; a client that has gone by then costs no more."""
    use(stage, sticky(*stage.ports))
    client, _ = stage.arrive(coming_back(NEW))
    quiet(stage.engine)
    assert stage.room.slots == {}
    if gone:
        client.reset()
    stage.clock.now += HOLD_SECONDS
    quiet(stage.engine)
    assert stage.room.balanced is gone
    assert not stage.room.waits.holds


def test_a_flood_of_unknown_names_holds_few_and_asks_once(stage: Stage) -> None:
    """All others are decided at once; nobody waits longer for them."""
    use(stage, sticky(*stage.ports))
    for number in range(MAX_HELD + 20):
        stage.arrive(coming_back(number.to_bytes(16, "big")))
    assert len(stage.room.waits.holds) == MAX_HELD
    assert sum(stage.room.slots.values()) == 20
    assert asked(stage.room.said()) == 1
    stage.clock.now += HOLD_SECONDS + 0.01
    quiet(stage.engine)
    assert sum(stage.room.slots.values()) == MAX_HELD + 20
    stage.arrive(coming_back(NEW))
    assert sum(stage.room.slots.values()) == MAX_HELD + 21
    assert asked(stage.room.said()) == 0


def test_the_end_of_the_process_ends_held_hellos(stage: Stage) -> None:
    """They are counted, and have their line, as everybody who is cut."""
    use(stage, logging(sticky(*stage.ports)))
    client, _ = stage.arrive(coming_back(NEW))
    stage.room.waits.holds.cut()
    assert stage.room.balanced
    assert stage.room.counted["refused", "shutdown"] == 1
    (line,) = stage.room.lines()
    assert line["refused"] == "shutdown"
    settle(stage.engine, client.has_ended)


@pytest.mark.parametrize(
    ("hello", "answer", "resumed", "label"),
    [
        (coming_back(KNOWN), RESUMED, True, "app/learned/accepted"),
        (coming_back(KNOWN), FULL, False, "app/learned/refused"),
        (coming_back(KNOWN), b"no TLS at all", None, "app/learned/unknown"),
        (HELLO, FULL, None, None),
    ],
)
def test_the_proof_stands_in_log_and_counters(
    stage: Stage, hello: bytes, answer: bytes, resumed: bool | None, label: str | None
) -> None:
    """Whether the backend went on with the session, read from its first words, however split."""
    use(stage, logging(sticky(*stage.ports)))
    client, _ = stage.arrive(hello)
    backend = stage.backend(None)
    heard = b""
    for part in (answer[:3], answer[3:40], answer[40:], b"more"):
        backend.say(part)
        heard += part
        settle(stage.engine, client.heard_all(heard))
    _end(stage, client, backend)
    assert [line["resumed"] for line in stage.room.lines()] == [resumed]
    found = {key: count for (name, key), count in stage.room.counted.items() if name[:4] == "resu"}
    assert found == ({} if label is None else {label: 1})


def test_a_session_id_leads_back_to_who_gave_it(stage: Stage) -> None:
    """Read from a full handshake of TLS 1.2, and known to the decision from then on."""
    use(stage, changed(sticky(*stage.ports), ticket_names=TicketNames()))
    given = bytes(range(32))
    client, _ = stage.arrive(HELLO)
    (first,) = stage.room.slots
    backend = stage.backend(first)
    wire = hellos.record(answers.full_1_2(given, None)) + answers.CHANGE_CIPHER_SPEC
    backend.say(wire)
    settle(stage.engine, client.heard_all(wire))
    again = hellos.Hello([hellos.server_name(b"app.example.com")], session_id=given).wire()
    for host in range(4):
        stage.arrive(again, who=Client(bytes([198, 51, 100, host]), 1, ENTRANCE))
    assert stage.room.slots == {first: 5}


def test_what_is_left_of_a_drain_is_closed(stage: Stage) -> None:
    """After its deadline, with an ending of its own; others' connections go on."""
    use(stage, logging(snapshot(stage.ports[0])))
    client, _ = stage.arrive(HELLO)
    backend = stage.backend()
    backend.say(b"answer")
    settle(stage.engine, client.heard_all(b"answer"))
    present = stage.room.snapshot
    drained = replace(
        present.pools.pools[APP].backends[0],
        draining=True,
        drain_deadline=stage.clock.now + 60,
    )
    use(stage, changed(present, backends=(drained,)))
    stage.clock.now += 59
    quiet(stage.engine)
    assert not client.has_ended()
    stage.clock.now += CLOSING_SECONDS
    settle(stage.engine, client.has_ended)
    settle(stage.engine, backend.has_ended)
    assert [line["ended"] for line in stage.room.lines()] == ["drained"]
    assert stage.room.balanced


def _end(stage: Stage, client: Peer, backend: Peer) -> None:
    client.finish()
    backend.finish()
    settle(stage.engine, lambda: stage.room.balanced)
