"""The line-up: who of the members takes no new sessions because somebody says so. Pure.

    drained   by an operator, or by scaling
    sealed    by scaling, of those that it drains: found empty, so that not even clients that come
              back are sent there; the next thing that happens to it is its removal
    resting   by scaling: on standby until scaling, the pool's mark or an operator wakes it

What an operator says stands against what scaling would do: an operator's drain is never taken back
by scaling, and a backend that an operator has undrained or activated is spared for a while.
Like a drain, each of these belongs to a member: it stays over reloads and goes with the member.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Final, NamedTuple

from l4proxy.control.drains import Drains
from l4proxy.control.membership import Member, MemberKey, MembershipError
from l4proxy.scaling import Decision
from routing import Address, BackendName, Mark, PoolName

SPARED_SECONDS: Final = 600.0
"""How long scaling leaves alone whom an operator has brought back: time to see what comes of it."""


class Drained(MembershipError):
    """A backend that is to be activated is drained."""


class Taken(NamedTuple):
    """What of a decision was carried out: those whom an operator's word protects are left out.

    Attributes:
        drain: Those that began to drain.
        cancel: Those whose drain was taken back.
        rest: Those that rest from now on.
        wake: Those that do not rest any more.
        mark: Whether the pool's mark is another one.

    """

    drain: tuple[BackendName, ...] = ()
    cancel: tuple[BackendName, ...] = ()
    rest: tuple[BackendName, ...] = ()
    wake: tuple[BackendName, ...] = ()
    mark: bool = False


class Lineup:
    """Who of all pools is drained, rests, or is spared.

    Attributes:
        drains: Who is drained, by whom, and until when.
        marks: When workers of each scaled pool wake whom.
    """

    __slots__ = ("_resting", "_sealed", "_spared", "drains", "marks")

    def __init__(self) -> None:
        """Begin with everybody at work."""
        self.drains = Drains()
        self.marks: dict[PoolName, Mark] = {}
        self._resting: dict[MemberKey, Address] = {}
        self._sealed: dict[PoolName, frozenset[BackendName]] = {}
        self._spared: dict[MemberKey, float] = {}

    @property
    def resting(self) -> frozenset[MemberKey]:
        """Who rests."""
        return frozenset(self._resting)

    @property
    def sealed(self) -> frozenset[MemberKey]:
        """Who has nothing and gets nothing; nobody whom an operator has drained or brought back."""
        keys = ((pool, name) for pool, names in self._sealed.items() for name in names)
        return frozenset(key for key in keys if self.drains.by_scaling(key))

    # --- what an operator says -----------------------------------------------------------------

    def drain(self, pool: PoolName, member: Member, deadline: float | None) -> None:
        """Drain a member, whatever scaling thinks of it."""
        key = pool, member.name
        self.drains.begin(pool, member, deadline)
        self._resting.pop(key, None)
        self._spared.pop(key, None)
        self._strike(key)

    def undrain(self, pool: PoolName, name: BackendName, now: float) -> bool:
        """Let a member have new sessions again; return whether it was drained."""
        if not self.drains.end(pool, name):
            return False
        self._spared[pool, name] = now + SPARED_SECONDS
        return True

    def activate(self, pool: PoolName, name: BackendName, now: float) -> bool:
        """Wake a member; return whether it rested.

        Raises:
            Drained: It is drained, which is another thing.
        """
        key = pool, name
        if key in self.drains:
            raise Drained(f"found {name!r} drained, expected one that rests: undrain it")
        self._spared[key] = now + SPARED_SECONDS
        return self._resting.pop(key, None) is not None

    # --- what scaling says ---------------------------------------------------------------------

    def take(
        self,
        pool: PoolName,
        members: Mapping[BackendName, Member],
        decision: Decision,
        deadline: float | None,
        now: float,
    ) -> Taken:
        """Carry out what a decision says of the members of a pool.

        Args:
            pool: The pool.
            members: Its members.
            decision: Made for them.
            deadline: When those that begin to drain let go of their sessions, seconds, monotonic;
                None: never.
            now: Seconds, monotonic.
        """
        self._spared = {key: end for key, end in self._spared.items() if now < end}
        wake = [name for name in decision.wake if self._resting.pop((pool, name), None)]
        drain = [name for name in decision.drain if self._movable(pool, name)]
        for name in drain:
            self._resting.pop((pool, name), None)
            self.drains.begin(pool, members[name], deadline, by_scaling=True)
        cancel = [name for name in decision.cancel if self.drains.by_scaling((pool, name))]
        for name in cancel:
            self.drains.end(pool, name)
        rest = [name for name in decision.rest if self._movable(pool, name)]
        self._resting |= {(pool, name): members[name].address for name in rest}
        below, order = decision.mark
        mine = tuple(name for name in order if not self.drains.by_operator((pool, name)))
        before, self.marks[pool] = self.marks.get(pool), Mark(below, mine)
        changed = self.marks[pool] != before
        return Taken(tuple(drain), tuple(cancel), tuple(rest), tuple(wake), changed)

    def seal(self, pool: PoolName, names: Iterable[BackendName]) -> bool:
        """Let those who drain and were found empty get nothing; return whether that is new."""
        before = self.sealed
        self._sealed[pool] = frozenset(names)
        return self.sealed != before

    def settle(
        self, members: Mapping[PoolName, Iterable[Member]], scaled: Container[PoolName]
    ) -> None:
        """Forget members that are gone, and all that scaling said of pools that it left."""
        for pool in members:
            for each in members[pool] if pool not in scaled else ():
                if self.drains.by_scaling((pool, each.name)):
                    self.drains.end(pool, each.name)
        self.drains.settle(members)
        there = {(pool, each.name): each.address for pool in members for each in members[pool]}
        self._resting = {
            key: address
            for key, address in self._resting.items()
            if key[0] in scaled and there.get(key) == address
        }
        self._spared = {key: end for key, end in self._spared.items() if key in there}
        self.marks = {pool: mark for pool, mark in self.marks.items() if pool in scaled}
        self._sealed = {pool: names for pool, names in self._sealed.items() if pool in scaled}

    def _movable(self, pool: PoolName, name: BackendName) -> bool:
        """Return whether scaling may send a member away: it is there, and no operator keeps it."""
        key = pool, name
        return key not in self._spared and key not in self.drains

    def _strike(self, key: MemberKey) -> None:
        """Leave a member out of its pool's mark, so that no worker wakes it."""
        pool, name = key
        if pool in self.marks:
            below, order = self.marks[pool]
            self.marks[pool] = Mark(below, tuple(each for each in order if each != name))
