"""What a decision may know that changes from one connection to the next."""

from typing import NamedTuple, Protocol

from routing.backend import BackendName, PoolName
from routing.load import LoadView


class SeenTokens(Protocol):
    """Who issued a session id or a whole ticket that a TLS ≤ 1.2 backend showed in the clear."""

    def owner(self, pool: PoolName, token: bytes, now: float, /) -> BackendName | None:
        """Return the backend of a pool that issued a token; None: nobody that is remembered."""
        ...


class Reservation(Protocol):
    """Where a client began a session a moment ago. Asked only where nothing else leads anywhere."""

    def reserved(self, pool: PoolName, /) -> BackendName | None:
        """Return the backend of a pool where this client's next new connection should go.

        None once the reservation is over. Whoever withdraws a session, because the dial failed,
        withdraws its reservation too.
        """
        ...


class State(NamedTuple):
    """The moment of one decision, fixed while it is made.

    A tuple, since one is made per decision: 0.35 µs against 1.0 for a frozen dataclass.

    Attributes:
        now: Seconds, monotonic; the clock of `Backend` and of `Hold.until`.
        draw: One random number in [0, 1), which breaks ties and draws by weight.
        load: How busy each backend is.
        reservation: Says where this client began a session with a pool a moment ago; None: nobody
            keeps that in mind.
        tried: Backends whose dial failed for this connection; none is chosen again.
        may_hold: Whether a `Hold` would be heeded; False when this hello has been held, or when
            the pool's backends have just been asked for their ticket names.
        seen: What backends have issued in the clear; None: nothing is observed.
        turn: One more for each decision of this caller, from 0 on, for `Balance.ROUND_ROBIN`.
        may_park: Whether a `Hold` for want of an eligible backend would be heeded.

    """

    now: float
    draw: float
    load: LoadView
    reservation: Reservation | None = None
    tried: tuple[BackendName, ...] = ()
    may_hold: bool = False
    seen: SeenTokens | None = None
    turn: int = 0
    may_park: bool = False
