"""The access log: one line of valid JSON a connection, whatever a peer made of its names."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.channel import Bounds, Channel
from l4proxy.dataplane.access_log import AccessLog, Outcome, Record, line_of
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import Engine
from l4proxy.limits import (
    LOG_BATCH_BYTES,
    LOG_DELAY_SECONDS,
    LOGGED_PROTOCOLS,
    UP_FRAME_BYTES,
)
from l4proxy.messages import Log, Report
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Forward,
    PoolName,
    Why,
)
from tests.l4proxy.dataplane.loopback import Clock, quiet

IPV4 = bytes([192, 0, 2, 7])
IPV6 = bytes.fromhex("20010db8123456789abcdef012345678")
FIELDS = [
    "time", "client", "listener", "server_name", "alpn", "pool", "backend", "why", "resumed",
    "attempts", "ended", "bytes_to_backend", "bytes_to_client", "hello_ms", "connect_ms",
    "total_ms", "id",
]  # fmt: skip
BACKEND = Backend(BackendName("b0"), BackendIndex(0), Address("127.0.0.1", 443))
FORWARD = Forward(PoolName("app"), BACKEND, Why.SELECTED, ())


def read(line: str) -> dict[str, object]:
    """A line as JSON; it is one line."""
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    found: dict[str, object] = json.loads(line)
    return found


def test_a_served_connection_has_every_field() -> None:
    """In this order, with times in milliseconds and bytes as they were counted."""
    record = Record(100.0, IPV4, "127.0.0.1:8443", "app.example.com", (b"h2", b"http/1.1"))
    record.chosen(FORWARD, 100.25)
    record.connected_at = 100.3125
    record.unique_id = "0123456789abcdef"
    before = datetime.now(UTC).replace(microsecond=0)
    line = line_of(record, Outcome("ended", "complete", 517, 300), 101.5, full_address=False)
    found = read(line)
    assert list(found) == FIELDS
    when = datetime.fromisoformat(str(found.pop("time")))
    assert before <= when <= datetime.now(UTC)
    assert found == {
        "client": "192.0.2.0/24",
        "listener": "127.0.0.1:8443",
        "server_name": "app.example.com",
        "alpn": ["h2", "http/1.1"],
        "pool": "app",
        "backend": "b0",
        "why": "selected",
        "resumed": None,
        "attempts": 1,
        "ended": "complete",
        "bytes_to_backend": 517,
        "bytes_to_client": 300,
        "hello_ms": 250.0,
        "connect_ms": 62.5,
        "total_ms": 1500.0,
        "id": "0123456789abcdef",
    }


def test_a_refused_connection_has_nulls() -> None:
    """What never came to be is null, and the reason stands where an end would."""
    record = Record(100.0, IPV4, "127.0.0.1:8443")
    found = read(line_of(record, Outcome("refused", "not_tls"), 100.0, full_address=False))
    assert list(found) == [name if name != "ended" else "refused" for name in FIELDS]
    assert found["refused"] == "not_tls"
    empty = ("server_name", "pool", "backend", "why", "resumed", "hello_ms", "connect_ms", "id")
    assert [found[name] for name in empty] == [None] * len(empty)
    assert (found["alpn"], found["attempts"], found["total_ms"]) == ([], 0, 0.0)


@pytest.mark.parametrize(
    ("client", "network", "address"),
    [
        (IPV4, "192.0.2.0/24", "192.0.2.7"),
        (IPV6, "2001:db8:1234:5600::/56", "2001:db8:1234:5678:9abc:def0:1234:5678"),
    ],
)
def test_an_address_is_logged_whole_only_when_asked_for(
    client: bytes, network: str, address: str
) -> None:
    """Without leave a line tells the /24 or /56 of a client, and nothing more of it."""
    record = Record(0.0, client, "127.0.0.1:8443")
    outcome = Outcome("refused", "not_tls")
    short = line_of(record, outcome, 1.0, full_address=False)
    assert read(short)["client"] == network
    assert address not in short
    assert read(line_of(record, outcome, 1.0, full_address=True))["client"] == address


@given(st.lists(st.binary(max_size=255), max_size=2 * LOGGED_PROTOCOLS).map(tuple))
def test_no_protocol_name_breaks_a_line(offered: tuple[bytes, ...]) -> None:
    """Quotes, newlines, controls and bytes that are no text are escaped; a long list is cut."""
    record = Record(0.0, IPV4, "127.0.0.1:8443", alpn=offered)
    line = line_of(record, Outcome("ended", "complete"), 1.0, full_address=False)
    assert line.isascii()
    assert line[:-1].isprintable()
    heard = read(line)["alpn"]
    assert heard == [name.decode("latin-1") for name in offered[:LOGGED_PROTOCOLS]]
    assert len(line) < LOG_BATCH_BYTES


def test_a_hostile_name_stays_in_its_place() -> None:
    """A protocol that looks like the rest of a line is still a protocol."""
    hostile = b'"],"backend":"mine"}\n{"client":"\x1b[2J\x00\x7f\xff'
    record = Record(0.0, IPV4, "127.0.0.1:8443", alpn=(hostile,))
    found = read(line_of(record, Outcome("refused", "no_alpn_match"), 1.0, full_address=False))
    assert found["alpn"] == [hostile.decode("latin-1")]
    assert found["backend"] is None


def test_another_choice_replaces_the_one_before() -> None:
    """A second backend counts as a second attempt, with times of its own."""
    record = Record(100.0, IPV4, "127.0.0.1:8443")
    record.chosen(FORWARD, 100.1)
    record.connected_at = 100.2
    record.chosen(FORWARD, 100.5)
    found = read(line_of(record, Outcome("refused", "x"), 101.0, full_address=False))
    assert (found["attempts"], found["hello_ms"], found["connect_ms"]) == (2, 500.0, None)


# --- on their way --------------------------------------------------------------------------------


class Make(Protocol):
    """Makes ways."""

    def __call__(self, queue: int = UP_FRAME_BYTES) -> "Way":
        """Make one whose channel holds so many bytes."""


class Way:
    """A log, its channel, and its reader."""

    def __init__(self, engine: Engine, queue: int) -> None:
        self.ends = socket.socketpair()
        self.reader = Channel(self.ends[0], Bounds(UP_FRAME_BYTES, 1_000))
        self.counters = Counters()
        self.log = AccessLog(engine, Channel(self.ends[1], Bounds(1_000, queue)), self.counters)

    def add(self, count: int = 1) -> None:
        """So many connections end."""
        for _ in range(count):
            self.log.add(Record(0.0, IPV4, "127.0.0.1:8443"), Outcome("refused", "not_tls"))

    def heard(self) -> list[int]:
        """How many lines each batch has that came since the last look."""
        found = []
        for message in self.reader.receive():
            assert isinstance(message, Log)
            found.append(len([read(line) for line in message.lines.splitlines(keepends=True)]))
        return found

    def close(self) -> None:
        """Close both ends."""
        for end in self.ends:
            end.close()


@pytest.fixture
def way(engine: Engine, clock: Clock) -> Iterator[Make]:
    """Make logs whose channel holds so many bytes."""
    made: list[Way] = []
    engine.turn(0)

    def make(queue: int = UP_FRAME_BYTES) -> Way:
        made.append(Way(engine, queue))
        return made[-1]

    yield make
    for found in made:
        found.close()


def test_lines_travel_together(engine: Engine, clock: Clock, way: Make) -> None:
    """What ends within a moment is one message; the next moment begins with the next line."""
    found = way()
    found.add(3)
    clock.now += LOG_DELAY_SECONDS / 2
    found.add(2)
    quiet(engine)
    assert found.heard() == []
    clock.now += LOG_DELAY_SECONDS / 2
    quiet(engine)
    assert found.heard() == [5]
    clock.now += 10 * LOG_DELAY_SECONDS
    quiet(engine)
    assert found.heard() == []
    found.add()
    clock.now += LOG_DELAY_SECONDS
    quiet(engine)
    assert found.heard() == [1]


def test_a_full_batch_does_not_wait(engine: Engine, way: Make) -> None:
    """Lines of the size of a batch leave at once, in one message; the rest waits for its moment."""
    found = way()
    found.add(300)
    heard = found.heard() or found.heard()  # one read takes less than a batch
    assert len(heard) == 1
    assert LOG_BATCH_BYTES // 330 < heard[0] < 300
    found.log.flush()
    assert found.heard() == [300 - heard[0]]


def test_lines_that_find_the_channel_full_are_counted(way: Make) -> None:
    """Nobody waits for a supervisor that does not read: what does not fit is dropped, by number."""
    found = way(1_000)
    dropped = 0
    while not dropped:
        found.add(50)
        found.log.flush()
        report = found.counters.changes()
        dropped = 0 if report is None else report.counters[0][2]
    assert found.counters.changes() == Report((("log_dropped", "", 50),))
    found.add(7)
    found.log.flush()
    assert found.counters.changes() == Report((("log_dropped", "", 57),))


def test_without_a_supervisor_lines_are_counted_as_dropped(way: Make) -> None:
    """The end of the channel is no error of a connection."""
    found = way()
    found.ends[0].close()
    found.add(3)
    found.log.flush()
    assert found.counters.changes() == Report((("log_dropped", "", 3),))


def test_a_flush_of_nothing_is_nothing(engine: Engine, way: Make) -> None:
    """No line, no message."""
    found = way()
    found.log.flush()
    found.log.on_deadline()
    assert found.heard() == []


def test_an_error_of_the_log_ends_the_worker(way: Make) -> None:
    """A line that cannot be built is a bug to be seen."""
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        way().log.on_failure(error)
