"""A local port: applications speak plain TCP to it, and every connection is proved behind it."""

import socket
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol

from l4proxy.agent.relay import relay
from l4proxy.agent.server import accept
from l4proxy.agent.stream import Stream
from l4proxy.client.account import Account
from l4proxy.client.client import AttestedClient
from l4proxy.client.errors import NotAttested

MAX_CONNECTIONS: Final = 512
"""Connections of one port at once: each takes two descriptors, and 1,024 is the usual limit."""

IDLE_SECONDS: Final = 3600.0
"""Seconds without a byte after which a connection is closed: as the balancer has it."""


class Watcher(Protocol):
    """Who is told of a port's connections."""

    def opened(self, account: Account) -> None:
        """Hear of a connection that is proved."""
        ...

    def refused(self, error: NotAttested) -> None:
        """Hear of one that was not made; the application hears a reset."""
        ...

    def closed(self) -> None:
        """Hear that an opened one has ended."""
        ...


class Behind(NamedTuple):
    """Where the connections of a port lead.

    Attributes:
        host: A name or an address.
        port: Of it.
        server_name: Said in the handshake; None: the host, if it is a name.

    """

    host: str
    port: int
    server_name: str | None = None


class LocalPort:
    """A port on the loopback whose connections reach a verified enclave, or are reset."""

    def __init__(self, client: AttestedClient, behind: Behind, watcher: Watcher) -> None:
        self._client = client
        self._behind = behind
        self._watcher = watcher

    async def serve(self, listener: socket.socket) -> None:
        """Serve applications until cancelled.

        Args:
            listener: Does not block; the caller closes it.

        """
        await accept(listener, self._serve, MAX_CONNECTIONS)

    async def _serve(self, sock: socket.socket) -> None:
        local = Stream(sock)
        whole = False
        try:
            remote = await self._client.connect(*self._behind)
            self._watcher.opened(remote.account)
            try:
                await relay(local, remote.stream, b"", IDLE_SECONDS)
                whole = True
            finally:
                remote.close(abort=not whole)
                self._watcher.closed()
        except NotAttested as error:
            self._watcher.refused(error)
        finally:
            local.close(abort=not whole)


def local_address(host: str) -> str:
    """Return the address of the loopback that a text names.

    Raises:
        ValueError: It names another: what is said there would leave this machine unprotected.

    """
    address = ip_address("127.0.0.1" if host == "localhost" else host)
    if not address.is_loopback:
        raise ValueError(f"found {host}, expected a loopback address: it is spoken to in the clear")
    return str(address)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on the loopback.

    Args:
        host: An address of the loopback.
        port: 0: one that is free.

    Raises:
        ValueError: The address is another.
        OSError: It is taken.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((local_address(host), port), family=family, backlog=512)
    listener.setblocking(False)
    return listener
