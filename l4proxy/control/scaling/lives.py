"""What is remembered of each backend of a scaled pool: ordered, seen, ready, lost. Pure.

The lead time is that from an order to a backend that serves. Who appears is taken for the oldest
order that nobody has fulfilled yet; a backend that nobody ordered, such as one that was there when
the balancer started, says nothing of it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from l4proxy.control.membership import Member
from routing import Address, BackendName

MAX_ORDER_SECONDS: Final = 3600.0
"""The age at which an order is not taken any more for what has brought a backend."""


@dataclass(slots=True)
class Life:
    """One backend at one address; moments in seconds, monotonic.

    Attributes:
        address: Where it is: at another one it is another backend.
        seen_at: When it was first there.
        ordered_at: When it was asked for; None: nobody did, as far as is known.
        unasked: Whether it has come since, and nobody asked for it.
        ready_at: When it first could serve; None: it never could.
        lost_at: Since when it cannot serve any more; None: it can, or never could.
    """

    address: Address
    seen_at: float
    ordered_at: float | None = None
    ready_at: float | None = None
    lost_at: float | None = None
    unasked: bool = False

    def serves(self, now: float) -> None:
        """Note that it can serve."""
        self.ready_at = now if self.ready_at is None else self.ready_at
        self.lost_at = None

    def fails(self, now: float) -> None:
        """Note that it cannot serve, which counts as a loss when it could before."""
        if self.ready_at is not None and self.lost_at is None:
            self.lost_at = now

    @property
    def lead(self) -> tuple[float, float | None]:
        """When it was ordered and when it could serve first, as the recommender takes it.

        The same moment twice, from which no lead time is taken, where nobody ordered it.
        """
        if self.ready_at is None:
            return self.seen_at, None
        if self.ordered_at is None:
            return self.seen_at, self.seen_at
        return self.ordered_at, self.ready_at


class Lives:
    """The backends of one pool."""

    __slots__ = ("_begun", "_lives", "_orders")

    def __init__(self) -> None:
        """Know nobody, and no order."""
        self._lives: dict[BackendName, Life] = {}
        self._orders: deque[float] = deque()
        self._begun = False

    def __getitem__(self, name: BackendName) -> Life:
        return self._lives[name]

    def settle(self, members: Iterable[Member], now: float) -> None:
        """Meet those who are new, and forget those who are gone."""
        before, self._lives = self._lives, {}
        for member in members:
            life = before.get(member.name)
            if life is None or life.address != member.address:
                ordered_at = self._order(now)
                unasked = self._begun and ordered_at is None
                life = Life(member.address, now, ordered_at, unasked=unasked)
            self._lives[member.name] = life
        self._begun = True

    def expect(self, missing: int, now: float) -> None:
        """Note how many backends are asked for that are not there."""
        while len(self._orders) > max(0, missing):
            self._orders.pop()
        self._orders.extend([now] * (missing - len(self._orders)))

    def _order(self, now: float) -> float | None:
        """Return the oldest order, which is fulfilled now; None: there is none, or it is stale."""
        at = self._orders.popleft() if self._orders else None
        return at if at is not None and now - at <= MAX_ORDER_SECONDS else None
