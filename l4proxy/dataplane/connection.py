"""One connection, top to bottom: preread, decide, dial, relay; or a refusal.

    accept ─▶ preread ─▶ decide ─▶ dial ─▶ relay ─▶ end
                 │          ▲ │     │ │      │
                 │          └─┼─────┘ │      │     a backend that cannot be reached, or says nothing
                 └────────────┴───────┴──────┴─▶ refuse ─▶ end

A connection owns the client's socket until it hands it to a relay or to a linger. Everything that
waits is a thing of its own (preread, dial, relay, linger) that calls back here.
"""

import errno
from random import random
from typing import assert_never

from l4proxy.dataplane import counters as names
from l4proxy.dataplane.access_log import Outcome, Record
from l4proxy.dataplane.admission import trusts
from l4proxy.dataplane.dial import NO_ANSWER, Call, DialFailed, Dialled, dial, leaving_from
from l4proxy.dataplane.engine import NEVER
from l4proxy.dataplane.introduction import introduce, origin_of
from l4proxy.dataplane.linger import Linger, reset
from l4proxy.dataplane.observing import Sighting
from l4proxy.dataplane.preread import Preread, read_now
from l4proxy.dataplane.relay import LABELS, Ending, Owner, Relay
from l4proxy.dataplane.room import Peer, Room
from l4proxy.dataplane.sessions import Session
from l4proxy.dataplane.stream import Stream
from l4proxy.first_flight import FirstFlight
from l4proxy.limits import DIAL_ATTEMPTS, REPLAY_BYTES
from l4proxy.proxy_protocol import HeaderRejected, IpEndpoint, ProxyHeader
from l4proxy.refusal import LocalReason, Refusal, refusal_of
from l4proxy.snapshot import Dialling, Timeouts
from routing import BackendName, Client, Forward, Hold, PoolName, Refuse, Reservation, State, decide
from sni import NEED_DATA, ClientHello, HelloPeeker, HelloReceived, HelloRejected


class Connection(Owner, Reservation):
    """A client, from accept to its end."""

    __deletable__ = ("_flight", "_hello")  # for mypyc: what `del` may take away
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
        "_replayable",
        "_room",
        "_session",
        "_sighting",
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

    def __init__(self, room: Room, sock: Stream, peer: Peer) -> None:
        """Take over a client's accepted socket, which this connection closes."""
        settings = room.snapshot.settings
        self._room = room
        self._sock = sock
        self._peer = peer
        self._client = peer.address
        self._flight: FirstFlight | HelloPeeker = (
            FirstFlight(settings.hello) if peer.entrance.proxied else HelloPeeker(settings.hello)
        )
        self._record: Record | None = None
        if settings.access_log:
            self._record = Record(room.engine.now, peer.address, peer.entrance.name)
        self._admitted = False
        self._answered = False
        self._watched = False
        self._replayable = False
        self._preread: Preread | None = None
        self._session: Session | None = None
        self._sighting: Sighting | None = None
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
            self._record.named(outcome.hello)
        if not self._peer.entrance.proxied or self._admit():
            self.find_backend(may_hold=True, may_park=True)

    def _waited(self) -> None:
        """Wait for the hello no more; the client is whom a PROXY header names, if there was one."""
        if self._preread is not None:
            self._room.admission.waited(self)
        header = self._header if self._peer.entrance.proxied else None
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

    def find_backend(self, *, may_hold: bool, may_park: bool) -> None:
        """Decide, and do what was decided."""
        room = self._room
        draw = random()  # noqa: S311 - spreads load, guards nothing
        seen, turn = room.observer.seen, next(room.turns)
        now, load, tried = room.engine.now, room.load, self._tried
        state = State(now, draw, load, self, tried, may_hold, seen, turn, may_park)
        outcome = decide(self._hello, Client(self._client), room.snapshot.pools, state)
        if isinstance(outcome, Forward):
            self._approach(outcome)
        elif isinstance(outcome, Refuse):
            if self._record is not None:
                self._record.refused(outcome, room.engine.now)
            reason = LocalReason.NO_BACKEND_ANSWERED if self._tried else outcome.reason
            self._refuse(refusal_of(reason))
        elif isinstance(outcome, Hold):
            room.waits.begin(self, outcome)
        else:
            assert_never(outcome)

    @property
    def client(self) -> bytes:
        """The client's address, packed: that of the PROXY header, where there was one."""
        return self._client

    def reserved(self, pool: PoolName, /) -> BackendName | None:
        """Return where this client began a session with a pool a moment ago (`Reservation`)."""
        return self._room.places.reserved(pool, self._client)

    def on_deadline(self) -> None:
        """Decide for a hello that has waited, whatever is known by now."""
        self.deadline = NEVER
        self._room.waits.over(self, self._sock)

    # --- dial ----------------------------------------------------------------------------------

    def _approach(self, forward: Forward) -> None:
        """Take a place on the chosen backend, before the dial, so that all workers see it."""
        room = self._room
        self._forward = forward
        self._session = room.places.take(forward, self._client)
        snapshot = room.snapshot
        self._timeouts = snapshot.timeouts[forward.pool]
        self._dialling = snapshot.dialling[forward.pool]
        self._sources = leaving_from(self._dialling, forward.backend.address)
        if self._record is not None:
            self._record.chosen(forward, room.engine.now)
        self._dial()

    def _dial(self) -> None:
        backend = self._forward.backend
        words = self._flight.received
        proxy = self._dialling.proxy
        if proxy and (version := proxy.get(backend.name)) is not None:
            origin = origin_of(self._sock, self._peer, self._header)
            words = introduce(version, origin, self._hello) + words
            if self._record is not None:
                self._record.unique_id = origin.unique_id
        source = self._sources.pop() if self._sources else None
        dial(self._room.engine, Call(backend.address, words, self._timeouts.connect, source), self)

    def dialled(self, outcome: Dialled | DialFailed) -> None:
        """Relay to the backend that answered; else ask for another one."""
        if isinstance(outcome, Dialled):
            self._relay(outcome)
        elif outcome.code == errno.EADDRNOTAVAIL and self._sources:
            self._dial()
        else:
            self._try_another(outcome.reason)

    def _try_another(self, failure: str) -> None:
        room = self._room
        room.counters.dial_failed(self._forward, failure)
        if self._session is not None:
            room.places.withdraw(self._session, self._forward.backend.index)
            self._session = None
        self._tried = (*self._tried, self._forward.backend.name)
        if len(self._tried) < DIAL_ATTEMPTS:
            self.find_backend(may_hold=False, may_park=False)
        else:
            self._refuse(refusal_of(LocalReason.NO_BACKEND_ANSWERED))

    # --- relay ---------------------------------------------------------------------------------

    def _relay(self, dialled: Dialled) -> None:
        room = self._room
        self._replayable = (
            not self._hello.early_data  # which must never reach two backends
            and len(self._tried) + 1 < DIAL_ATTEMPTS
            and len(self._flight.received) <= REPLAY_BYTES
        )
        self._sighting = room.observer.sight(self._forward, self._hello, self._client)
        if not self._replayable:
            del self._flight, self._hello
        relay = Relay(room.engine, room.backlog, self._sock, dialled.sock, self)
        relay.watch(client=self._watched, backend=dialled.registered)
        relay.start(self._timeouts)
        room.closing.opened(self._forward.backend.index, relay)
        if self._record is not None:
            self._record.connected_at = room.engine.now
        if dialled.unsent:
            # Last of all: without room for what is kept the relay ends here.
            relay.upstream.keep(dialled.unsent)

    def may_ask_another(self) -> bool:
        """Say whether the hello is still there to be said again."""
        return self._replayable

    def backend_silent(self, relay: Relay) -> None:
        """Say the hello to another backend: this one took it and ended without a byte."""
        self._watched = True
        try:
            self._room.closing.ended(self._forward.backend.index, relay)
            self._try_another(NO_ANSWER)
        except Exception as error:  # noqa: BLE001 - the boundary: the relay behind it is no more
            self.on_failure(error)

    def relay_begun(self, *, answered: bool) -> None:
        """Forget the hello, which will not be said again."""
        if answered:  # so that no other backend will be asked: a client is counted once
            self._answered = True
            self._room.counters.forwarded(self._forward)
        if self._replayable:
            self._replayable = False
            del self._flight, self._hello

    def backend_said(self, data: memoryview) -> bool:
        """Look at what the backend shows in the clear, until it has shown all."""
        sighting = self._sighting
        if sighting is None or sighting.look(data):
            return sighting is not None
        if self._record is not None:
            self._record.resumed = sighting.resumed
        self._sighting = None
        return False

    def relay_ended(self, relay: Relay, ending: Ending) -> None:
        """Account for the relay: the sockets are closed."""
        self._room.closing.ended(self._forward.backend.index, relay)
        if not self._answered:
            self._room.counters.forwarded(self._forward)
        up, down = relay.upstream.count, relay.downstream.count
        self._room.counters.copied(self._forward, up, down)
        label = LABELS[ending]
        self._room.counters.add(names.ENDED, label)
        if self._record is not None:
            self._log(Outcome("ended", label, up, down))
        if not up and self._session is not None:
            # No handshake ends without a word of the client behind its hello: there was no session,
            # and whoever says hello from many addresses must not fill a pool with them.
            self._room.places.withdraw(self._session, self._forward.backend.index)
            self._session = None
        self._left()

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

    def cut(self) -> None:
        """End at once, before there is a relay: the process ends."""
        self._waited()
        self._shed(LocalReason.SHUTDOWN)

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
        if self.scheduled != NEVER:
            room.engine.cancel(self)
        if self._preread is not None:
            room.admission.waited(self)
            # They hold each other: let go here, memory is freed without a collector.
            self._preread = None
        if self._admitted:
            room.admission.leave(self._client)
            self._admitted = False
        if self._session is not None:
            room.places.give_back(self._session, self._forward.backend.index)
            self._session = None
        room.connection_ended()

    def _log(self, outcome: Outcome) -> None:
        if self._record is not None:
            self._room.access_log.add(self._record, outcome)
