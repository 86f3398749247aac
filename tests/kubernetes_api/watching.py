"""Watches: replay from a version, then what happens, with bookmarks, cut into any pieces."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.store import Change, Key, Kind, Refusal, Selection, Store


class Break(NamedTuple):
    """The end of a watch that was not its own: what the client still gets of a line."""

    rest: bytes = b""


Item = Change | Json | Break | None


@dataclass
class Watcher:
    """One client that watches.

    Attributes:
        kind: Of what it watches.
        selection: What it watches.
        bookmarks: Whether it takes bookmarks.
        queue: What it is to hear; None ends the watch.
    """

    kind: Kind
    selection: Selection
    bookmarks: bool
    queue: asyncio.Queue[Item] = field(default_factory=asyncio.Queue)


@dataclass
class Watches:
    """All watches that run.

    Attributes:
        store: Where the changes come from.
        piece: Bytes of a chunk; 0: a line is one.
        open: Those that run.
        begun: How many there were.
    """

    store: Store
    piece: int = 0
    open: list[Watcher] = field(default_factory=list)
    begun: int = 0

    def __post_init__(self) -> None:
        self.store.told.append(self._change)

    def bookmark(self) -> None:
        """Tell all how far the store is."""
        for watcher in self.open:
            if watcher.bookmarks:
                watcher.queue.put_nowait(self._bookmark(watcher))

    def say(self, item: Item) -> None:
        """Give every watch an event, an end (None) or a break."""
        for watcher in self.open:
            watcher.queue.put_nowait(item)

    async def serve(
        self, request: web.Request, kind: Kind, selection: Selection
    ) -> web.StreamResponse:
        """Answer a watch until its time is over."""
        query = request.query
        watcher = Watcher(kind, selection, truth(query.get("allowWatchBookmarks")))
        for item in self._past(watcher, query.get("resourceVersion", "")):
            watcher.queue.put_nowait(item)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        self.open.append(watcher)
        self.begun += 1
        try:
            await response.prepare(request)
            async with asyncio.timeout(float(query.get("timeoutSeconds") or 1800)):
                await self._send(request, response, watcher)
        except TimeoutError:
            pass
        finally:
            self.open.remove(watcher)
        return response

    def _past(self, watcher: Watcher, since: str) -> list[Item]:
        """What a new watch hears first."""
        if since in {"", "0"}:
            page = self.store.page(watcher.selection)
            return [_added(watcher, one) for one in page.objects]
        return list(self.store.since(int(since)))

    def _change(self, change: Change) -> None:
        self.say(change)

    def _bookmark(self, watcher: Watcher) -> Json:
        about: Json = {
            "kind": watcher.kind.kind,
            "apiVersion": watcher.kind.api_version,
            "metadata": {"resourceVersion": str(self.store.version), "creationTimestamp": None},
        }
        return {"type": "BOOKMARK", "object": about}

    async def _send(
        self, request: web.Request, response: web.StreamResponse, watcher: Watcher
    ) -> None:
        while (item := await watcher.queue.get()) is not None:
            if isinstance(item, Break):
                await response.write(item.rest or b"\n")
                assert request.transport is not None
                request.transport.abort()
                return
            event = watcher.selection.event(item) if isinstance(item, Change) else item
            if event is not None:
                line = json.dumps(_typed(event, watcher.kind)).encode() + b"\n"
                for piece in _pieces(line, self.piece):
                    await response.write(piece)


def truth(said: str | None) -> bool:
    """What a truth value of a query says, as Go reads it."""
    return said in {"1", "t", "T", "true", "TRUE", "True"}


def gone(message: str = "too old resource version") -> Json:
    """The event that ends a watch whose version is forgotten."""
    return {"type": "ERROR", "object": Refusal(410, "Expired", message).status()}


def _added(watcher: Watcher, found: Json) -> Change:
    meta = section(found, "metadata")
    key = Key(watcher.selection.plural, str(meta["namespace"]), str(meta["name"]))
    return Change(int(str(meta["resourceVersion"])), key, None, found)


def _typed(event: Json, kind: Kind) -> Json:
    found = event["object"]
    if event["type"] == "ERROR" or not isinstance(found, dict):
        return event
    return {**event, "object": {"apiVersion": kind.api_version, "kind": kind.kind, **found}}


def _pieces(line: bytes, size: int) -> list[bytes]:
    if not size:
        return [line]
    return [line[at : at + size] for at in range(0, len(line), size)]
