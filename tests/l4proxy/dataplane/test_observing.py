"""Observing: proof of resumption, and what backends issue in the clear."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from l4proxy.channel import Bounds, Channel
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.observing import OBSERVED_DELAY_SECONDS, Observer, Sighting
from l4proxy.messages import MAX_OBSERVED, Observed, Unknown
from l4proxy.snapshot import SessionRules, Snapshot
from routing import BackendName, Forward, TicketLayout, TicketName, TicketNames, Why, key_of
from sni import ClientHello, parse_client_hello
from tests.l4proxy.dataplane.loopback import Clock, quiet
from tests.l4proxy.dataplane.room import APP, BOUNDS, snapshot
from tests.sni import answers, hellos

CLIENT = bytes([192, 0, 2, 7])
NAMED = b"a known key name"
NAMES = TicketNames([TicketName(TicketLayout(0, 16), NAMED, BackendName("b0"))])
SESSION_ID = bytes(range(32))
FULL = hellos.record(answers.full_1_2(SESSION_ID, b"ticket" * 30)) + answers.CHANGE_CIPHER_SPEC
RESUMED = hellos.record(answers.server_hello(session_id=SESSION_ID)) + answers.CHANGE_CIPHER_SPEC
NEW_1_3 = hellos.record(answers.server_hello(answers.TLS_1_3, answers.KEY_SHARE))
RESUMED_1_3 = hellos.record(
    answers.server_hello(answers.TLS_1_3, answers.KEY_SHARE, answers.ACCEPTED)
)


def hello(
    *, session_id: bytes = b"", ticket: bytes = b"", psk: bytes = b"", newest: int = 0x0303
) -> ClientHello:
    """What a client says that offers this."""
    extensions = [
        hellos.server_name(b"app.example.com"),
        hellos.supported_versions(newest),
        hellos.ticket(ticket),
    ]
    if psk:
        extensions.append(hellos.pre_shared_key((psk, 1)))
    return parse_client_hello(hellos.Hello(extensions, session_id=session_id).message())


FIRST = hello()
WITH_ID = hello(session_id=SESSION_ID)
MADE_UP_ID = hello(session_id=SESSION_ID, newest=0x0304)
WITH_TICKET = hello(session_id=SESSION_ID, ticket=bytes(160))
WITH_PSK = hello(session_id=SESSION_ID, psk=bytes(160), newest=0x0304)


class Around:
    """An observer, and the supervisor that hears of what it has seen."""

    def __init__(self, engine: Engine, present: Snapshot) -> None:
        self.engine = engine
        self.ends = socket.socketpair()
        self.supervisor = Channel(self.ends[0], BOUNDS)
        self.counters = Counters()
        self.observer = Observer(engine, Channel(self.ends[1], BOUNDS), self.counters)
        self.present = present
        self.observer.apply(present)

    def forward(self, why: Why = Why.SELECTED) -> Forward:
        """A decision for the only backend."""
        return Forward(APP, self.present.pools.pools[APP].backends[0], why, ())

    def sight(self, said: ClientHello, why: Why = Why.SELECTED) -> Sighting | None:
        """Who looks at the answer to this."""
        return self.observer.sight(self.forward(why), said, CLIENT)

    def issue(self, number: int) -> None:
        """The backend gives a session id."""
        sighting = self.sight(FIRST)
        assert sighting is not None
        wire = hellos.record(answers.full_1_2(number.to_bytes(32, "big"), None))
        assert not sighting.look(memoryview(wire + answers.CHANGE_CIPHER_SPEC))

    def heard(self) -> list[Observed]:
        """What the supervisor has heard since the last look."""
        return [each for each in self.supervisor.receive() if isinstance(each, Observed)]

    @property
    def counted(self) -> dict[str, int]:
        """Resumptions by label."""
        report = self.counters.changes()
        rows = () if report is None else report.counters
        return {label: count for name, label, count in rows if name == "resumptions"}


def observing(*, observes: bool = True) -> Snapshot:
    """A pool of one backend with a known ticket name, that is observed, or is not."""
    return replace(snapshot(1, ticket_names=NAMES), sessions={APP: SessionRules(observes=observes)})


@pytest.fixture
def around(engine: Engine, clock: Clock) -> Iterator[Around]:
    """An observer of one pool, at a moment that stands still."""
    clock.now += 1
    engine.turn(0)
    made = Around(engine, observing())
    yield made
    for end in made.ends:
        end.close()


@pytest.mark.parametrize(
    ("said", "answer", "why", "counted"),
    [
        (FIRST, FULL, Why.SELECTED, None),
        (FIRST, NEW_1_3, Why.SELECTED, None),
        (MADE_UP_ID, NEW_1_3, Why.SELECTED, None),
        (MADE_UP_ID, FULL, Why.SELECTED, None),
        (MADE_UP_ID, FULL, Why.SESSION_ID, False),
        (MADE_UP_ID, RESUMED, Why.SELECTED, True),
        (WITH_ID, FULL, Why.SELECTED, False),
        (WITH_ID, RESUMED, Why.SESSION_ID, True),
        (WITH_TICKET, FULL, Why.LEARNED, False),
        (WITH_TICKET, RESUMED, Why.LEARNED, True),
        (WITH_TICKET, NEW_1_3, Why.LEARNED, None),
        (WITH_PSK, RESUMED_1_3, Why.LEARNED, True),
        (WITH_PSK, NEW_1_3, Why.ROUTABLE, False),
    ],
)
def test_whether_a_session_goes_on_is_counted_of_those_that_were_offered(
    around: Around, said: ClientHello, answer: bytes, why: Why, counted: bool | None
) -> None:
    """A client that offers none counts for nothing, made-up session ids included."""
    sighting = around.sight(said, why)
    assert sighting is not None
    asked = [sighting.look(memoryview(answer)[at : at + 1]) for at in range(len(answer))]
    assert not asked[-1]
    assert sighting.resumed is counted
    outcome = "accepted" if counted else "refused"
    assert around.counted == ({} if counted is None else {f"app/{why.value}/{outcome}": 1})


@pytest.mark.parametrize(("said", "counted"), [(FIRST, 0), (WITH_PSK, 1), (WITH_TICKET, 1)])
def test_what_is_no_answer_of_tls_says_nothing(
    around: Around, said: ClientHello, counted: int
) -> None:
    """It is counted as unknown, where a session was offered."""
    sighting = around.sight(said)
    assert sighting is not None
    assert not sighting.look(memoryview(b"HTTP/1.1 400 Bad Request\r\n"))
    assert sighting.resumed is None
    assert sum(around.counted.values()) == counted
    assert set(around.counted) <= {"app/selected/unknown"}


def test_a_pool_that_is_not_observed_is_looked_at_for_the_proof_alone(engine: Engine) -> None:
    """Nobody looks at the answer to a client that offers nothing; nothing issued is kept."""
    around = Around(engine, observing(observes=False))
    assert around.observer.seen is None
    assert around.sight(FIRST) is None
    sighting = around.sight(WITH_TICKET)
    assert sighting is not None
    assert not sighting.look(memoryview(FULL))
    assert around.counted == {"app/selected/refused": 1}
    assert len(around.observer.tokens) == 0
    for end in around.ends:
        end.close()


def test_what_a_backend_issues_is_kept_and_told(around: Around, clock: Clock) -> None:
    """Session id and ticket, in one message a tenth of a second later; decisions know them now."""
    sighting = around.sight(FIRST)
    assert sighting is not None
    assert not sighting.look(memoryview(FULL))
    seen = around.observer.seen
    assert seen is not None
    for token in (SESSION_ID, b"ticket" * 30):
        assert seen.owner(APP, token, clock.now) == "b0"
    quiet(around.engine, 2)
    assert around.heard() == []
    clock.now += OBSERVED_DELAY_SECONDS
    quiet(around.engine, 2)
    (message,) = around.heard()
    assert [row.key for row in message.rows] == [key_of(b"ticket" * 30), key_of(SESSION_ID)]
    assert {(row.owner, row.network) for row in message.rows} == {("b0", CLIENT[:3])}


def test_a_ticket_whose_name_is_known_takes_no_room(around: Around) -> None:
    """The table is for those that have none."""
    sighting = around.sight(FIRST)
    assert sighting is not None
    wire = hellos.record(answers.full_1_2(b"", NAMED + bytes(100))) + answers.CHANGE_CIPHER_SPEC
    assert not sighting.look(memoryview(wire))
    assert len(around.observer.tokens) == 0


def test_a_token_is_told_once(around: Around, clock: Clock) -> None:
    """What is known already, of oneself or of others, is not said again."""
    around.issue(1)
    around.observer.flush()
    (message,) = around.heard()
    around.issue(1)
    around.observer.hear(message)
    clock.now += OBSERVED_DELAY_SECONDS
    quiet(around.engine, 2)
    assert around.heard() == []


def test_what_others_have_seen_is_known_here(around: Around, clock: Clock) -> None:
    """A row from another worker decides as one of our own, and is not told back."""
    around.issue(1)
    around.observer.flush()
    (message,) = around.heard()
    other = Observer(around.engine, None, Counters())
    other.apply(around.present)
    other.hear(message)
    assert other.seen is not None
    assert other.seen.owner(APP, (1).to_bytes(32, "big"), clock.now) == "b0"


def test_a_full_batch_does_not_wait(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves with the token that fills it."""
    monkeypatch.setattr("l4proxy.dataplane.observing.MAX_OBSERVED", 3)
    for number in range(4):
        around.issue(number)
    (message,) = around.heard()
    assert len(message.rows) == 3 < MAX_OBSERVED


@pytest.mark.parametrize("gone", [False, True])
def test_what_finds_the_channel_full_is_dropped_and_counted(engine: Engine, gone: bool) -> None:
    """Or closed: a client that came to the other worker falls back to its network."""
    around = Around(engine, observing())
    channel = Channel(around.ends[1], Bounds(1_000, 1_000))
    while not gone and channel.send(Unknown(APP)):
        pass
    around.observer = Observer(engine, channel, around.counters)
    around.observer.apply(around.present)
    around.issue(1)
    around.issue(2)
    if gone:
        around.ends[0].close()
    around.observer.flush()
    around.observer.flush()
    report = around.counters.changes()
    assert report is not None
    assert ("observed_dropped", "", 2) in report.counters
    for end in around.ends:
        end.close()


def test_a_worker_alone_tells_nobody(engine: Engine) -> None:
    """It keeps what it sees, and waits for no deadline."""
    around = Around(engine, observing())
    around.observer = Observer(engine, None, around.counters)
    around.observer.apply(around.present)
    around.issue(1)
    around.observer.flush()
    assert len(around.observer.tokens) == 1
    for end in around.ends:
        end.close()


def test_an_error_of_the_batch_ends_the_worker(around: Around) -> None:
    """It is a bug of ours, and must be seen."""
    with pytest.raises(RuntimeError, match="a bug"):
        around.observer.on_failure(RuntimeError("a bug"))
