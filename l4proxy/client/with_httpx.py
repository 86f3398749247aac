"""httpx over proved connections: `httpx.AsyncClient(transport=AttestedTransport(client))`.

A refusal is httpx's `ConnectError`, caused by the `NotAttested` that says why.
"""

import asyncio
import contextlib
import select
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator

import httpcore
import httpx

from l4proxy.client.client import AttestedClient
from l4proxy.client.connection import Connection
from l4proxy.client.errors import NotAttested

_SAME: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (NotAttested, httpx.ConnectError),
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
)


class AttestedTransport(httpx.AsyncBaseTransport):
    """Sends requests for `https://` URLs over proved connections, and keeps those that are idle."""

    def __init__(self, client: AttestedClient, via: tuple[str, int] | None = None) -> None:
        """Connect through a client, which the caller closes later than this.

        Args:
            client: Proves connections.
            via: Host and port to dial; None: those of the URL, whose host is the server name.

        """
        # Not used: without it the pool would load all authorities that the system trusts.
        unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=unused, network_backend=_Backend(client, via)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the answer's head; its body is read by whoever has it.

        Raises:
            httpx.TransportError: It cannot be sent; a `ConnectError` where it is refused.

        """
        if request.url.scheme != "https":
            raise httpx.UnsupportedProtocol("found another scheme, expected https://")
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = await self._pool.handle_async_request(asked)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close what is idle."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """An answer's body, as it comes."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Makes connections that are proved."""

    def __init__(self, client: AttestedClient, via: tuple[str, int] | None) -> None:
        self._client = client
        self._via = via

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        place = self._via or (host, port)
        name = None if place[0] == host else host
        try:
            async with asyncio.timeout(timeout):
                return _Stream(await self._client.connect(*place, name))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("connecting has taken too long") from error


class _Stream(httpcore.AsyncNetworkStream):
    """A proved connection, as the pool reads and writes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._connection.stream.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("nothing has come in time") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._connection.stream.write(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout("it does not read in time") from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._connection.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002 - httpcore's signature
        server_hostname: str | None = None,  # noqa: ARG002 - httpcore's signature
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        """Return itself: TLS was there before, and has proved whose it is."""
        return self

    def get_extra_info(self, info: str) -> object:
        if info == "account":
            return self._connection.account
        if info == "is_readable":
            return _readable(self._connection)
        return None


def _readable(connection: Connection) -> bool:
    """Say whether something has come on an idle connection: most often its end."""
    waiting = select.poll()
    waiting.register(connection.stream.socket, select.POLLIN)
    return bool(waiting.poll(0))


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        for found, same in _SAME:
            if isinstance(error, found):
                raise same(str(error)) from error
        raise
