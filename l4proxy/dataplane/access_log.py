"""The access log's worker half: one JSON line a connection, made here, written by the supervisor.

A worker never writes to a file or a terminal, where a full disk or a stopped reader would stop it.
Lines travel in batches; when the channel is full they are dropped and counted.

Everything that a peer supplied is escaped and bounded before it stands in a line. A server name has
been parsed and holds nothing to escape; names of pools and backends come from the configuration.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from l4proxy.channel import Channel, ChannelClosed
from l4proxy.dataplane import counters as names
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.limits import LOG_BATCH_BYTES, LOG_DELAY_SECONDS, LOGGED_PROTOCOLS
from l4proxy.messages import Log
from routing import Forward, Refuse
from sni import ClientHello

_NULL = "null"
_WORDS = {None: _NULL, True: "true", False: "false"}
_IPV4_BYTES = 4


@dataclass(slots=True)
class Record:
    """What is known of one connection; filled in while it lives.

    Attributes:
        accepted_at: Monotonic seconds.
        client: The client's packed address.
        listener: The listener's address, as configured.
        server_name: None: none was offered, or no hello could be read.
        alpn: The protocols that the client offered.
        pool: Where the name led; None: nowhere.
        backend: The last backend that was dialled.
        why: What led to it.
        resumed: Whether the backend went on with a session that the client offered; None: it
            offered none, or nobody can tell.
        attempts: Backends dialled.
        decided_at: Monotonic seconds of the decision.
        connected_at: Monotonic seconds at which the backend took the hello.
        unique_id: What the backend was told in a PROXY header.
    """

    accepted_at: float
    client: bytes
    listener: str
    server_name: str | None = None
    alpn: tuple[bytes, ...] = ()
    pool: str | None = None
    backend: str | None = None
    why: str | None = None
    resumed: bool | None = None
    attempts: int = 0
    decided_at: float | None = None
    connected_at: float | None = None
    unique_id: str | None = None

    def named(self, hello: ClientHello) -> None:
        """Note what the client asks for."""
        self.server_name = hello.server_name
        self.alpn = hello.alpn[:LOGGED_PROTOCOLS]

    def refused(self, refuse: Refuse, now: float) -> None:
        """Note a decision for no backend, the first or after a dial that failed."""
        self.pool = refuse.pool
        self.decided_at = now
        self.connected_at = None

    def chosen(self, forward: Forward, now: float) -> None:
        """Note a decision for a backend, the first or after a dial that failed."""
        self.pool = forward.pool
        self.backend = forward.backend.name
        self.why = forward.why.value
        self.resumed = None
        self.attempts += 1
        self.decided_at = now
        self.connected_at = None


class Outcome(NamedTuple):
    """How a connection ended. A tuple: 0.3 µs to make, a frozen dataclass 0.9.

    Attributes:
        kind: "ended" for one that was relayed, "refused" for one that was not.
        label: The ending, or the reason of the refusal: the same word as in the metric.
        bytes_up: Bytes read from the client behind its hello.
        bytes_down: Bytes read from the backend.
    """

    kind: str
    label: str
    bytes_up: int = 0
    bytes_down: int = 0


class AccessLog:
    """Lines on their way to the supervisor. A `Timed` of the engine, armed while lines wait."""

    __slots__ = (
        "_channel",
        "_counters",
        "_engine",
        "_lines",
        "_size",
        "deadline",
        "full_addresses",
        "scheduled",
    )

    def __init__(self, engine: Engine, channel: Channel, counters: Counters) -> None:
        """Start with no line."""
        self._engine = engine
        self._channel = channel
        self._counters = counters
        self._lines: list[str] = []
        self._size = 0
        self.full_addresses = False
        self.deadline = NEVER
        self.scheduled = NEVER

    def add(self, record: Record, outcome: Outcome) -> None:
        """Queue the line of a connection that has ended now; it leaves with its batch."""
        line = line_of(record, outcome, self._engine.now, full_address=self.full_addresses)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= LOG_BATCH_BYTES:
            self.flush()
        elif self.deadline == NEVER:
            self.deadline = self._engine.now + LOG_DELAY_SECONDS
            self._engine.schedule(self)

    def flush(self) -> None:
        """Send what waits; a batch that finds the channel full is dropped and counted."""
        lines, self._lines, self._size = self._lines, [], 0
        self._engine.cancel(self)
        if not lines:
            return
        try:
            sent = self._channel.send(Log("".join(lines)))
        except ChannelClosed:
            sent = False
        if not sent:
            self._counters.add(names.LOG_DROPPED, "", len(lines))

    def on_deadline(self) -> None:
        """Send the batch: it has waited long enough."""
        self.flush()

    def on_failure(self, error: Exception) -> None:
        """Fail the worker: a log that cannot be built is a bug, not a peer's doing."""
        raise error


def line_of(record: Record, outcome: Outcome, ended_at: float, *, full_address: bool) -> str:
    """Return the line of a connection that has ended, with its newline.

    Args:
        record: What was known of it.
        outcome: How it ended.
        ended_at: Monotonic seconds.
        full_address: Log the client's address, not only its network.
    """
    begun = record.accepted_at
    name = _NULL if record.server_name is None else f'"{record.server_name}"'
    client = _address(record.client) if full_address else _network(record.client)
    decided = record.decided_at
    connected = record.connected_at
    return (
        f'{{"time":"{_clock(time.time())}","client":"{client}",'
        f'"listener":"{record.listener}","server_name":{name},"alpn":{_protocols(record.alpn)},'
        f'"pool":{_quoted(record.pool)},"backend":{_quoted(record.backend)},'
        f'"why":{_quoted(record.why)},"resumed":{_WORDS[record.resumed]},'
        f'"attempts":{record.attempts},'
        f'"{outcome.kind}":"{outcome.label}",'
        f'"bytes_to_backend":{outcome.bytes_up},"bytes_to_client":{outcome.bytes_down},'
        f'"hello_ms":{_milliseconds(begun, decided)},'
        f'"connect_ms":{_milliseconds(decided, connected)},'
        f'"total_ms":{(ended_at - begun) * 1e3:.1f},"id":{_quoted(record.unique_id)}}}\n'
    )


def _milliseconds(start: float | None, end: float | None) -> str:
    return _NULL if start is None or end is None else f"{(end - start) * 1e3:.1f}"


def _clock(now: float) -> str:
    """Return UTC to the millisecond, RFC 3339."""
    whole = int(now)
    return f"{_second(whole)}.{int((now - whole) * 1e3):03d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


@lru_cache(maxsize=8_192)  # every pool, backend and reason of a large configuration
def _quoted(text: str | None) -> str:
    return json.dumps(text)


@lru_cache(maxsize=256)  # clients of one kind offer the same; a made-up list is not kept long
def _protocols(offered: tuple[bytes, ...]) -> str:
    """Return the offer as a JSON list, at most `LOGGED_PROTOCOLS` names of 255 bytes."""
    return json.dumps([name.decode("latin-1") for name in offered[:LOGGED_PROTOCOLS]])


@lru_cache(maxsize=4_096)  # clients that come back
def _network(address: bytes) -> str:
    bits = 24 if len(address) == _IPV4_BYTES else 56
    return str(ip_network((address, bits), strict=False))


@lru_cache(maxsize=4_096)
def _address(address: bytes) -> str:
    return str(ip_address(address))
