"""The pages of the admin API: which there are, and what each answers to whom. All are reads."""

import re
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from l4proxy.admin.backends import backends_document
from l4proxy.admin.replies import HEADERS, Handler, failure, reply
from l4proxy.admin.scaling import scaling_document
from l4proxy.admin.view import pools_document, state_of, status_document
from l4proxy.telemetry.balancer import Balancer
from l4proxy.telemetry.metrics import exposition

# A page from elsewhere whose name was made to resolve to this machine (DNS rebinding) would have
# the browser send that name.
_OUR_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)

RELOAD = "/api/v1/reload"
"""Where the configuration is read again."""

# A pool and one backend of it; a backend, its pool in front if need be, and what is done to it.
_BACKEND = re.compile(r"/api/v1/pools/([^/]+)/backends/([^/]+)")
_POSTED = re.compile(
    r"/api/v1/backends/((?:[^/]+/)?[^/]+)/(drain|undrain|activate)|/api/v1/revocations|" + RELOAD
)
_WRITES = {"PUT": _BACKEND, "DELETE": _BACKEND, "POST": _POSTED}

_Page = Callable[[Balancer, web.BaseRequest], web.Response]


def reader(balancer: Balancer) -> Handler:
    """Return what answers where anybody on this machine may ask: reads, and no change."""

    async def answer_soon(request: web.BaseRequest) -> web.StreamResponse:
        if written(request):
            return failure(403, "found a write over TCP: writes only over the unix socket")
        return answer(balancer, request)

    return answer_soon


def written(request: web.BaseRequest) -> re.Match[str] | None:
    """Return what a request would change; None: it is a read.

    For PUT and DELETE these are a pool and a backend, for POST a backend and `drain`, `undrain` or
    `activate`; None and None where something is revoked, or everything is read again.
    """
    pattern = _WRITES.get(request.method)
    return None if pattern is None else pattern.fullmatch(request.path)


def answer(balancer: Balancer, request: web.BaseRequest) -> web.Response:
    """Answer one read, asked for under a name of this machine; errors are JSON too."""
    if not _OUR_HOST.fullmatch(request.headers.get("Host", "")):
        return failure(403, "found another Host, expected localhost, 127.0.0.1 or [::1]")
    if request.method not in {"GET", "HEAD"}:
        refusal = failure(405, "found another method, expected GET: this page changes nothing")
        refusal.headers["Allow"] = "GET, HEAD"
        return refusal
    page = PAGES.get(request.path)
    if page is None:
        return failure(404, f"no such page, expected one of {', '.join(PAGES)}")
    return page(balancer, request)


def _healthz(_balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    return reply({"alive": True})


def _readyz(balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    state = state_of(balancer)
    if state == "ready":
        return reply({"ready": True, "reason": None})
    return reply({"ready": False, "reason": state}, 503)


def _metrics(balancer: Balancer, request: web.BaseRequest) -> web.Response:
    page, content_type = exposition(balancer, request.headers.get("Accept", ""))
    return web.Response(body=page, headers={**HEADERS, "Content-Type": content_type})


def _status(balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    return reply(status_document(balancer))


def _pools(balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    return reply(pools_document(balancer, time.monotonic()))


def _backends(balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    return reply(backends_document(balancer, time.monotonic()))


def _scaling(balancer: Balancer, _request: web.BaseRequest) -> web.Response:
    return reply(scaling_document(balancer))


PAGES: Mapping[str, _Page] = {
    "/healthz": _healthz,
    "/readyz": _readyz,
    "/metrics": _metrics,
    "/api/v1/status": _status,
    "/api/v1/pools": _pools,
    "/api/v1/backends": _backends,
    "/api/v1/scaling": _scaling,
}
