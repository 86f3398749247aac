"""Clients that come back, each time from another address, with the newest ticket they have."""

import ssl
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from tests.e2e.balancer import Address
from tests.e2e.certificates import Authority
from tests.e2e.enclaves import NAME
from tests.e2e.sockets import connect

_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class Seen(NamedTuple):
    """One visit as the client saw it.

    Attributes:
        enclave: Who answered.
        resumed: Whether it went on with the session that the client offered.
    """

    enclave: str
    resumed: bool


def context_for(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that trusts the authority and speaks one version."""
    context = ssl.create_default_context(cafile=str(authority.root))
    context.minimum_version = context.maximum_version = version
    return context


def sources(random: Random) -> Iterator[str]:
    """Loopback addresses at random, each most likely in a network of its own."""
    while True:
        # Not 127.0.x.y, where servers are, and no network's first or last address.
        parts = (random.randrange(1, 255), random.randrange(256), random.randrange(1, 255))
        yield "127." + ".".join(map(str, parts))


class Visitor:
    """One client with its session.

    Attributes:
        seen: Its visits so far.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        """A client that was never there; it may share its context with others."""
        self._context = context
        self._session: ssl.SSLSession | None = None
        self.seen: list[Seen] = []

    def visit(self, address: Address, source: str) -> Seen:
        """Connects from an address, asks who is there, leaves with the newest ticket."""
        with self._context.wrap_socket(
            connect(address, source), server_hostname=NAME, session=self._session
        ) as tls:
            tls.sendall(_REQUEST)
            answer = bytearray()
            while part := tls.recv(4_096):
                answer += part
            self._session = tls.session
            seen = Seen(answer.rpartition(b"\n")[2].decode(), bool(tls.session_reused))
        self.seen.append(seen)
        return seen
