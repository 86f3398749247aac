"""The API server: HTTPS on the loopback, who is asking, what they may do, and what comes of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from tests.kubernetes_api.certificates import server_context
from tests.kubernetes_api.discovery import documents
from tests.kubernetes_api.objects import BadPatch, Json, mapping, patched, section
from tests.kubernetes_api.rbac import Attempt, Grant, check
from tests.kubernetes_api.store import KINDS, Key, Kind, Refusal, Selection, Store
from tests.kubernetes_api.watching import Watches, truth

ADMIN = "admin"
"""May do everything."""


class Target(NamedTuple):
    """What a path leads to."""

    kind: Kind
    namespace: str
    name: str
    part: str


class Asked(NamedTuple):
    """A request that came in: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`."""

    user: str
    verb: str
    path: str


@dataclass
class Fault:
    """What happens to requests instead of an answer.

    Attributes:
        code: Of the answer; 0: the connection is reset; -1: none ever comes.
        path: Only on paths with this in them.
        times: How often.
        headers: Of the answer.
        body: Of the answer.
    """

    code: int
    path: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass
class ApiServer:
    """One server, at work within `running()`.

    Attributes:
        store: The objects.
        watches: Those who watch.
        tokens: Whose each is.
        grants: What users may do; the administrator may do everything.
        asked: Every request, in order.
        faults: What is to go wrong.
        before: Called before each change, with what it is: a test's hand in a race.
    """

    store: Store = field(default_factory=Store)
    tokens: dict[str, str] = field(default_factory=lambda: {"admin-token": ADMIN})
    grants: list[Grant] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    before: Callable[[Asked], None] = field(default=lambda _: None)
    port: int = 0

    def __post_init__(self) -> None:
        self.watches = Watches(self.store)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ApiServer"]:
        """Serve."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=server_context())
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.watches.say(None)
            await runner.cleanup()

    def add(self, plural: str, name: str, found: Json, namespace: str = "default") -> Json:
        """Put an object there."""
        return self.store.create(Key(plural, namespace, name), found)

    def change(self, plural: str, name: str, found: Json, namespace: str = "default") -> Json:
        """Replace an object, whatever its version."""
        return self.store.replace(Key(plural, namespace, name), found)

    # -------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = next((each for each in self.faults if each.path in request.path_qs), None)
        if fault is not None:
            return await self._fail(request, fault)
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return _json(refusal.status(), refusal.code)

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        fault.times -= 1
        if not fault.times:
            self.faults.remove(fault)
        if fault.code < 0:
            await asyncio.sleep(3600)
        if not fault.code:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=fault.body, status=fault.code or 500, headers=fault.headers)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if (found := documents(request.path)) is not None:
            return _json(found)
        target = _target(request.path)
        verb = _verb(request, target)
        resource = "/".join(filter(None, (target.kind.plural, target.part)))
        name = "" if verb == "create" else target.name
        if user != ADMIN:
            group = target.kind.group
            check(Attempt(user, verb, group, resource, target.namespace, name), self.grants)
        asked = Asked(user, verb, request.path)
        self.asked.append(asked)
        self.before(asked)
        labels = request.query.get("labelSelector", "")
        selection = Selection(target.kind.plural, target.namespace, labels)
        if verb == "watch":
            return await self.watches.serve(request, target.kind, selection)
        if verb == "list":
            return _json(self._list(request, target.kind, selection))
        body = await request.read()
        return _json(self._change(request, target, body), 201 if verb == "create" else 200)

    def _user(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and token in self.tokens:
            return self.tokens[token]
        peer = mapping(request.get_extra_info("peercert"))
        subject = peer.get("subject")
        if isinstance(subject, tuple) and not token:
            return str(subject[-1][0][1])
        raise Refusal(401, "Unauthorized", "Unauthorized")

    def _list(self, request: web.Request, kind: Kind, selection: Selection) -> Json:
        limit = int(request.query.get("limit", 0))
        page = self.store.page(selection, limit, request.query.get("continue", ""))
        meta: Json = {"resourceVersion": str(page.version)}
        if page.more:
            meta |= {"continue": page.more, "remainingItemCount": page.remaining}
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": meta,
            # As the real one: items of a list do not say what they are.
            "items": [
                {key: value for key, value in each.items() if key not in {"kind", "apiVersion"}}
                for each in page.objects
            ],
        }

    def _change(self, request: web.Request, target: Target, body: bytes) -> Json:
        key = Key(target.kind.plural, target.namespace, target.name)
        if request.method == "POST":
            found = _parsed(body)
            name = str(section(found, "metadata").get("name") or "")
            made = self.store.create(key._replace(name=name), found)
            return _typed(made, target.kind)
        if request.method == "DELETE":
            return _typed(self.store.delete(key), target.kind)
        found = self.store.get(key)
        shown = _scale(found) if target.part == "scale" else found
        if request.method == "GET":
            return _typed(shown, target.kind)
        if request.method == "PATCH":
            kind = request.content_type
            try:
                wanted = patched(shown, json.loads(body), kind)
            except BadPatch as error:
                code = 422 if "test failed" in str(error) else 415
                raise Refusal(code, "Invalid", str(error)) from error
        else:
            wanted = _parsed(body)
        if target.part == "scale":
            return _scale(self.store.replace(key, _scaled(found, wanted)))
        return _typed(self.store.replace(key, wanted, target.part), target.kind)


def _target(path: str) -> Target:
    """Read `/api/v1/…` or `/apis/GROUP/VERSION/…`."""
    steps = path.strip("/").split("/")
    group, rest = ("", steps[1:]) if steps[0] == "api" else (steps[1], steps[2:])
    version, rest = rest[0], rest[1:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, part, *_ = [*rest, "", "", ""]
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, plural) and (
            not part or part in kind.subresources
        ):
            return Target(kind, namespace, name, part)
    raise Refusal(404, "NotFound", "the server could not find the requested resource")


def _verb(request: web.Request, target: Target) -> str:
    if request.method == "GET" and not target.name:
        return "watch" if truth(request.query.get("watch")) else "list"
    return {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}.get(
        request.method, "delete"
    )


def _scale(found: Json) -> Json:
    """The scale of an object (autoscaling/v1)."""
    meta, spec, status = (section(found, key) for key in ("metadata", "spec", "status"))
    labels = section(section(spec, "selector"), "matchLabels")
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def _scaled(found: Json, wanted: Json) -> Json:
    """An object with the number of replicas that a scale says."""
    meta, spec = section(found, "metadata"), section(found, "spec")
    version = section(wanted, "metadata").get("resourceVersion")
    replicas = section(wanted, "spec").get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        raise Refusal(422, "Invalid", "spec.replicas: must be greater than or equal to 0")
    return {
        **found,
        "metadata": {**meta, "resourceVersion": version},
        "spec": {**spec, "replicas": replicas},
    }


def _typed(found: Json, kind: Kind) -> Json:
    return {"kind": kind.kind, "apiVersion": kind.api_version, **found}


def _parsed(body: bytes) -> Json:
    try:
        return mapping(json.loads(body))
    except ValueError as error:
        raise Refusal(400, "BadRequest", "the body is no JSON") from error


def _json(found: Json, status: int = 200) -> web.Response:
    return web.json_response(found, status=status)
