"""Drains: which backends get no new session, and until when those that they have may stay. Pure.

A drain belongs to a member, so it stays over reloads and goes with the member; at another address
a backend of the same name is another one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l4proxy.control.membership import Member, MemberKey, MembershipError, Unknown
from l4proxy.control.roll import Roll
from routing import Address, BackendName, PoolName


class Ambiguous(MembershipError):
    """Backends of several pools have the name."""


@dataclass(frozen=True, slots=True)
class _Drain:
    address: Address
    deadline: float | None
    by_scaling: bool


class Drains:
    """The backends that are drained."""

    __slots__ = ("_drains",)

    def __init__(self) -> None:
        """Begin with none."""
        self._drains: dict[MemberKey, _Drain] = {}

    def __contains__(self, key: MemberKey) -> bool:
        return key in self._drains

    def begin(
        self, pool: PoolName, member: Member, deadline: float | None, *, by_scaling: bool = False
    ) -> None:
        """Drain a member, or give its drain another deadline and another owner.

        Args:
            pool: Its pool.
            member: Who gets no new session from now on.
            deadline: When it lets go of those that it has, seconds, monotonic; None: never.
            by_scaling: Whether scaling asks for it, and may take it back; else an operator does.
        """
        self._drains[pool, member.name] = _Drain(member.address, deadline, by_scaling)

    def by_scaling(self, key: MemberKey) -> bool:
        """Return whether a member is drained, and no operator has asked for it."""
        drain = self._drains.get(key)
        return drain is not None and drain.by_scaling

    def by_operator(self, key: MemberKey) -> bool:
        """Return whether a member is drained because an operator has asked for it."""
        drain = self._drains.get(key)
        return drain is not None and not drain.by_scaling

    def end(self, pool: PoolName, name: BackendName) -> bool:
        """Let a member have new sessions again; return whether it was drained."""
        return self._drains.pop((pool, name), None) is not None

    def settle(self, members: Mapping[PoolName, Iterable[Member]]) -> None:
        """Forget the drains of members that are gone."""
        there = {(pool, each.name): each.address for pool in members for each in members[pool]}
        self._drains = {
            key: drain for key, drain in self._drains.items() if there.get(key) == drain.address
        }

    def deadlines(self) -> dict[MemberKey, float | None]:
        """Return who is drained, and when each lets go; None: never."""
        return {key: drain.deadline for key, drain in self._drains.items()}


def find_member(roll: Roll, called: str) -> tuple[PoolName, Member]:
    """Return the member that an operator means by `NAME` or `POOL/NAME`.

    Raises:
        Unknown: No pool has it.
        Ambiguous: Several have it.
    """
    found = [
        (pool, each)
        for pool in roll
        for each in roll.members(pool)
        if called in {each.name, f"{pool}/{each.name}"}
    ]
    if not found:
        raise Unknown(f"found no backend {called!r}, expected NAME or POOL/NAME")
    if len(found) > 1:
        pools = ", ".join(pool for pool, _ in found)
        raise Ambiguous(f"found {called!r} in the pools {pools}: expected POOL/NAME")
    return found[0]
