"""Rankings: in which order does a key, such as a client's network, prefer the members of a pool?"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from routing.backend import BackendName, Hashing

# Members kept per key, or slot of keys. With half a pool refused, all eight are refused once in 256
# times.
KEPT: Final = 8

# Keys whose ranking is remembered, per pool: found again in 0.1 µs, where hashing takes 0.8. More
# networks than come to an enclave in a while; with keys of up to 16 bytes they take 1 MB.
MAX_KEYS: Final = 8_192


class Ranking(ABC):
    """The order in which each key prefers the members of a pool.

    A pure function of names and weights, whose answers are kept once worked out, to a bound. Health
    and load do not enter, so that a ranking outlives them.

    Attributes:
        hashing: How it is worked out.
        members: Weights, at least 1, by name.

    """

    __slots__ = ("_keys", "members")

    hashing: ClassVar[Hashing]

    def __init__(self, members: Mapping[BackendName, int]) -> None:
        """Rank nothing yet."""
        self.members = dict(members)
        self._keys: dict[bytes, tuple[BackendName, ...]] = {}

    @property
    def remembered(self) -> int:
        """How many keys are remembered, at most MAX_KEYS."""
        return len(self._keys)

    def first(self, key: bytes) -> tuple[BackendName, ...]:
        """Return up to KEPT members that a key, of at most some dozen bytes, prefers, best first.

        When no more keys can be remembered all are forgotten: who floods it with keys costs the
        others a hash, and nobody has to keep track of who came last.
        """
        known = self._keys.get(key)
        if known is None:
            if len(self._keys) >= MAX_KEYS:
                self._keys.clear()
            known = self._keys[key] = self._ranked(key)
        return known

    @abstractmethod
    def favourite(self, key: bytes, names: Iterable[BackendName]) -> BackendName:
        """Return the one of some members, at least one, that a key prefers.

        Worked out anew: for when those of `first` have all been refused.
        """

    @abstractmethod
    def _ranked(self, key: bytes) -> tuple[BackendName, ...]:
        """Work out `first`."""
