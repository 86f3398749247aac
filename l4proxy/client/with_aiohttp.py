"""aiohttp over proved connections: `ClientSession(connector=AttestedConnector(client))`.

A refusal is aiohttp's `ClientOSError`, caused by the `NotAttested` that says why.
"""

import asyncio

from aiohttp import BaseConnector, ClientRequest, ClientTimeout, InvalidUrlClientError
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from l4proxy.client.account import Account
from l4proxy.client.client import AttestedClient


class AttestedConnector(BaseConnector):
    """Connects where `https://` URLs say, and proves each connection; others are no valid URL.

    Attributes:
        account: What is known of the connection that was made last; None: none was.

    """

    def __init__(self, client: AttestedClient, via: tuple[str, int] | None = None) -> None:
        """Connect through a client, which the caller closes later than this.

        Args:
            client: Proves connections.
            via: Host and port to dial; None: those of the URL, whose host is the server name.

        """
        super().__init__()
        self._client = client
        self._via = via
        self.account: Account | None = None

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],  # noqa: ARG002 - aiohttp's signature
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        """Return the protocol of a new connection: what aiohttp asks of every connector."""
        name, own_port = req.url.raw_host, req.url.port
        if req.url.scheme != "https" or name is None or own_port is None:
            raise InvalidUrlClientError(req.url, "expected https://")
        host, port = self._via or (name, own_port)
        asked = None if host == name else name
        async with asyncio.timeout(timeout.sock_connect):
            transport, protocol = await self._client.create_connection(
                self._factory, host, port, asked
            )
        self.account = transport.account
        return protocol
