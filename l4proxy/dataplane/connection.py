"""One connection, top to bottom: preread, decide, dial, relay; or a refusal.

    accept ─▶ preread ─▶ decide ─▶ dial ─▶ relay ─▶ end
                 │          ▲ │     │ │      │
                 │          └─┼─────┘ │      │     a backend that cannot be reached, or says nothing
                 └────────────┴───────┴──────┴─▶ refuse ─▶ end

A connection owns the client's socket until it hands it to a relay or to a linger. Everything that
waits is a thing of its own (preread, dial, relay, linger) that calls back here.
"""

import errno
from random import random, sample
from socket import SocketType
from typing import assert_never

from l4proxy.dataplane import counters as names
from l4proxy.dataplane.access_log import Outcome, Record
from l4proxy.dataplane.admission import trusts
from l4proxy.dataplane.dial import Call, DialFailed, Dialled, dial
from l4proxy.dataplane.engine import NEVER, READABLE
from l4proxy.dataplane.introduction import introduce, origin_of
from l4proxy.dataplane.linger import Linger, reset
from l4proxy.dataplane.preread import Preread, read_now
from l4proxy.dataplane.relay import Ending, Relay
from l4proxy.dataplane.room import Peer, Room
from l4proxy.first_flight import FirstFlight
from l4proxy.limits import DIAL_ATTEMPTS, LOGGED_PROTOCOLS, SOURCE_ATTEMPTS
from l4proxy.proxy_protocol import HeaderRejected, IpEndpoint, ProxyHeader
from l4proxy.refusal import LocalReason, Refusal, refusal_of
from l4proxy.snapshot import Dialling, Timeouts
from routing import BackendIndex, BackendName, Client, Forward, Hold, Refuse, State, decide
from sni import NEED_DATA, ClientHello, HelloPeeker, HelloReceived, HelloRejected

NO_ANSWER = "no_answer"
"""The dial failure of a backend that took the hello and ended without a byte."""


class Connection:
    """A client, from accept to its end."""

    __slots__ = (
        "_admitted",
        "_answered",
        "_client",
        "_dialling",
        "_flight",
        "_forward",
        "_hello",
        "_peer",
        "_preread",
        "_record",
        "_room",
        "_slot",
        "_sock",
        "_sources",
        "_timeouts",
        "_tried",
        "_watched",
        "deadline",
        "scheduled",
    )

    # What the next phase needs, once the one before has found it. Dialling and timeouts are those
    # of the decision: a reload may have taken the pool away when the backend answers.
    _hello: ClientHello
    _forward: Forward
    _timeouts: Timeouts
    _dialling: Dialling
    _sources: list[str]

    def __init__(self, room: Room, sock: SocketType, peer: Peer) -> None:
        """Take over an accepted socket.

        Args:
            room: The worker.
            sock: The client; closed by this connection.
            peer: Who connected, and where.
        """
        settings = room.snapshot.settings
        proxied = peer.entrance.proxied
        self._room = room
        self._sock = sock
        self._peer = peer
        self._client = peer.address
        self._flight: FirstFlight | HelloPeeker = (
            FirstFlight(settings.hello) if proxied else HelloPeeker(settings.hello)
        )
        self._record: Record | None = None
        if settings.access_log:
            self._record = Record(room.engine.now, peer.address, peer.entrance.name)
        self._admitted = False
        self._answered = False
        self._watched = False
        self._preread: Preread | None = None
        self._slot: BackendIndex | None = None
        self._tried: tuple[BackendName, ...] = ()
        self.deadline = NEVER
        self.scheduled = NEVER

    def begin(self) -> None:
        """Read what is there, which is mostly the whole hello, or wait for it."""
        entrance = self._peer.entrance
        if entrance.proxied and not trusts(entrance, self._client):
            self._shed(LocalReason.PROXY_UNTRUSTED)
            return
        if not entrance.proxied and not self._admit():
            return
        try:
            count = read_now(self._sock, self._flight)
        except OSError:
            self.client_lost()
            return
        event = self._flight.next_event()
        if event is not NEED_DATA:
            self.hello_read(event)
            return
        self._watched = True
        room = self._room
        settings = room.snapshot.settings
        preread = self._preread = Preread(room.engine, self._sock, self._flight, self)
        preread.start(room.engine.now + settings.hello_timeout)
        room.admission.wait(self, settings.waiting)
        self.hello_grew(count)

    def _admit(self) -> bool:
        room = self._room
        self._admitted = room.admission.admit(self._client, room.snapshot.settings.per_client)
        if not self._admitted:
            self._shed(LocalReason.CLIENT_LIMIT)
        return self._admitted

    # --- preread's answers ---------------------------------------------------------------------

    def hello_read(self, outcome: HelloReceived | HelloRejected | HeaderRejected) -> None:
        """Decide by the hello, or refuse what is none."""
        self._waited()
        if not isinstance(outcome, HelloReceived):
            self._refuse(refusal_of(outcome.error))
            return
        self._hello = outcome.hello
        if self._record is not None:
            self._record.server_name = outcome.hello.server_name
            self._record.alpn = outcome.hello.alpn[:LOGGED_PROTOCOLS]
        if not self._peer.entrance.proxied or self._admit():
            self._decide(may_hold=True)

    def _waited(self) -> None:
        """Wait for the hello no more; the client is whom a PROXY header names, if there was one."""
        self._room.admission.waited(self)
        header = self._header
        if header is not None and isinstance(header.source, IpEndpoint):
            self._client = header.source.unmapped.address
            if self._record is not None:
                self._record.client = self._client

    @property
    def _header(self) -> ProxyHeader | None:
        return self._flight.header if isinstance(self._flight, FirstFlight) else None

    def hello_grew(self, count: int) -> None:
        """Count what is held of an unfinished hello."""
        self._room.admission.grew(self, count, self._room.snapshot.settings.buffers)

    def hello_missed(self) -> None:
        """Refuse a client that did not say hello in time."""
        self._waited()
        self._refuse(refusal_of(LocalReason.HELLO_TIMEOUT))

    def client_lost(self) -> None:
        """End after the client's reset."""
        self._waited()
        self._shed(LocalReason.CLIENT_RESET)

    def give_way(self) -> None:
        """End: too many wait for their hello, and this one has waited longest."""
        if self._preread is not None:
            self._preread.stop()
        self._waited()
        self._shed(LocalReason.TOO_MANY_WAITING)

    # --- decide --------------------------------------------------------------------------------

    def _decide(self, *, may_hold: bool) -> None:
        room = self._room
        state = State(
            now=room.engine.now,
            draw=random(),  # noqa: S311 - spreads load, guards nothing
            load=room.load,
            tried=self._tried,
            may_hold=may_hold,
        )
        outcome = decide(self._hello, Client(self._client), room.snapshot.pools, state)
        if isinstance(outcome, Forward):
            self._approach(outcome)
        elif isinstance(outcome, Refuse):
            if self._record is not None:
                self._record.pool = outcome.pool
                self._record.decided_at = room.engine.now
                self._record.connected_at = None
            reason = LocalReason.NO_BACKEND_ANSWERED if self._tried else outcome.reason
            self._refuse(refusal_of(reason))
        elif isinstance(outcome, Hold):
            self.deadline = outcome.until
            room.engine.schedule(self)
        else:
            assert_never(outcome)

    def on_deadline(self) -> None:
        """Decide for a hello that was held, whatever is known by now."""
        self.deadline = NEVER
        self._decide(may_hold=False)

    # --- dial ----------------------------------------------------------------------------------

    def _approach(self, forward: Forward) -> None:
        """Take a slot of the chosen backend, before the dial, so that all workers see it."""
        room = self._room
        self._forward = forward
        self._slot = forward.backend.index
        room.take_slot(self._slot)
        snapshot = room.snapshot
        self._timeouts = snapshot.timeouts[forward.pool]
        self._dialling = snapshot.dialling[forward.pool]
        sources = self._dialling.sources_for(forward.backend.address)
        if sources:  # any of them, so that each gives its share of ports
            sources = sample(sources, min(len(sources), SOURCE_ATTEMPTS))
        self._sources = sources
        if self._record is not None:
            self._record.chosen(forward, room.engine.now)
        self._dial()

    def _dial(self) -> None:
        backend = self._forward.backend
        words = self._flight.received
        version = self._dialling.proxy.get(backend.name)
        if version is not None:
            origin = origin_of(self._sock, self._peer, self._header)
            words = introduce(version, origin, self._hello) + words
            if self._record is not None:
                self._record.unique_id = origin.unique_id
        source = self._sources.pop() if self._sources else None
        call = Call(backend.address, words, self._timeouts.connect, source)
        dial(self._room.engine, call, self)

    def dialled(self, outcome: Dialled | DialFailed) -> None:
        """Relay to the backend that answered; else ask for another one."""
        if isinstance(outcome, Dialled):
            self._relay(outcome)
        elif outcome.code == errno.EADDRNOTAVAIL and self._sources:
            self._dial()
        else:
            self._try_another(outcome.reason)

    def _try_another(self, failure: str) -> None:
        backend = self._forward.backend
        label = f"{self._forward.pool}/{backend.name}/{failure}"
        self._room.counters.add(names.DIAL_FAILED, label)
        self._free_slot()
        self._tried = (*self._tried, backend.name)
        if len(self._tried) < DIAL_ATTEMPTS:
            self._decide(may_hold=False)
        else:
            self._refuse(refusal_of(LocalReason.NO_BACKEND_ANSWERED))

    # --- relay ---------------------------------------------------------------------------------

    def _relay(self, dialled: Dialled) -> None:
        room = self._room
        engine = room.engine
        relay = Relay(room, self._sock, dialled.sock, self)
        if self._watched:
            engine.hand_over(self._sock.fileno(), relay.upstream)
            engine.again(relay.upstream)
        else:
            engine.register(self._sock.fileno(), READABLE, relay.upstream)
        if dialled.registered:
            engine.hand_over(dialled.sock.fileno(), relay.downstream)
            # What the backend said with its accept has had its edge already.
            engine.again(relay.downstream)
        else:
            engine.register(dialled.sock.fileno(), READABLE, relay.downstream)
        relay.start(self._timeouts)
        if self._record is not None:
            self._record.connected_at = engine.now
        if dialled.unsent:
            # Last of all: without room for what is kept the relay ends here.
            relay.upstream.keep(dialled.unsent)

    def may_ask_another(self) -> bool:
        """Say whether: early data must never reach two backends, and tries are bounded."""
        return (
            not self._answered
            and not self._hello.early_data
            and len(self._tried) + 1 < DIAL_ATTEMPTS
        )

    def backend_silent(self) -> None:
        """Say the hello to another backend: this one took it and ended without a byte."""
        self._watched = True
        try:
            self._try_another(NO_ANSWER)
        except Exception as error:  # noqa: BLE001 - the boundary: the relay behind it is no more
            self.on_failure(error)

    def relay_settled(self, *, answered: bool) -> None:
        """Forget the hello, once the backend has answered: it will not be said again."""
        if answered:
            self._count_forwarded()
            del self._flight, self._hello

    def relay_ended(self, relay: Relay, ending: Ending) -> None:
        """Account for the relay: the sockets are closed."""
        if not self._answered:
            self._count_forwarded()
        label = f"{self._forward.pool}/{self._forward.backend.name}"
        counters = self._room.counters
        counters.add(names.BYTES_UP, label, relay.upstream.count)
        counters.add(names.BYTES_DOWN, label, relay.downstream.count)
        counters.add(names.ENDED, ending.value)
        self._log(Outcome("ended", ending.value, relay.upstream.count, relay.downstream.count))
        self._left()

    def _count_forwarded(self) -> None:
        """Count the relay, once no other backend will be asked: a client is counted once."""
        self._answered = True
        forward = self._forward
        self._room.counters.add(names.CHOSEN, f"{forward.pool}/{forward.why.value}")
        self._room.counters.add(names.FORWARDED, f"{forward.pool}/{forward.backend.name}")

    def relay_failed(self, error: Exception) -> None:
        """Report what ended the relay."""
        self._room.report_failure(error)

    # --- the end -------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        room = self._room
        room.counters.add(names.REFUSED, refusal.label)
        self._log(Outcome("refused", refusal.label))
        words = refusal.words(room.snapshot.settings.refusal)
        if words is None:
            reset(self._sock)
            self._close()
        else:
            Linger(room.engine, self._sock, self.dismissed).start(words, registered=self._watched)

    def dismissed(self, error: Exception | None) -> None:
        """Hear that the refused client is gone, or what nobody foresaw in getting rid of it."""
        if error is not None:
            self._room.report_failure(error)
        self._left()

    def _shed(self, reason: LocalReason) -> None:
        """Reset at once, without a word: what must cost nothing, or nobody is there to hear."""
        self._room.counters.add(names.REFUSED, reason.value)
        self._log(Outcome("refused", reason.value))
        reset(self._sock)
        self._close()

    def on_failure(self, error: Exception) -> None:
        """End at once: the boundary behind which an unforeseen error costs one connection only."""
        self._room.report_failure(error)
        self._log(Outcome("ended", Ending.FAILURE.value))
        self._close()

    def _close(self) -> None:
        self._room.engine.forget(self._sock.fileno())
        self._sock.close()
        self._left()

    def _left(self) -> None:
        """Give back everything that was taken for this connection, whose socket is closed."""
        room = self._room
        room.engine.cancel(self)
        room.admission.waited(self)
        # They hold each other: let go here, memory is freed without a collector.
        self._preread = None
        if self._admitted:
            room.admission.leave(self._client)
            self._admitted = False
        self._free_slot()
        room.connection_ended()

    def _free_slot(self) -> None:
        if self._slot is not None:
            self._room.free_slot(self._slot)
            self._slot = None

    def _log(self, outcome: Outcome) -> None:
        if self._record is not None:
            self._room.access_log.add(self._record, outcome)
