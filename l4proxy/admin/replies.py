"""How every answer of the admin API looks."""

import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Server": "l4proxy",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers one request."""


def reply(document: Mapping[str, object], status: int = 200) -> web.Response:
    """Return a document as an answer."""
    text = json.dumps(document, indent=1) + "\n"
    return web.Response(text=text, status=status, content_type="application/json", headers=HEADERS)


def failure(status: int, found: str) -> web.Response:
    """Return the answer to what cannot be done: what was found, what was expected."""
    return reply({"error": found}, status)
