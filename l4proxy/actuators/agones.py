"""The actuator `agones`: answers the webhook policy of an Agones FleetAutoscaler.

Agones posts a FleetAutoscaleReview every few seconds and takes the number of replicas from the
answer (autoscaling.agones.dev/v1). One listener serves every pool with the same settings, each at
`/fleet/` and its name. Agones never deletes a server that is allocated, and picks who goes itself.
"""

import json
from pathlib import Path
from typing import Final

from aiohttp import web

from l4proxy.actuators.actuator import ActuatorError
from l4proxy.actuators.board import Asked, Desk, OrderBoard
from l4proxy.actuators.listening import ListenSettings, server_context
from l4proxy.admin.replies import failure, reply
from l4proxy.admin.server import serve_admin
from l4proxy.config.mistakes import describe
from l4proxy.control.listeners import CannotListen, UnixListener, bind
from routing import PoolName

MAX_REVIEW_BYTES: Final = 512 * 1_024
"""Bytes of a review: a fleet's status takes 1 KiB, its labels and annotations at most 256."""

MAX_UID: Final = 128
"""Characters of a review's uid, which is told back: a UUID has 36."""

_PATH: Final = "/fleet/"
_EXPECTED: Final = "expected a FleetAutoscaleReview: {request: {uid: …}}"


class AgonesSettings(ListenSettings):
    """Where Agones finds the webhook."""


class Agones:
    """Makes actuators that Agones asks."""

    name = "agones"
    settings = AgonesSettings

    def __init__(self) -> None:
        self._desks: dict[AgonesSettings, Desk] = {}

    def make(self, settings: AgonesSettings, pool: PoolName) -> Asked:
        """Return the actuator of a pool.

        Raises:
            ActuatorError: A file of the settings cannot be used.

        """
        try:
            server_context(settings)
        except (OSError, ValueError) as error:
            raise ActuatorError(f"the agones listener of pool {pool}: {error}") from error

        async def serve(board: OrderBoard) -> None:
            await _serve(settings, board)

        return Asked(self._desks.setdefault(settings, Desk(serve)), pool)


async def _serve(settings: AgonesSettings, board: OrderBoard) -> None:
    """Answer reviews until cancelled.

    Raises:
        ActuatorError: The address, or a file of the settings, cannot be used.

    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await answer_review(request, board)

    try:
        tls = server_context(settings)
        if not settings.listen.is_path:
            (sock,) = bind(settings.listen, 1)
            await serve_admin(sock, answer, tls)
            return
        listener = UnixListener(Path(settings.listen.host))
        try:
            await serve_admin(listener.sock, answer, tls)
        finally:
            listener.remove()
    except (CannotListen, OSError, ValueError) as error:
        raise ActuatorError(f"the agones listener: {error}") from error


async def answer_review(request: web.BaseRequest, board: OrderBoard) -> web.Response:
    """Return the answer to one review: the number of replicas, or that there is nothing to scale.

    Before the first order of a pool nothing is scaled.
    """
    name = request.path.removeprefix(_PATH)
    found = board.find(name) if request.path.startswith(_PATH) else None
    if found is None:
        return failure(404, f"found {describe(request.path)}, expected {_PATH} and a pool's name")
    if request.method != "POST":
        refused = failure(405, f"found {describe(request.method)}, expected POST")
        refused.headers["Allow"] = "POST"
        return refused
    uid = _uid(await _body(request))
    if uid is None:
        return failure(400, f"found something else, {_EXPECTED}")
    desired = found.desired
    told = {"uid": uid, "scale": desired is not None, "replicas": desired or 0}
    return reply({"response": told})


async def _body(request: web.BaseRequest) -> bytes:
    """Return the body; nothing if it is too long."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_REVIEW_BYTES:
            return b""
    return bytes(body)


def _uid(body: bytes) -> str | None:
    """Return the uid of a review; None: it is none."""
    try:
        review: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    asked = review.get("request") if isinstance(review, dict) else None
    uid = asked.get("uid") if isinstance(asked, dict) else None
    return uid if isinstance(uid, str) and 0 < len(uid) <= MAX_UID else None
