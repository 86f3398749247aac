"""What the API changes while the balancer runs; each call returns when the workers obey.

Or after a while, and says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from l4proxy.admin.writes import Change, Reloaded, Revoking
from l4proxy.control.membership import Member
from l4proxy.control.plan import Cells
from l4proxy.control.publisher import Publisher
from l4proxy.control.roster import Roster
from l4proxy.revocation import Revocation
from routing import BackendName, PoolName

_Done = TypeVar("_Done", Change, Reloaded, Revoking)


class Changes:
    """Makes the changes that the API asks for."""

    def __init__(
        self,
        roster: Roster,
        cells: Cells,
        publisher: Publisher,
        reload: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """Change nothing yet.

        Args:
            roster: Who exists.
            cells: Where their connections are counted.
            publisher: Knows what workers obey.
            reload: Reads the configuration again and returns the keys that have changed, or
                raises `NotReloaded`.
        """
        self._reload = reload
        self._roster = roster
        self._cells = cells
        self._publisher = publisher

    async def put_backend(self, pool: PoolName, member: Member) -> Change:
        """Add a backend, or give one that is there another weight; wait until workers obey.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
            TooManyBackends: The same, as connections of removed ones hold the cells.
        """
        self._cells.check(self._roster.roll, (pool, member.name))
        created = self._roster.put(pool, member)
        return await self._settled(Change(pool, member, created=created))

    async def delete_backend(self, pool: PoolName, name: BackendName) -> Change:
        """Remove a backend; wait until no worker chooses it. Its connections go on.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        return await self._settled(Change(pool, self._roster.delete(pool, name)))

    async def drain_backend(self, called: str, seconds: float | None = None) -> Change:
        """Let a backend have no new session; wait until no worker gives it one.

        Args:
            called: `NAME` or `POOL/NAME`.
            seconds: That its sessions may stay, infinite for ever; None: as configured, and
                a drain that an operator has begun stays as it is.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        pool, member, deadline = self._roster.drain(called, seconds)
        return await self._settled(Change(pool, member, draining=True, deadline=deadline))

    async def undrain_backend(self, called: str) -> Change:
        """Let a backend have new sessions again; wait until workers do so.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        return await self._settled(Change(*self._roster.undrain(called)))

    async def activate_backend(self, called: str) -> Change:
        """Let a backend on standby have new sessions; wait until workers do so.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        return await self._settled(Change(*self._roster.activate(called)))

    async def reload(self) -> Reloaded:
        """Read the configuration again; wait until workers obey it.

        Raises:
            NotReloaded: It cannot be put in force, and nothing has changed.
        """
        return await self._settled(Reloaded(self._reload()))

    async def revoke(self, found: Sequence[Revocation]) -> Revoking:
        """Refute backends that have any of these, from now on; wait until workers obey.

        Raises:
            TooManyRevocations: There is no room for them, and nothing has changed.
        """
        return await self._settled(Revoking(self._roster.attestor.revoke(found)))

    async def _settled(self, change: _Done) -> _Done:
        """Return a change, with whether all workers decide by it, at the latest after a while."""
        version = self._publisher.promised()
        in_force = await self._publisher.settled(version)
        return replace(change, version=version, in_force=in_force)
