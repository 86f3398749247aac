"""Maglev hashing: one table that is filled by all backends in turn, each in an order of its own.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4.
Beside rendezvous: shares are even to one entry instead of a draw's luck, and a key costs the same
however many backends there are; but when one comes or goes, a few keys of the others move too.

Every balancer fills the same table, unasked: permutations are a keyed BLAKE2b of the names, and
members take their turns in the order of their names.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from heapq import heapreplace
from itertools import chain

from routing.backend import BackendName, Hashing
from routing.ranking import KEPT, Ranking

# A prime, so that every stride reaches every entry; the largest below 2**14. Entries of 1,000
# backends are even to 1 in 16, of 100 to 1 in 163. Filling it takes 10 ms with 1,000 backends, of
# which a worker serves nobody; the 65,537 of the paper's large table take 50.
TABLE_SIZE = 16_381

# Entries looked at for the next in a key's order: a small pool's last in rank may not be among
# them, and is found by `favourite` if it should be asked.
_LOOKED_AT = 64

# Changing it moves every client that offers no token: all balancers of a fleet must hold the same.
_KEY = b"l4proxy maglev 1"
_WORD_BYTES = 8

_BEGUN = blake2b(digest_size=_WORD_BYTES, key=_KEY)


class Maglev(Ranking):
    """The members in the order in which they follow each other in the table, from a key's entry on.

    The table is filled when it is first asked for, and never again.
    """

    __slots__ = ("_filled", "_names")

    hashing = Hashing.MAGLEV

    def __init__(self, members: Mapping[BackendName, int]) -> None:
        """Fill nothing yet."""
        super().__init__(members)
        self._names = sorted(members)
        self._filled: array[int] | None = None

    @property
    def table(self) -> "array[int]":
        """The member of each entry, as a place in the sorted names; empty without members."""
        if self._filled is None:
            weights = [self.members[name] for name in self._names]
            self._filled = _fill([_permutation(name) for name in self._names], weights)
        return self._filled

    def favourite(self, key: bytes, names: Iterable[BackendName]) -> BackendName:
        """Return the one of some members, at least one, that comes first from a key's entry on."""
        asked = set(names)
        return next(name for name in self._from(key) if name in asked)

    def _ranked(self, key: bytes) -> tuple[BackendName, ...]:
        ranked: dict[BackendName, None] = {}  # a set that keeps its order
        for _, name in zip(range(_LOOKED_AT), self._from(key), strict=False):
            ranked[name] = None
            if len(ranked) == KEPT:
                break
        return tuple(ranked)

    def _from(self, key: bytes) -> Iterator[BackendName]:
        """Yield whom each entry belongs to, once around from that of a key."""
        hashed = _BEGUN.copy()
        hashed.update(key)
        begin = int.from_bytes(hashed.digest(), "big") % TABLE_SIZE
        table = self.table
        for member in chain(table[begin:], table[:begin]):
            yield self._names[member]


def _permutation(name: BackendName) -> tuple[int, int]:
    """Return where a member begins, and the stride with which it goes through the table."""
    digest = blake2b(name.encode(), digest_size=2 * _WORD_BYTES, key=_KEY).digest()
    offset, skip = digest[:_WORD_BYTES], digest[_WORD_BYTES:]
    return (
        int.from_bytes(offset, "big") % TABLE_SIZE,
        int.from_bytes(skip, "big") % (TABLE_SIZE - 1) + 1,
    )


def _fill(permutations: list[tuple[int, int]], weights: list[int]) -> "array[int]":
    """Return the full table; nothing in it when there is nobody to fill it.

    Each takes its first entry at the hour 0, and so has one at least; from then on one each
    1 / weight hours. Members of one weight are up together, in their order.
    """
    teams: dict[int, list[int]] = {}
    for member, weight in enumerate(weights):
        teams.setdefault(weight, []).append(member)
    rounds = [(0.0, weight, 1) for weight in sorted(teams)]  # sorted, and so a heap
    places = [offset for offset, _ in permutations]
    table = [-1] * TABLE_SIZE
    left = TABLE_SIZE if teams else 0
    while left:
        _, weight, count = rounds[0]
        team = teams[weight][:left]
        for member in team:
            place, skip = places[member], permutations[member][1]
            while table[place] >= 0:
                place = (place + skip) % TABLE_SIZE
            table[place], places[member] = member, place
        left -= len(team)
        heapreplace(rounds, (count / weight, weight, count + 1))
    return array("H", table if teams else ())
