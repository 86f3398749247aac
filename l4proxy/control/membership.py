"""Who exists: the backends of one pool, merged from everybody who may name one.

    API       put while the balancer runs; until it is deleted or the daemon ends
    static    written in the configuration
    found     by DNS, called by their address; by Kubernetes, called by their pod

The earlier source wins: of two that share an address or a name, the later one is hidden. That is
also the order of the members; within it the API's go by name, the configuration's as written, those
found by source and address. So the same facts make the same pool, however they came.

A deletion holds for what it named, by name and by address, until the configuration is read again.
For what was found it also ends when it is not found any more: addresses are used again, and the
next enclave there is another one.

Nothing here waits or asks: `l4proxy.control.discovery` and the API do, and say so here.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple, NewType

from l4proxy.control.found import Found, Phase
from l4proxy.limits import MAX_BACKENDS
from routing import Address, BackendName, BadBackend, PoolName

SourceName = NewType("SourceName", str)
"""One source of discovery within a pool; unique there."""

MemberKey = tuple[PoolName, BackendName]
"""A member among those of all pools."""


class Source(StrEnum):
    """Who named a member; the earlier wins."""

    API = "api"
    STATIC = "static"
    DNS = "dns"
    KUBERNETES = "kubernetes"
    PLUGIN = "plugin"


class Feed(NamedTuple):
    """A source of discovery, as members that it finds are told by it.

    Attributes:
        weight: That each of them has.
        source: How they were found.
    """

    weight: int = 1
    source: Source = Source.DNS


class MembershipError(ValueError):
    """What was asked for cannot be done, and nothing has changed."""


class AlreadyThere(MembershipError):
    """Another member has the name or the address."""


class Unknown(MembershipError):
    """No member has the name."""


class TooMany(MembershipError):
    """There is no place left, over all pools."""


@dataclass(frozen=True, slots=True)
class Member:
    """A backend that exists; whether it may have traffic is another question.

    Attributes:
        name: Unique within its pool.
        address: Where it is dialled; unique within its pool.
        weight: Its share of new sessions beside the others', at least 1.
        source: Who named it.
        server_id: What its routable ticket names say; None: it has none.
        phase: What it is ready for, by the word of who found it.

    Raises:
        BadBackend: It has no name, or its weight is below 1.
    """

    name: BackendName
    address: Address
    weight: int = 1
    source: Source = Source.STATIC
    server_id: int | None = None
    phase: Phase = Phase.ELIGIBLE

    def __post_init__(self) -> None:
        if not self.name:
            raise BadBackend(f"backend at {self.address}: found no name, expected one")
        if self.weight < 1:
            raise BadBackend(f"backend {self.name!r}: weight {self.weight}, expected at least 1")


@dataclass(slots=True)
class Places:
    """How many members all pools together may have; every pool takes its places here.

    Attributes:
        limit: Members.
        taken: Of these, how many there are.
    """

    limit: int = MAX_BACKENDS
    taken: int = 0

    @property
    def free(self) -> int:
        """How many more there may be."""
        return self.limit - self.taken


@dataclass(frozen=True, slots=True)
class _Facts:
    """What everybody has said, as it was said."""

    static: tuple[Member, ...]
    found: Mapping[SourceName, tuple[Found, ...]]
    feeds: Mapping[SourceName, Feed]
    put: tuple[Member, ...] = ()
    deleted: frozenset[BackendName | Address] = field(default_factory=frozenset)

    def named(self) -> Iterator[Member]:
        """Yield those that somebody asked for: of these none may be left out."""
        return chain(self.put, filter(self._stands, self.static))

    def discovered(self) -> Iterator[Member]:
        """Yield those that were found."""
        return filter(self._stands, self._found())

    def without_idle_deletions(self) -> "_Facts":
        """Return the same without deletions of what nobody names any more."""
        entries = chain(self.static, self._found())
        named = chain.from_iterable((each.name, each.address) for each in entries)
        return replace(self, deleted=self.deleted.intersection(named))

    def _found(self) -> Iterator[Member]:
        for source, found in self.found.items():
            weight, how = self.feeds[source]
            for address, name, phase in found:
                called = name or BackendName(str(address))
                yield Member(called, address, weight, how, phase=phase)

    def _stands(self, entry: Member) -> bool:
        return self.deleted.isdisjoint((entry.name, entry.address))


class Membership:
    """The members of one pool.

    At a reload, make one for each pool of the new configuration with new `Places`; when all are
    made, let each `inherit` from its predecessor; then drop the old ones. If one of these steps
    raises, the old ones are as they were.

    Attributes:
        version: Grows with every change of `members`.
        left_out: Addresses found for which there was no place.
    """

    __slots__ = ("_facts", "_members", "_places", "left_out", "version")

    def __init__(
        self,
        static: Iterable[Member] = (),
        sources: Mapping[SourceName, Feed] = MappingProxyType({}),
        places: Places | None = None,
    ) -> None:
        """Begin with the configuration's part.

        Args:
            static: The configuration's backends.
            sources: What will be discovered for the pool, in the configuration's order.
            places: Shared by all pools; None: this is the only one.

        Raises:
            TooMany: The configuration has more backends than there are places.
        """
        self._places: Final = places if places is not None else Places()
        self._members: tuple[Member, ...] = ()
        self.version = 0
        self.left_out = 0
        self._facts = _Facts(
            tuple(replace(each, source=Source.STATIC) for each in static),
            dict.fromkeys(sources, ()),
            dict(sources),
        )
        self._become(self._facts)

    def members(self) -> tuple[Member, ...]:
        """Return who exists, in order; no name and no address is there twice."""
        return self._members

    def found_by(self, address: Address) -> SourceName | None:
        """Return the first source that has found an address; None: none has."""
        return next(
            (
                source
                for source, found in self._facts.found.items()
                if any(each.address == address for each in found)
            ),
            None,
        )

    def discovered(self, source: SourceName, found: Iterable[Found]) -> None:
        """Take what a source has found. One that does not know says nothing, and all stays.

        What does not fit into the places left is left out, the highest addresses first; they are
        looked at again whenever something is said of this pool.

        Args:
            source: One of the pool's sources.
            found: The whole set, at IP literals and ports; of two at one address the first counts.

        Raises:
            KeyError: The pool has no such source.
        """
        if source not in self._facts.found:
            raise KeyError(source)
        there: dict[Address, Found] = {}
        for each in found:
            there.setdefault(each.address, each)
        present = tuple(there[address] for address in sorted(there, key=_order))
        everything = {**self._facts.found, source: present}
        self._become(replace(self._facts, found=everything).without_idle_deletions())

    def put(self, member: Member) -> Member:
        """Add a member, or give one that is there another weight; return it as it is now.

        At the address of a backend of another source it takes that one's place. Putting the same
        again changes nothing.

        Raises:
            AlreadyThere: The name is another address's, or the address has a name from the API.
            TooMany: There is no place left.
        """
        member = replace(member, source=Source.API)
        for other in self._members:
            if other.name == member.name and other.address != member.address:
                raise AlreadyThere(f"{other.name!r} is at {other.address}: delete it first")
            put_twice = other.address == member.address and other.source is Source.API
            if put_twice and other.name != member.name:
                raise AlreadyThere(f"{other.address} is {other.name!r}: delete it first")
        replaces = any(other.address == member.address for other in self._members)
        if not replaces and self._places.free < 1:
            raise TooMany(f"{member.name!r}: all {self._places.limit} places are taken")
        others = (each for each in self._facts.put if each.name != member.name)
        put = tuple(sorted((*others, member), key=lambda each: each.name))
        self._become(replace(self._facts, put=put))
        return member

    def delete(self, name: BackendName) -> Member:
        """Remove a member, and whatever it hid; return it as it was.

        Raises:
            Unknown: There is none of this name.
        """
        member = next((each for each in self._members if each.name == name), None)
        if member is None:
            raise Unknown(f"found no backend {name!r} in the pool")
        put = tuple(each for each in self._facts.put if each.name != name)
        # No other member has this name or this address: what goes besides was hidden by this one.
        gone: set[BackendName | Address] = {member.name, member.address}
        deleted = self._facts.deleted | gone
        self._become(replace(self._facts, put=put, deleted=deleted).without_idle_deletions())
        return member

    def inherit(self, old: "Membership") -> None:
        """Go on from the pool's members before a reload: what was put, and what was found.

        Deletions end here, for the configuration has been read again. Of sources that it no longer
        names, nothing is kept.

        Raises:
            TooMany: There are not enough places for the configuration's and those put.
        """
        before = old._facts  # noqa: SLF001 - one class
        known = {name: before.found.get(name, now) for name, now in self._facts.found.items()}
        self._become(replace(self._facts, put=before.put, found=known))
        self.version = old.version + (self._members != old.members())

    def _become(self, facts: _Facts) -> None:
        """Make these facts the present ones, all or nothing."""
        room = self._places.free + len(self._members)
        named = sum(1 for _ in _distinct(facts.named()))
        if named > room:
            limit = self._places.limit
            raise TooMany(f"found {named} backends for {room} places left of {limit}")
        everybody = tuple(_distinct(chain(facts.named(), facts.discovered())))
        members = everybody[:room]
        self._facts = facts
        self.left_out = len(everybody) - len(members)
        self._places.taken += len(members) - len(self._members)
        if members != self._members:
            self._members = members
            self.version += 1


def _distinct(members: Iterable[Member]) -> Iterator[Member]:
    """Yield members but for those that share a name or an address with an earlier one."""
    seen: set[BackendName | Address] = set()
    for member in members:
        if member.name not in seen and member.address not in seen:
            seen |= {member.name, member.address}
            yield member


def _order(address: Address) -> tuple[int, int, int]:
    ip = ipaddress.ip_address(address.host)
    return ip.version, int(ip), address.port
