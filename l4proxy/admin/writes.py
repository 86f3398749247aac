"""What can be changed while the balancer runs, over the unix socket of the daemon's own user.

    PUT /api/v1/pools/{pool}/backends/{name}     {"address": "10.0.0.3:8443", "weight": 1}
    DELETE /api/v1/pools/{pool}/backends/{name}

To repeat one changes nothing more. A change is answered when every worker decides by it.
"""

import json
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from aiohttp import web

from l4proxy.admin.pages import BACKEND, WRITES, answer
from l4proxy.admin.replies import Answer, failure, reply
from l4proxy.config.addresses import parse_backend_address
from l4proxy.config.backends import backend_weight
from l4proxy.config.mistakes import BadValueError, describe, expected
from l4proxy.config.names import read_backend_name
from l4proxy.control.membership import AlreadyThere, Member, MembershipError, TooMany
from l4proxy.control.plan import TooManyBackends
from l4proxy.snapshot import Snapshot
from l4proxy.telemetry.balancer import Balancer
from routing import BackendName, PoolName

MAX_BODY_BYTES = 4_096
"""What a request may carry: an address and a number take fifty bytes."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made.

    Attributes:
        pool: Where.
        member: The backend as it is now, or as it was before it was removed.
        created: Whether there was none of that name.
        version: Of the snapshot that holds it.
        in_force: Whether all workers decide by that; if not yet, they will.
    """

    pool: PoolName
    member: Member
    created: bool = False
    version: int = 0
    in_force: bool = False


class Changeable(Balancer, Protocol):
    """A balancer whose backends can be changed."""

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


def writer(balancer: Changeable) -> Answer:
    """Return what answers where only the daemon's own user may ask: reads and writes."""

    async def answer_soon(request: web.BaseRequest) -> web.StreamResponse:
        path = BACKEND.fullmatch(request.path)
        if path is None or request.method not in WRITES:
            return answer(balancer, request)
        if balancer.stopping:
            return failure(503, "the daemon is stopping: nothing is changed any more")
        try:
            return await _write(balancer, request, PoolName(path[1]), path[2])
        except BadValueError as error:
            return failure(400, str(error))
        except AlreadyThere as error:
            return failure(409, str(error))
        except (TooMany, TooManyBackends) as error:
            return failure(507, str(error))
        except MembershipError as error:
            return failure(404, str(error))

    return answer_soon


async def _write(
    balancer: Changeable, request: web.BaseRequest, pool: PoolName, name: str
) -> web.Response:
    if request.method == "DELETE":
        return _told(await balancer.delete_backend(pool, BackendName(name)))
    member = _member(name, await _body(request))
    _dialled_from(balancer.snapshot, pool, member)
    return _told(await balancer.put_backend(pool, member))


def _told(change: Change) -> web.Response:
    document = {
        "pool": change.pool,
        "name": change.member.name,
        "address": str(change.member.address),
        "weight": change.member.weight,
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
            raise BadValueError(f"found more than {MAX_BODY_BYTES} bytes, expected a backend")
    return bytes(body)


def _member(name: str, body: bytes) -> Member:
    """Return the backend that a request puts.

    Raises:
        BadValueError: What was found in place of one.
    """
    what = 'a JSON object such as {"address": "10.0.0.3:8443", "weight": 1}'
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadValueError(f"found no JSON, expected {what}") from None
    if not isinstance(found, dict) or "address" not in found:
        raise expected(found, what)
    unknown = found.keys() - {"address", "weight"}
    if unknown:
        raise BadValueError(f"found the key {describe(min(unknown))}, expected {what}")
    return Member(
        read_backend_name(name),
        parse_backend_address(found["address"]),
        backend_weight.read(found.get("weight", 1)),
    )


def _dialled_from(snapshot: Snapshot, pool: PoolName, member: Member) -> None:
    """Raise BadValueError for a backend that none of the pool's source addresses can dial."""
    sources = snapshot.dialling[pool].sources if pool in snapshot.dialling else ()
    if not sources or not member.address.port:
        return
    version = ip_address(member.address.host).version
    if all(ip_address(source).version != version for source in sources):
        message = f"cannot be dialled: the pool's `source` has no IPv{version} address"
        raise BadValueError(f"{member.address} {message}")
