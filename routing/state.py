"""What a decision may know that changes from one connection to the next."""

from typing import Final, Protocol

from routing.backend import BackendName, PoolName
from routing.load import LoadView


class SeenTokens(Protocol):
    """Who issued a session id or a whole ticket that a TLS ≤ 1.2 backend showed in the clear."""

    __slots__ = ()

    def owner(self, pool: PoolName, token: bytes, now: float, /) -> BackendName | None:
        """Return the backend of a pool that issued a token; None: nobody that is remembered."""
        ...


class Reservation(Protocol):
    """Where a client began a session a moment ago. Asked only where nothing else leads anywhere."""

    __slots__ = ()

    def reserved(self, pool: PoolName, /) -> BackendName | None:
        """Return the backend of a pool where this client's next new connection should go.

        None once the reservation is over. Whoever withdraws a session, because the dial failed,
        withdraws its reservation too.
        """
        ...


class State:
    """The moment of one decision, fixed while it is made.

    A plain class, since one is made per decision.

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

    __slots__ = (
        "draw",
        "load",
        "may_hold",
        "may_park",
        "now",
        "reservation",
        "seen",
        "tried",
        "turn",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - its fields: one is made per decision, in one call
        self,  # budget: as many as it has fields, all by place
        now: float,
        draw: float,
        load: LoadView,
        reservation: Reservation | None = None,
        tried: tuple[BackendName, ...] = (),
        may_hold: bool = False,  # noqa: FBT001, FBT002 - by place, which is half the work of by name
        seen: SeenTokens | None = None,
        turn: int = 0,
        may_park: bool = False,  # noqa: FBT001, FBT002 - as `may_hold`
    ) -> None:
        self.now: Final = now
        self.draw: Final = draw
        self.load: Final = load
        self.reservation: Final = reservation
        self.tried: Final = tried
        self.may_hold: Final = may_hold
        self.seen: Final = seen
        self.turn: Final = turn
        self.may_park: Final = may_park
