"""Whose is this name? The ticket names of every pool, with owners and lifetimes. Pure.

    learned       the backend shows it: its owner from now on, until no ticket of that name is left
    shown again   its time begins anew
    rotated away  it stays until its time is over, for its tickets are still about
    clash         another backend that is there owns it: it is refused and counted, unless it is
                  proven that both hold the key (`share`); then any of them opens the ticket
    tombstone     its owner has left the pool, or moved: known until its time is over, and leads
                  nowhere; it is free for who shows it, such as the owner's successor

Backends may be hostile. One can fill only places of its own, and drives out nobody else's names:
over its bound a backend loses the names that it has not shown for longest; where all backends
together have too many, new ones are left out and counted. Of tombstones the oldest go first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from l4proxy.control.tickets.layouts import KeyName
from routing import Address, BackendName, PoolName, TicketNames

MAX_LIFETIME_SECONDS = 7 * 86_400.0
"""How long a name is kept that is not shown any more, at most: no ticket may be used for longer
(RFC 8446 §4.6.1)."""

MAX_NAMES_PER_BACKEND = 64
"""Names of one backend: 64 worker processes, or the 24 hourly keys of JSSE and room."""

MAX_NAMES = 32_768
"""Names of all backends that are there: half of what they could have, a MiB for each worker."""

MAX_TOMBSTONES = 4_096
"""Names of backends that have gone: enough for a fleet of 1,000 that is replaced a few times."""

_GONE = BackendName("")
"""Owns what a backend left behind that moved: no backend has this name (`membership.Member`)."""


class NameStatistics(NamedTuple):
    """How it stands with the names of a backend.

    Attributes:
        names: That it owns now, shared ones included.
        clashes: Times that a name which it showed was refused, being another's.
        left_out: Times that there was no place for a name.

    """

    names: int = 0
    clashes: int = 0
    left_out: int = 0


class Clash(NamedTuple):
    """A name that was refused.

    Attributes:
        name: It.
        owners: Who owns it.

    """

    name: KeyName
    owners: frozenset[BackendName]


class _Claim(NamedTuple):
    """Since when a backend owns a name.

    Attributes:
        shown_at: When it showed the name last, in seconds of `now`.
        expires: When no ticket of this name is left.

    """

    shown_at: float
    expires: float


@dataclass(slots=True)
class _PoolNames:
    """The names of one pool; `claims` also holds those of backends that have left."""

    members: Mapping[BackendName, Address] = field(default_factory=dict)
    homes: dict[BackendName, Address] = field(default_factory=dict)
    claims: dict[BackendName, dict[KeyName, _Claim]] = field(default_factory=dict)
    clashes: Counter[BackendName] = field(default_factory=Counter)
    left_out: Counter[BackendName] = field(default_factory=Counter)
    version: int = 0
    built: tuple[int, TicketNames] = (0, TicketNames())

    def settle(self, members: Mapping[BackendName, Address]) -> None:
        """Take who is there; who is at another address than before is another backend."""
        for name, address in members.items():
            if self.homes.get(name, address) != address and name in self.claims:
                self.claims.setdefault(_GONE, {}).update(self.claims.pop(name))
                self.version += 1
        remembered = {name: self.homes[name] for name in self.claims.keys() & self.homes.keys()}
        self.homes = {**remembered, **members}
        self.members = members
        for counter in (self.clashes, self.left_out):
            for name in counter.keys() - members.keys():
                del counter[name]

    def owners(self, name: KeyName, *, there: bool) -> frozenset[BackendName]:
        """Return the owners of a name that are there, or those that are not any more."""
        owners = (owner for owner, claims in self.claims.items() if name in claims)
        return frozenset(owner for owner in owners if (owner in self.members) is there)

    def claim(self, backend: BackendName, name: KeyName, claim: _Claim) -> None:
        """Give a backend that is there a name; who has left yields it."""
        for gone in self.owners(name, there=False):
            self.drop(gone, name)
        own = self.claims.setdefault(backend, {})
        old = own.get(name)
        own[name] = (
            claim if old is None else claim._replace(expires=max(old.expires, claim.expires))
        )
        if old is None:
            self.version += 1
            if len(own) > MAX_NAMES_PER_BACKEND:
                self.drop(backend, min(own, key=lambda each: own[each].shown_at))

    def drop(self, owner: BackendName, name: KeyName) -> None:
        """Forget a name of a backend."""
        del self.claims[owner][name]
        if not self.claims[owner]:
            del self.claims[owner]
        self.version += 1

    def names(self) -> TicketNames:
        """Return them as routing reads them."""
        if self.built[0] != self.version:
            owned = (name.of(owner) for owner, claims in self.claims.items() for name in claims)
            self.built = self.version, TicketNames(owned)
        return self.built[1]


class NameRegistry:
    """The ticket names of every pool, whoever has learned them."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._pools: dict[PoolName, _PoolNames] = {}

    def settle(self, members: Mapping[PoolName, Mapping[BackendName, Address]]) -> None:
        """Take who is there from now on; a pool that is not named is forgotten.

        A backend that comes back to its address has its names again; at another address it starts
        anew, for the enclave is another one.
        """
        self._pools = {pool: self._pools.get(pool) or _PoolNames() for pool in members}
        for pool, backends in members.items():
            self._pools[pool].settle(backends)
        self._bury()

    def learn(
        self,
        pool: PoolName,
        backend: BackendName,
        names: Iterable[KeyName],
        now: float,
        lifetime: float | None = None,
    ) -> tuple[Clash, ...]:
        """Take names that a backend shows; return those that others own, which it does not get.

        Args:
            pool: Whose backend it is.
            backend: Who shows them; where it is not there any more nothing happens.
            names: What it shows.
            now: Seconds.
            lifetime: For how many seconds from now there may be tickets of these names; None, or
                more than `MAX_LIFETIME_SECONDS`: for those.

        """
        known = self._pools.get(pool)
        if known is None or backend not in known.members:
            return ()
        clashes = []
        for name in dict.fromkeys(names):
            others = known.owners(name, there=True)
            if others and backend not in others:
                clashes.append(Clash(name, others))
            else:
                self._claim(known, backend, name, _claim(now, lifetime))
        known.clashes[backend] += len(clashes)
        return tuple(clashes)

    def share(
        self,
        pool: PoolName,
        backend: BackendName,
        names: Iterable[KeyName],
        now: float,
        lifetime: float | None = None,
    ) -> None:
        """As `learn`, for names of which it is proven that this backend holds their key as well."""
        known = self._pools.get(pool)
        if known is not None and backend in known.members:
            for name in names:
                self._claim(known, backend, name, _claim(now, lifetime))

    def expire(self, now: float) -> None:
        """Forget the names of which no ticket is left."""
        for known in self._pools.values():
            over = [
                (owner, name)
                for owner, claims in known.claims.items()
                for name, claim in claims.items()
                if claim.expires <= now
            ]
            for owner, name in over:
                known.drop(owner, name)

    def names(self, pool: PoolName) -> TicketNames:
        """Return what routing may know of a pool, the same value until it changes."""
        known = self._pools.get(pool)
        return TicketNames() if known is None else known.names()

    def version(self, pool: PoolName) -> int:
        """Return a number that grows with every change of `names`; 0: nothing was ever known."""
        known = self._pools.get(pool)
        return 0 if known is None else known.version

    def statistics(self, pool: PoolName) -> Mapping[BackendName, NameStatistics]:
        """Return how it stands with the names of each backend that is there."""
        known = self._pools.get(pool, _PoolNames())
        return {
            name: NameStatistics(
                len(known.claims.get(name, ())), known.clashes[name], known.left_out[name]
            )
            for name in known.members
        }

    def shared(self, pool: PoolName, since: float) -> frozenset[frozenset[BackendName]]:
        """Return the groups of backends, two or more each, that hold a key together.

        Args:
            pool: Whose.
            since: Seconds; a name that a backend has not shown since then is not held against it.
        """
        known = self._pools.get(pool, _PoolNames())
        holders = defaultdict[KeyName, set[BackendName]](set)
        for owner in known.claims.keys() & known.members.keys():
            for name, claim in known.claims[owner].items():
                if claim.shown_at >= since:
                    holders[name].add(owner)
        return frozenset(frozenset(group) for group in holders.values() if len(group) > 1)

    def tombstones(self, pool: PoolName) -> int:
        """Return how many names of a pool lead nowhere."""
        known = self._pools.get(pool, _PoolNames())
        return sum(
            len(names) for owner, names in known.claims.items() if owner not in known.members
        )

    def _claim(self, known: _PoolNames, backend: BackendName, name: KeyName, claim: _Claim) -> None:
        own = known.claims.get(backend, {})
        if name not in own and len(own) < MAX_NAMES_PER_BACKEND and self._is_full():
            known.left_out[backend] += 1
        else:
            known.claim(backend, name, claim)

    def _is_full(self) -> bool:
        counts = (
            len(known.claims.get(name, ()))
            for known in self._pools.values()
            for name in known.members
        )
        return sum(counts) >= MAX_NAMES

    def _bury(self) -> None:
        """Keep no more tombstones than there is room for."""
        tombstones = [
            (claim.shown_at, known, owner, name)
            for known in self._pools.values()
            for owner, claims in known.claims.items()
            if owner not in known.members
            for name, claim in claims.items()
        ]
        tombstones.sort(key=lambda each: each[0])
        for _, known, owner, name in tombstones[: max(0, len(tombstones) - MAX_TOMBSTONES)]:
            known.drop(owner, name)


def _claim(now: float, lifetime: float | None) -> _Claim:
    kept = MAX_LIFETIME_SECONDS if lifetime is None else min(lifetime, MAX_LIFETIME_SECONDS)
    return _Claim(now, now + kept)
