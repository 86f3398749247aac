"""Who may open one more connection, and who gives way when too many wait for their hello.

Counts of this worker only: a client whose connections spread over N workers may have N times its
bound. Every table here has as many entries as there are open connections, and no more.
"""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Protocol

from l4proxy.dataplane.sessions import client_key
from l4proxy.snapshot import Entrance

TRUST_CACHE = 4_096
"""Peers whose trust is remembered: the proxies before us are few, strangers push each other out."""


class Waiting(Protocol):
    """A connection without a whole hello."""

    def give_way(self) -> None:
        """End: it has waited longest, and others need the place."""


class Admission:
    """Open connections by client, and those that wait for their hello, the oldest first.

    Attributes:
        held: Bytes of unfinished hellos, all together.
    """

    __slots__ = ("_clients", "_waiting", "held")

    def __init__(self) -> None:
        """Start with nobody."""
        self._clients: dict[bytes, int] = {}
        self._waiting: dict[Waiting, int] = {}
        self.held = 0

    def admit(self, client: bytes, limit: int) -> bool:
        """Count one more connection of a client, unless it has `limit` already (0: no limit)."""
        client = client_key(client)
        count = self._clients.get(client, 0)
        if limit and count >= limit:
            return False
        self._clients[client] = count + 1
        return True

    def is_full(self, client: bytes, limit: int) -> bool:
        """Return whether a client has `limit` connections already (0: no limit)."""
        return bool(limit) and self._clients.get(client_key(client), 0) >= limit

    def leave(self, client: bytes) -> None:
        """Count one connection of an admitted client less."""
        client = client_key(client)
        count = self._clients[client] - 1
        if count:
            self._clients[client] = count
        else:
            del self._clients[client]

    def wait(self, connection: Waiting, limit: int) -> None:
        """Let a connection wait for its hello; beyond `limit` the oldest gives way."""
        self._waiting[connection] = 0
        if len(self._waiting) > limit:
            self._free_a_place()

    def grew(self, connection: Waiting, count: int, limit: int) -> None:
        """Count bytes of an unfinished hello; beyond `limit` in all, the oldest gives way."""
        if connection not in self._waiting:
            return
        self._waiting[connection] += count
        self.held += count
        while self.held > limit:
            self._free_a_place()

    def waited(self, connection: Waiting) -> None:
        """Hear that a connection waits no more."""
        self.held -= self._waiting.pop(connection, 0)

    def _free_a_place(self) -> None:
        oldest = next(iter(self._waiting))
        self.waited(oldest)
        oldest.give_way()


@lru_cache(maxsize=TRUST_CACHE)
def trusts(entrance: Entrance, peer: bytes) -> bool:
    """Return whether the PROXY header of a peer (packed address) is believed at an entrance."""
    address = ip_address(peer)
    mapped = getattr(address, "ipv4_mapped", None)
    found = mapped or address
    return any(found in ip_network(network) for network in entrance.trusted)
