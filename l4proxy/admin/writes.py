"""What can be changed while the balancer runs, over the unix socket of the daemon's own user.

    PUT /api/v1/pools/{pool}/backends/{name}     {"address": "10.0.0.3:8443", "weight": 1}
    DELETE /api/v1/pools/{pool}/backends/{name}
    POST /api/v1/backends/{name}/drain           {"timeout": "30m"}
    POST /api/v1/backends/{name}/undrain
    POST /api/v1/backends/{name}/activate
    POST /api/v1/revocations                     {"revoke": ["key:9c1b…"]}
    POST /api/v1/reload

To repeat one changes nothing more. A change is answered when every worker decides by it.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Protocol

from aiohttp import web

from l4proxy.admin.pages import RELOAD, answer, written
from l4proxy.admin.replies import Handler, failure, reply
from l4proxy.config.addresses import parse_backend_address
from l4proxy.config.attestation import read_revocation
from l4proxy.config.backends import backend_weight
from l4proxy.config.mistakes import BadValueError, describe, expected
from l4proxy.config.names import read_backend_name
from l4proxy.config.sticky import drain_timeout
from l4proxy.control.attesting.revoked import TooManyRevocations
from l4proxy.control.drains import Ambiguous
from l4proxy.control.lineup import Drained
from l4proxy.control.membership import AlreadyThere, Member, MembershipError, TooMany
from l4proxy.control.plan import TooManyBackends
from l4proxy.revocation import Revocation
from l4proxy.snapshot import Snapshot
from l4proxy.telemetry.balancer import Balancer
from routing import BackendName, PoolName

_BACKEND = 'a JSON object such as {"address": "10.0.0.3:8443", "weight": 1}'
_REVOKE = 'a JSON object such as {"revoke": ["key:9c1b…"]}'
_DRAIN = 'nothing, or a JSON object such as {"timeout": "30m"}'

MAX_BODY_BYTES = 4_096
"""What a request may carry: an address and a number take fifty bytes."""


class NotReloaded(Exception):
    """The configuration cannot be put in force as it is now; the text is every mistake."""


# The last one is the class of most others.
_STATUSES: Mapping[type[Exception], int] = {
    BadValueError: 400,
    AlreadyThere: 409,
    Ambiguous: 409,
    Drained: 409,
    NotReloaded: 422,
    TooMany: 507,
    TooManyBackends: 507,
    TooManyRevocations: 507,
    MembershipError: 404,
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made.

    Attributes:
        pool: Where.
        member: The backend as it is now, or as it was before it was removed.
        created: Whether there was none of that name.
        version: Of the snapshot that holds it.
        in_force: Whether all workers decide by that; if not yet, they will.
        draining: Whether it gets no new session, and keeps those that it has.
        deadline: Until when, seconds, monotonic; None: without end.
    """

    pool: PoolName
    member: Member
    created: bool = False
    version: int = 0
    in_force: bool = False
    draining: bool = False
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Revoking:
    """Something was revoked.

    Attributes:
        refuted: Backends that had it.
        version: Of the snapshot in which they get nothing any more.
        in_force: Whether all workers decide by that; if not yet, they will.
    """

    refuted: int
    version: int = 0
    in_force: bool = False


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read again.

    Attributes:
        changed: The keys whose values are others now, such as `routes` or `pools.app`.
        version: Of the snapshot that holds it.
        in_force: Whether all workers decide by that; if not yet, they will.
    """

    changed: tuple[str, ...]
    version: int = 0
    in_force: bool = False


class Changes(Protocol):
    """What can be changed of a balancer."""

    async def reload(self) -> Reloaded:
        """Read the configuration again.

        Raises:
            NotReloaded: It cannot be put in force, and nothing has changed.
        """
        ...

    async def revoke(self, found: Sequence[Revocation]) -> Revoking:
        """Refute backends that have any of these, from now on.

        Raises:
            TooManyRevocations: There is no room for them, and nothing has changed.
        """
        ...

    async def put_backend(self, pool: PoolName, member: Member) -> Change:
        """Add a backend, or give one that is there another weight.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
            TooManyBackends: The same.
        """
        ...

    async def delete_backend(self, pool: PoolName, name: BackendName) -> Change:
        """Remove a backend.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        ...

    async def drain_backend(self, called: str, seconds: float | None = None) -> Change:
        """Let a backend, `NAME` or `POOL/NAME`, have no new session.

        Args:
            called: Its name.
            seconds: That its sessions may stay, infinite for ever; None: as configured.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        ...

    async def undrain_backend(self, called: str) -> Change:
        """Let a backend have new sessions again.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        ...

    async def activate_backend(self, called: str) -> Change:
        """Let a backend on standby have new sessions.

        Raises:
            MembershipError: It cannot be done, and nothing has changed.
        """
        ...


def writer(balancer: Balancer, changes: Changes) -> Handler:
    """Return what answers where only the daemon's own user may ask: reads and writes."""

    async def answer_soon(request: web.BaseRequest) -> web.StreamResponse:
        what = written(request)
        if what is None:
            return answer(balancer, request)
        if balancer.stopping:
            return failure(503, "the daemon is stopping: nothing is changed any more")
        try:
            if request.method == "POST":
                return await _post(changes, request, what[1], what[2])
            if request.method == "DELETE":
                name = BackendName(what[2])
                return _told(await changes.delete_backend(PoolName(what[1]), name))
            member = _member(what[2], await _body(request))
            _dialled_from(balancer.snapshot, PoolName(what[1]), member)
            return _told(await changes.put_backend(PoolName(what[1]), member))
        except tuple(_STATUSES) as error:
            status = next(_STATUSES[kind] for kind in _STATUSES if isinstance(error, kind))
            return failure(status, str(error))

    return answer_soon


async def _post(
    changes: Changes, request: web.BaseRequest, called: str | None, action: str
) -> web.Response:
    body = await _body(request) or b"{}"
    if called is None:
        whole = _reload if request.path == RELOAD else _revoke
        return await whole(changes, body)
    if action == "drain":
        change = await changes.drain_backend(called, _timeout(body))
    else:
        _object(body, "nothing", frozenset())
        if action == "activate":
            return _told(await changes.activate_backend(called))
        change = await changes.undrain_backend(called)
    left = None if change.deadline is None else max(0.0, change.deadline - time.monotonic())
    deadline = None if left is None else round(left, 1)
    return _told(change, {"draining": change.draining, "deadline": deadline})


async def _reload(changes: Changes, body: bytes) -> web.Response:
    _object(body, "nothing", frozenset())
    done = await changes.reload()
    document = {"changed": done.changed, "snapshot": done.version, "in_force": done.in_force}
    return reply(document, 200 if done.in_force else 202)


async def _revoke(changes: Changes, body: bytes) -> web.Response:
    done = await changes.revoke(_revocations(body))
    document = {"refuted": done.refuted, "snapshot": done.version, "in_force": done.in_force}
    return reply(document, 200 if done.in_force else 202)


def _told(change: Change, more: Mapping[str, object] = MappingProxyType({})) -> web.Response:
    document = {
        "pool": change.pool,
        "name": change.member.name,
        "address": str(change.member.address),
        "weight": change.member.weight,
        **more,
        "snapshot": change.version,
        "in_force": change.in_force,
    }
    if not change.in_force:
        return reply(document, 202)
    return reply(document, 201 if change.created else 200)


async def _body(request: web.BaseRequest) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadValueError(f"found more than {MAX_BODY_BYTES} bytes, expected fewer")
    return bytes(body)


def _member(name: str, body: bytes) -> Member:
    """Return the backend that a request puts.

    Raises:
        BadValueError: What was found in place of one.
    """
    found = _object(body, _BACKEND, frozenset({"address", "weight"}))
    if "address" not in found:
        raise expected(found, _BACKEND)
    return Member(
        read_backend_name(name),
        parse_backend_address(found["address"]),
        backend_weight.read(found.get("weight", 1)),
    )


def _timeout(body: bytes) -> float | None:
    """Return how long the sessions of a drained backend may stay; None: it is not said.

    Raises:
        BadValueError: What was found in place of it.
    """
    found = _object(body, _DRAIN, frozenset({"timeout"}))
    if "timeout" not in found:
        return None
    seconds = drain_timeout.read(found["timeout"])
    return math.inf if seconds is None else seconds


def _revocations(body: bytes) -> list[Revocation]:
    """Return what a request revokes.

    Raises:
        BadValueError: What was found in place of it.
    """
    found = _object(body, _REVOKE, frozenset({"revoke"})).get("revoke")
    if not isinstance(found, list) or not found:
        raise expected(found, _REVOKE)
    return [read_revocation(each) for each in found]


def _object(body: bytes, what: str, keys: frozenset[str]) -> dict[str, object]:
    """Return the JSON object of a body, which has no other keys than these.

    Raises:
        BadValueError: What was found in place of it.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadValueError(f"found no JSON, expected {what}") from None
    if not isinstance(found, dict):
        raise expected(found, what)
    unknown = found.keys() - keys
    if unknown:
        raise BadValueError(f"found the key {describe(min(unknown))}, expected {what}")
    return found


def _dialled_from(snapshot: Snapshot, pool: PoolName, member: Member) -> None:
    """Raise BadValueError for a backend that none of the pool's source addresses can dial."""
    sources = snapshot.dialling[pool].sources if pool in snapshot.dialling else ()
    if not sources or not member.address.is_ip:
        return
    version = ip_address(member.address.host).version
    if all(ip_address(source).version != version for source in sources):
        message = f"cannot be dialled: the pool's `source` has no IPv{version} address"
        raise BadValueError(f"{member.address} {message}")
