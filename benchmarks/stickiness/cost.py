"""What reading a hello with a ticket and deciding by it costs, in this process, on one core."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from l4proxy.routable import RoutingKey, RoutingKeys, mint
from routing import (
    Address,
    Backend,
    BackendIndex,
    BackendName,
    Client,
    Forward,
    HostPattern,
    OpenConnections,
    Pool,
    PoolName,
    Pools,
    Route,
    RouteTable,
    State,
    TicketLayout,
    TicketName,
    TicketNames,
    Why,
    decide,
)
from sni import HelloPeeker, HelloReceived
from stickiness.stage import Stage
from tests.sni.hellos import (
    KEY_SHARE,
    alpn,
    ech,
    hello,
    pre_shared_key,
    server_name,
    supported_versions,
    u16,
    vector,
)

MOST_MICROSECONDS = 30.0
HELLO_BYTES = 2_400
CALLS = 2_000
ROUNDS = 15

_APP = PoolName("app")
_NAME = b"app.example.com"
_PLAIN = TicketLayout(0, 16)
_BACKENDS = 20
_NAMES_EACH = 8
_TICKET_BYTES = 208  # as OpenSSL's and nginx's are
_HYBRID_KEY_SHARE_BYTES = 1_216  # of X25519MLKEM768


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of a call, the median of the rounds.

    Attributes:
        what: What was called.
        microseconds: Of CPU.
        most: What it may be.
    """

    what: str
    microseconds: float
    most: float = MOST_MICROSECONDS

    @property
    def reached(self) -> bool:
        """Whether it is within its bound."""
        return self.microseconds <= self.most

    def __str__(self) -> str:
        """As a line of the report."""
        verdict = "" if self.reached else "  MISSED"
        return f"{self.what:78} {self.microseconds:5.1f} µs  ≤ {self.most:g} µs{verdict}"


def measure(_: Stage) -> Iterator[Cost]:
    """By a learned name, by a routable one of the last of three keys, and without any."""
    keys = [RoutingKey.fresh() for _ in range(3)]
    routable = mint(keys[-1], _BACKENDS - 1, secrets.token_bytes(4))
    learned = secrets.token_bytes(16)
    names = [
        TicketName(_PLAIN, secrets.token_bytes(16), BackendName(f"enclave-{at}"))
        for at in range(_BACKENDS)
        for _ in range(_NAMES_EACH)
    ]
    names.append(TicketName(_PLAIN, learned, BackendName("enclave-0")))
    with_names = _pools(Pool(_APP, _backends(), ticket_names=TicketNames(names)))
    with_keys = _pools(Pool(_APP, _backends(), routable=RoutingKeys(keys)))
    for label, name, pools, why in (
        (f"a learned name, one of {len(names)}", learned, with_names, Why.LEARNED),
        (f"a routable name, the last of {len(keys)} keys", routable, with_keys, Why.ROUTABLE),
        (f"an unknown name among {len(names)}", bytes(16), with_names, Why.SELECTED),
    ):
        wire = _hello(name)
        yield Cost(f"{len(wire):,} bytes of hello read and decided, {label}",
                   _measure(wire, pools, why))  # fmt: skip


def _measure(wire: bytes, pools: Pools, expected: Why) -> float:
    client, load = Client(bytes([192, 0, 2, 7])), OpenConnections()

    def call() -> Why:
        peeker = HelloPeeker()
        peeker.receive_data(wire)
        event = peeker.next_event()
        if not isinstance(event, HelloReceived):
            raise TypeError(f"no hello: {event}")
        decision = decide(event.hello, client, pools, State(1_000.0, 0.5, load))
        if not isinstance(decision, Forward):
            raise TypeError(f"no backend: {decision}")
        return decision.why

    if call() is not expected:
        raise ValueError(f"decided by {call()}, expected {expected}")
    rounds = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        for _ in range(CALLS):
            call()
        rounds.append((time.thread_time_ns() - began) / CALLS / 1_000)
    return median(rounds)


def _backends() -> tuple[Backend, ...]:
    return tuple(
        Backend(
            name=BackendName(f"enclave-{at}"),
            address=Address("192.0.2.1", 8_000 + at),
            index=BackendIndex(at),
            server_id=at,
        )
        for at in range(_BACKENDS)
    )


def _pools(pool: Pool) -> Pools:
    route = Route(HostPattern.parse(_NAME.decode()), _APP)
    return Pools(RouteTable([route]), {_APP: pool})


def _hello(name: bytes) -> bytes:
    """A hello as today's browsers send it when they come back, as long as they come."""
    ticket = name + bytes(_TICKET_BYTES - len(name))
    share = u16(0x11EC) + vector(2, bytes(_HYBRID_KEY_SHARE_BYTES))
    share += u16(0x001D) + vector(2, bytes(32))

    def wire(padding: int) -> bytes:
        return hello(
            ech(bytes(208)),
            (0x2A2A, b""),
            server_name(_NAME),
            alpn(b"h2", b"http/1.1"),
            supported_versions(0x4A4A, 0x0304, 0x0303),
            (KEY_SHARE, vector(2, share)),
            (21, bytes(padding)),
            pre_shared_key((ticket, 1)),
        ).wire()

    return wire(HELLO_BYTES - len(wire(0)))
