"""Questions to one API server, each with a deadline, each answer with a bound."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp

from l4proxy.kubernetes.access import Access
from l4proxy.kubernetes.errors import ApiError, ApiFault, refusal
from l4proxy.kubernetes.objects import Object, field, items, parse, text, version
from l4proxy.kubernetes.resources import Query
from l4proxy.kubernetes.watch import Event, Lines, parse_event

REQUEST_SECONDS: Final = 5.0
"""One question with its answer: an API server in trouble takes longer, and is asked again."""

WATCH_SECONDS: Final = 120.0
"""How long a watch is to last: how soon one that died in silence is found out."""

STALL_SECONDS: Final = 15.0
"""How long after its time a watch may end: then the server is not there any more."""

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Of one answer: a page of 100 slices of 100 endpoints has some 4 MB."""

PAGE_ITEMS: Final = 100
"""Objects that are asked for at once."""

MAX_ITEMS: Final = 5_000
"""Objects of one list, over all pages: some 50 backends for each that there may be."""

FIELD_MANAGER: Final = "l4proxy"
"""Who an object's history says has changed it."""

_MERGE: Final = "application/merge-patch+json"


class Listing(NamedTuple):
    """The objects of a list, and the version from which a watch of them goes on."""

    objects: tuple[Object, ...]
    version: str


class _Ask(NamedTuple):
    """One request, without the words of HTTP that are always the same."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    body: object = None
    kind: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ApiClient:
    """A connection or two to an API server, as `async with`; leaving it closes them."""

    def __init__(self, access: Access, deadline: float = REQUEST_SECONDS) -> None:
        """Open nothing yet.

        Args:
            access: Where, and how one is let in.
            deadline: Seconds for one question with its answer; a watch has its own.
        """
        self.access: Final = access
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.access.tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What is packed could be of any size: it is not asked for, and not unpacked.
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str) -> Object:
        """Return the object at a path.

        Raises:
            ApiError: It is not there, or not to be had.
        """
        return await self._exchange(_Ask("GET", path))

    async def create(self, path: str, body: object) -> Object:
        """Create an object among those at a path; return it as it is.

        Raises:
            ApiError: With CONFLICT if there is one of that name.
        """
        query = {"fieldManager": FIELD_MANAGER}
        return await self._exchange(_Ask("POST", path, query, body))

    async def patch(self, path: str, changes: object) -> Object:
        """Change an object by a merge patch (RFC 7386); return it as it is.

        With `metadata.resourceVersion` among the changes it is changed as that version alone.

        Raises:
            ApiError: With CONFLICT if it is another version by now.
        """
        query = {"fieldManager": FIELD_MANAGER}
        return await self._exchange(_Ask("PATCH", path, query, changes, _MERGE))

    async def list(self, query: Query) -> Listing:
        """Return all objects of a query, asked for page by page.

        Raises:
            ApiError: With TOO_LARGE if there are more than `MAX_ITEMS`, with GONE if the list
                changed too much between two pages.
        """
        found: list[Object] = []
        more: str | None = ""
        page: Object = {}
        pages = 0
        while more is not None:
            asked = {"limit": str(PAGE_ITEMS), "labelSelector": query.labels, "continue": more}
            ask = _Ask("GET", query.path, {key: value for key, value in asked.items() if value})
            page = await self._exchange(ask)
            found.extend(_listed(ask, page))
            pages += 1
            # A page may be empty, but not all of them.
            if max(len(found), pages) > MAX_ITEMS:
                expected = f"at most {MAX_ITEMS} objects"
                raise ApiError(ApiFault.TOO_LARGE, f"{ask}: found more, expected {expected}")
            more = text(page, "metadata", "continue") or None
        newest = version(page)
        if newest is None:
            raise ApiError(ApiFault.MALFORMED, f"GET {query.path}: found no version of the list")
        return Listing(tuple(found), newest)

    async def watch(
        self, query: Query, since: str, take: Callable[[tuple[Event, ...]], None]
    ) -> None:
        """Hear of changes until the server ends the watch, which it does by and by.

        Args:
            query: What to watch.
            since: The version from which on.
            take: Hears of events, as many as came together; bookmarks too.

        Raises:
            ApiError: With GONE if that version is forgotten; then list again.
        """
        # Balancers that were started together would begin again together for ever.
        lasting = round(WATCH_SECONDS * random.uniform(0.75, 1.0))  # noqa: S311 - no secret
        asked = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(lasting),
            "labelSelector": query.labels,
        }
        ask = _Ask("GET", query.path, {key: value for key, value in asked.items() if value})
        what = f"watch {query.path}"
        lines = Lines()
        async with self._answer(ask, lasting + STALL_SECONDS) as response:
            await _check(ask, response)
            while data := await response.content.readany():
                events = tuple(parse_event(line, what) for line in lines.receive(data))
                if events:
                    take(events)

    async def _exchange(self, ask: _Ask) -> Object:
        async with self._answer(ask, self._deadline) as response:
            await _check(ask, response)
            found = parse(await _body(ask, response))
        if found is None:
            raise ApiError(ApiFault.MALFORMED, f"{ask}: found no JSON object in the answer")
        return found

    @asynccontextmanager
    async def _answer(self, ask: _Ask, seconds: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; whatever fails in here is an `ApiError`."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": FIELD_MANAGER,
        }
        if self.access.token is not None:
            headers["Authorization"] = f"Bearer {self.access.token()}"
        data = None
        if ask.body is not None:
            data, headers["Content-Type"] = json.dumps(ask.body).encode(), ask.kind
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    ask.method,
                    f"{self.access.server}{ask.path}",
                    params=ask.query,
                    data=data,
                    headers=headers,
                    # The token is for this server: it does not follow it anywhere else.
                    allow_redirects=False,
                    server_hostname=self.access.server_name,
                ) as response,
            ):
                yield response
        except TimeoutError as error:
            raise ApiError(ApiFault.TIMEOUT, f"{ask}: found no answer in {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            found = f"{type(error).__name__}: {error}"
            raise ApiError(ApiFault.UNREACHABLE, f"{ask}: {found}") from error


def _listed(ask: _Ask, page: Object) -> list[Object]:
    """Return the objects of a page, all of them: what were left out would seem to be gone."""
    found, more = field(page, "items"), field(page, "metadata", "continue")
    objects: list[Object] = [each for each in items(page, "items") if isinstance(each, dict)]
    whole = isinstance(found, list) and len(found) == len(objects)
    if not whole or not (more is None or isinstance(more, str)):
        raise ApiError(ApiFault.MALFORMED, f"{ask}: found no list of objects in the answer")
    return objects


async def _check(ask: _Ask, response: aiohttp.ClientResponse) -> None:
    """Raise what an answer says that is none."""
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    said = parse(await _body(ask, response))
    raise refusal(str(ask), response.status, said, response.headers.get("Retry-After"))


async def _body(ask: _Ask, response: aiohttp.ClientResponse) -> bytearray:
    body = bytearray()
    while data := await response.content.readany():
        body += data
        if len(body) > MAX_ANSWER_BYTES:
            expected = f"at most {MAX_ANSWER_BYTES} bytes"
            raise ApiError(ApiFault.TOO_LARGE, f"{ask}: found a longer answer, expected {expected}")
    return body
