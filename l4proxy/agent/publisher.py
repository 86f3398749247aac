"""What the agent publishes for balancers, on a listener of its own: the names of its ticket keys.

Never on the clients' port: who passes TLS on cannot filter paths. The evidence holds the digest of
the names, so that nobody on the way can put others in their place.
"""

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Final

from l4proxy.agent.stream import Stream
from l4proxy.agent.well_known import MAX_HEAD_BYTES, Reply, written

TICKET_NAMES: Final = "/ticket-names"
"""Where the names are, in JSON: `{"ticket_names": [HEX, …]}`."""

ANSWER_SECONDS: Final = 10.0
"""Seconds for a request and its answer: both fit into one segment."""

_ASKED = f"GET {TICKET_NAMES} HTTP/1.".encode("ascii")


@dataclass(frozen=True, slots=True)
class Publisher:
    """Answers one request a connection.

    Attributes:
        ticket_names: What session tickets begin with, 16 bytes each.

    """

    ticket_names: tuple[bytes, ...]

    async def serve(self, sock: socket.socket) -> None:
        """Serve one client.

        Raises:
            OSError: It broke off, or takes too long.

        """
        client = Stream(sock)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await client.write(written(self._reply(await _head(client)), last=True))
                await client.end()
        finally:
            client.close()

    def _reply(self, head: bytes) -> Reply:
        if not head.startswith(_ASKED):
            return Reply(404, b"there is no such document\n")
        document = {"ticket_names": [name.hex() for name in self.ticket_names]}
        return Reply(200, json.dumps(document).encode("ascii"), "application/json")


async def _head(client: Stream) -> bytes:
    """Read a request's head, or what there is of it."""
    heard = b""
    while b"\r\n\r\n" not in heard and len(heard) < MAX_HEAD_BYTES:
        data = await client.read(MAX_HEAD_BYTES)
        if not data:
            break
        heard += data
    return heard
