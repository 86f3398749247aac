"""A list that is kept up to date: listed once, then watched; listed again when that is lost.

An API server that is away changes nothing: what was known last stays known, and the watch goes on
from the last version when it is back. Only a version that the server has forgotten (410), or a
listing of ours that was never whole, is a reason to list again; what is missing then is gone.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from l4proxy.kubernetes.access import Access
from l4proxy.kubernetes.backoff import Backoff
from l4proxy.kubernetes.client import MAX_ITEMS, ApiClient
from l4proxy.kubernetes.errors import ApiError, ApiFault
from l4proxy.kubernetes.objects import Object, text, version
from l4proxy.kubernetes.resources import Query
from l4proxy.kubernetes.watch import Event, EventKind

log = logging.getLogger(__name__)

LEAST_WATCH_SECONDS: Final = 1.0
"""Watches begin no more often than this: a server may end each at once."""

ObjectName = str
"""Of an object within its namespace."""

Changed = Callable[[Mapping[ObjectName, Object]], None]
"""Hears of all objects, by name, whenever some have changed."""

Open = Callable[[], Access]
"""Loads credentials as they are now; raises `ApiError`."""


class Reflector:
    """Keeps one query up to date.

    Attributes:
        fault: What keeps it from that at this moment; None: nothing.
        faults: How often which one did.
        lists: How often the whole list was asked for.
        confirmed: When the server was last heard of, seconds, monotonic; None: never.
    """

    def __init__(self, access: Open, query: Callable[[Access], Query]) -> None:
        """Prepare it; `run` asks.

        Args:
            access: Asked for again after each failure: certificates and tokens change.
            query: What to keep, by the credentials: they may name the namespace.
        """
        self.fault: ApiFault | None = None
        self.faults: Counter[ApiFault] = Counter()
        self.lists = 0
        self.confirmed: float | None = None
        self._open = access
        self._query = query
        self._objects: dict[ObjectName, Object] = {}
        self._version: str | None = None
        self._backoff = Backoff()

    async def run(self, changed: Changed) -> None:
        """Follow the query for ever; `changed` hears of the first whole list and each change."""
        while True:
            try:
                access = self._open()
                query = self._query(access)
                async with ApiClient(access) as client:
                    await self._follow(client, query, changed)
            except ApiError as error:
                self._failed(error)
                await asyncio.sleep(self._backoff.pause(error))

    async def _follow(self, client: ApiClient, query: Query, changed: Changed) -> None:
        """List where need be, then watch again and again, until something fails."""

        def take(events: tuple[Event, ...]) -> None:
            if self._take(events):
                changed(self._objects)

        while True:
            if self._version is None:
                await self._list(client, query)
                changed(self._objects)
            begun = time.monotonic()
            await client.watch(query, self._version or "", take)
            self._heard()
            self._backoff.succeeded()
            await asyncio.sleep(max(0.0, LEAST_WATCH_SECONDS - (time.monotonic() - begun)))

    async def _list(self, client: ApiClient, query: Query) -> None:
        self.lists += 1
        listing = await client.list(query)
        self._objects = {_name(each): each for each in listing.objects}
        self._version = listing.version
        self._heard()

    def _take(self, events: tuple[Event, ...]) -> bool:
        """Take events in; return whether they changed an object."""
        for kind, found in events:
            newest = version(found)
            if newest is None:
                raise ApiError(ApiFault.MALFORMED, "watch: found an object without its version")
            if _older(newest, self._version):
                raise ApiError(ApiFault.GONE, "watch: the versions of the server went back")
            if kind is EventKind.DELETED:
                self._objects.pop(_name(found), None)
            elif kind is not EventKind.BOOKMARK:
                self._objects[_name(found)] = found
            self._version = newest
        if len(self._objects) > MAX_ITEMS:
            self._version = None
            raise ApiError(ApiFault.TOO_LARGE, f"watch: found over {MAX_ITEMS} objects")
        self._heard()
        self._backoff.succeeded()
        return any(event.kind is not EventKind.BOOKMARK for event in events)

    def _heard(self) -> None:
        self.confirmed = time.monotonic()
        if self.fault not in {None, ApiFault.GONE}:
            log.info("kubernetes: answers again")
        self.fault = None

    def _failed(self, error: ApiError) -> None:
        self.faults[error.fault] += 1
        if error.fault in _LOST:
            self._version = None
        if error.fault is not self.fault and error.fault is not ApiFault.GONE:
            log.warning("kubernetes: %s", error)
        self.fault = error.fault


def _name(found: Object) -> ObjectName:
    name = text(found, "metadata", "name")
    if not name:
        raise ApiError(ApiFault.MALFORMED, "found an object without a name")
    return name


def _older(newest: str, known: str | None) -> bool:
    """Whether a version is before another, as after a backup was played back.

    Those of the real server are whole numbers; of others nothing is known.
    """
    if known is None or not (newest.isdecimal() and known.isdecimal()):
        return False
    return int(newest) < int(known)


# After these it is not known any more what the version stands for. What is refused as no version
# (another server by now, or one played back) would be refused for ever.
_LOST: Final = frozenset({ApiFault.GONE, ApiFault.MALFORMED, ApiFault.TOO_LARGE, ApiFault.REFUSED})
