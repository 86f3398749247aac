"""Observing: what backends show in the clear at the start of their answer.

Whether a session that the client offered goes on is the proof of stickiness. What a backend of TLS
1.2 or older issues names it when the client comes back; what one worker sees the others are told.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from l4proxy.channel import Channel, ChannelClosed
from l4proxy.dataplane import counters as names
from l4proxy.dataplane.counters import Counters
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.messages import MAX_OBSERVED, Observed
from l4proxy.snapshot import Snapshot
from routing import (
    Client,
    Forward,
    Observation,
    ObservedTokens,
    Pool,
    PoolName,
    SeenTokens,
    Why,
    key_of,
)
from sni import NEED_DATA, ClientHello, FlightRead, FlightUnread, ServerFlight

OBSERVED_DELAY_SECONDS: Final = 0.1
"""How long observed tokens wait for more before they leave: a client that was sent away needs more
than a round trip to come back, and ten messages a second cost nothing."""

TLS_1_3: Final = 0x0304

_ROUTABLE: Final = Why.ROUTABLE
_SESSION_ID: Final = Why.SESSION_ID


def _offers_older(hello: ClientHello, why: Why) -> bool:
    """Return whether a session of TLS 1.2 or older is offered: by a ticket, or by a session id.

    A client of TLS 1.3 makes session ids up (RFC 9846 §4.2.2): its own is an offer if it is known.
    """
    if hello.ticket:
        return True
    if not hello.session_id:
        return False
    if why is _SESSION_ID or why is _ROUTABLE:
        return True
    return TLS_1_3 not in hello.supported_versions


class Sighting:
    """The start of one backend's answer, as long as it says nothing yet.

    Attributes:
        resumed: Whether the session that the client offered goes on; None: it offered none, or
            nobody can tell.
    """

    __slots__ = ("_client", "_flight", "_forward", "_observer", "_older", "_psk", "resumed")

    def __init__(
        self, observer: "Observer", forward: Forward, hello: ClientHello, client: bytes | None
    ) -> None:
        """Look at what a backend says.

        Args:
            observer: Who wants to know.
            forward: The backend.
            hello: What the client said; it is not kept.
            client: Its packed address; None: nobody wants to know what the backend issues.
        """
        self._observer = observer
        self._forward = forward
        self._psk = bool(hello.psk_identities)
        self._older = _offers_older(hello, forward.why)
        self._client = client
        self._flight = ServerFlight()
        self.resumed: bool | None = None

    def look(self, data: memoryview) -> bool:
        """Take the next bytes; return whether those that follow are wanted too."""
        self._flight.receive_data(data)
        found = self._flight.next_event()
        if found is NEED_DATA:
            return True
        if isinstance(found, FlightUnread):
            if self._psk or self._older:
                self._observer.count(self._forward, "unknown")
            return False
        self._conclude(found)
        return False

    def _conclude(self, found: FlightRead) -> None:
        offered = self._psk if found.version >= TLS_1_3 else self._older
        if offered or found.resumed:
            self.resumed = found.resumed
            self._observer.count(self._forward, "accepted" if found.resumed else "refused")
        if self._client is not None:
            self._observer.issued(self._forward, found, self._client)


class Observer:
    """What one worker has seen. A `Timed` of the engine, armed while the others are to be told.

    Attributes:
        tokens: What backends have issued.
        seen: The same, for decisions to go by; None: no pool wants to know.
    """

    __slots__ = (
        "_channel",
        "_counters",
        "_engine",
        "_pools",
        "_rows",
        "_watched",
        "deadline",
        "scheduled",
        "seen",
        "tokens",
    )

    def __init__(self, engine: Engine, channel: Channel | None, counters: Counters) -> None:
        """Begin without having seen anything.

        Args:
            engine: Its clock.
            channel: To the supervisor, who tells the other workers; None: there are none.
            counters: Takes what becomes of the sessions that clients offer.
        """
        self._engine = engine
        self._channel = channel
        self._counters = counters
        self._rows: list[Observation] = []
        self._pools: Mapping[PoolName, Pool] = {}
        self._watched: AbstractSet[PoolName] = frozenset()
        self.tokens = ObservedTokens()
        self.seen: SeenTokens | None = None
        self.deadline = NEVER
        self.scheduled = NEVER

    def apply(self, snapshot: Snapshot) -> None:
        """Look at the pools of this snapshot from now on."""
        self._pools = snapshot.pools.pools
        self._watched = {name for name, rules in snapshot.sessions.items() if rules.observes}
        self.seen = self.tokens if self._watched else None

    def sight(self, forward: Forward, hello: ClientHello, client: bytes) -> Sighting | None:
        """Return who looks at a backend's answer; None: there is nothing to be seen in it.

        Args:
            forward: The backend.
            hello: What it answers.
            client: Who said it, packed address.
        """
        if forward.pool in self._watched:
            return Sighting(self, forward, hello, client)
        if hello.psk_identities or _offers_older(hello, forward.why):
            return Sighting(self, forward, hello, None)
        return None

    def count(self, forward: Forward, outcome: str) -> None:
        """Count what became of an offered session."""
        self._counters.resumption(forward, outcome)

    def issued(self, forward: Forward, found: FlightRead, client: bytes) -> None:
        """Keep who issued what, and let the others know.

        A ticket is left out whose name says it already: the table is for those that have none.
        """
        for token in (found.ticket, found.session_id):
            if token is not None and not self._is_named(forward.pool, token):
                self._keep(forward, token, client)

    def _is_named(self, pool: PoolName, token: bytes) -> bool:
        found = self._pools.get(pool)
        return found is not None and found.ticket_names.owners(token) is not None

    def _keep(self, forward: Forward, token: bytes, client: bytes) -> None:
        now = self._engine.now
        network = Client(client).prefix
        seen = Observation(forward.pool, key_of(token), forward.backend.name, network, now)
        if not self.tokens.add(seen, now) or self._channel is None:
            return
        self._rows.append(seen)
        if len(self._rows) >= MAX_OBSERVED:
            self.flush()
        elif self.deadline == NEVER:
            self.deadline = now + OBSERVED_DELAY_SECONDS
            self._engine.schedule(self)

    def hear(self, observed: Observed) -> None:
        """Take what another worker has seen."""
        now = self._engine.now
        for row in observed.rows:
            self.tokens.add(row, now)

    def flush(self) -> None:
        """Send what waits; what finds the channel full is dropped and counted."""
        rows, self._rows = tuple(self._rows), []
        self._engine.cancel(self)
        if not rows or self._channel is None:
            return
        try:
            sent = self._channel.send(Observed(rows))
        except ChannelClosed:
            sent = False
        if not sent:
            self._counters.add(names.OBSERVED_DROPPED, "", len(rows))

    def on_deadline(self) -> None:
        """Send the batch: it has waited long enough."""
        self.flush()

    def on_failure(self, error: Exception) -> None:
        """Fail the worker: a batch that cannot be sent is a bug, not a peer's doing."""
        raise error
