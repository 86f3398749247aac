"""The telemetry's listener: HTTP over TLS with the attested key, for those who may read.

It is a listener of its own. On the clients' port nobody could keep strangers from a path, for who
passes TLS on sees none.
"""

import asyncio
import hmac
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from l4proxy.agent.certificates import BadCertificate, Credentials
from l4proxy.agent.stream import Stream
from l4proxy.agent.telemetry.board import Board
from l4proxy.agent.telemetry.settings import TelemetrySettings
from l4proxy.agent.tls import reader_context
from l4proxy.agent.trouble import Trouble
from l4proxy.agent.well_known import Reply, written
from l4proxy.agent_metrics import DESCRIPTION_PATH, MEDIA_TYPE, METRICS_PATH, Scrapers
from l4proxy.secret_file import BadSecretFile, read_token

MOST_SCRAPERS: Final = 16
"""Connections of readers at once; others wait in the kernel's queue."""

MAX_HEAD_BYTES: Final = 8 * 1024
"""Bytes of a request's head, with the token."""

STRANGER_SECONDS: Final = 10.0
"""Seconds for the handshake, and for the first request, until a reader is known."""

IDLE_SECONDS: Final = 75.0
"""Seconds between two requests of a connection: readers ask once a minute or more often."""

LIFE_SECONDS: Final = 3600.0
"""Seconds after which a connection ends: its reader has to show again that it may read."""

SHORTEST_TOKEN: Final = 16
"""Characters of a token: fewer could be tried."""

_END = b"\r\n\r\n"
_BEARER = "bearer "


class _Asked(NamedTuple):
    """A request.

    Attributes:
        path: What is asked for.
        token: What is shown.
        last: Whether the connection ends after it.

    """

    path: str
    token: bytes
    last: bool


@dataclass(slots=True)
class TelemetryServer:
    """Answers those who may read.

    Attributes:
        settings: Who that is.
        board: What they read.
        context: What new connections are served with; renewal replaces it.
        token: What they show; None: it is a certificate. Not shown by `repr`.

    """

    settings: TelemetrySettings
    board: Board
    context: ssl.SSLContext
    token: bytes | None = field(repr=False)
    _trouble: Trouble = field(default_factory=lambda: Trouble("telemetry: reader"), repr=False)

    def install(self, credentials: Credentials) -> None:
        """Serve new connections with these credentials.

        Raises:
            BadCertificate: They cannot be used, or the authority of readers cannot be read.
            OSError: That authority's file is not there.

        """
        self.context = _context(self.settings, credentials)

    async def serve(self, sock: socket.socket) -> None:
        """Serve one reader.

        Raises:
            OSError: It broke off, may not read, or takes too long.

        """
        tls = self.context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        client = Stream(tls)
        try:
            async with asyncio.timeout(STRANGER_SECONDS):
                await self._greet(client)
            async with asyncio.timeout(LIFE_SECONDS):
                await self._converse(client)
        finally:
            client.close()

    async def _greet(self, client: Stream) -> None:
        try:
            await client.handshake()
        except ssl.SSLError as error:
            self._trouble.told(OSError(f"no handshake: {error.reason or error}"))
            raise

    async def _converse(self, client: Stream) -> None:
        heard, known, last = b"", self.token is None, False
        while not last:
            async with asyncio.timeout(IDLE_SECONDS if known else STRANGER_SECONDS):
                heard = await _listen(client, heard)
            if not heard:
                return
            head, _, heard = heard.partition(_END)
            asked = _asked(head)
            known = asked is not None and self._may(asked.token)
            last = asked is None or asked.last or not known
            async with asyncio.timeout(STRANGER_SECONDS):
                await client.write(written(self._reply(asked, known=known), last=last))
        async with asyncio.timeout(STRANGER_SECONDS):
            await client.end()

    def _may(self, shown: bytes) -> bool:
        if self.token is not None and not hmac.compare_digest(shown, self.token):
            self._trouble.told(OSError("it shows no token, or another one"))
            return False
        self._trouble.over()
        return True

    def _reply(self, asked: _Asked | None, *, known: bool) -> Reply:
        if asked is None:
            return Reply(400, b"expected GET, HTTP/1.1 and no content\n")
        if not known:
            return Reply(403, b"expected Authorization: Bearer and the token\n")
        if asked.path == METRICS_PATH:
            return Reply(200, self.board.page(), MEDIA_TYPE)
        if asked.path == DESCRIPTION_PATH:
            return Reply(200, self.settings.described, "application/json")
        return Reply(404, b"there is no such document\n")


def open_telemetry(
    settings: TelemetrySettings, credentials: Credentials, board: Board
) -> TelemetryServer:
    """Return the listener's server.

    Raises:
        BadCertificate: The credentials, or the authority of readers, cannot be used.
        BadSecretFile: Others may read the token, or it is none.
        OSError: A file cannot be read.

    """
    token = None
    if settings.scrapers is Scrapers.TOKEN:
        token = read_token(settings.secret).encode("ascii")
        if len(token) < SHORTEST_TOKEN:
            expected = f"one of {SHORTEST_TOKEN} characters or more"
            raise BadSecretFile(f"{settings.secret}: found a short token, expected {expected}")
    return TelemetryServer(settings, board, _context(settings, credentials), token)


def _context(settings: TelemetrySettings, credentials: Credentials) -> ssl.SSLContext:
    context = reader_context(credentials)
    if settings.scrapers is Scrapers.CLIENT_CA:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.secret)
        except ssl.SSLError as error:
            raise BadCertificate(f"{settings.secret}: no certificate of an authority") from error
        except OSError as error:
            raise OSError(error.errno, f"{settings.secret}: {error.strerror}") from error
    return context


async def _listen(client: Stream, heard: bytes) -> bytes:
    """Read to the end of a request's head, or more than one may have; nothing: it is over."""
    while _END not in heard and len(heard) <= MAX_HEAD_BYTES:
        data = await client.read(MAX_HEAD_BYTES)
        if not data:
            return b""
        heard += data
    return heard


def _asked(head: bytes) -> _Asked | None:
    """Read a request's head; None: it is none that can be answered."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(head) > MAX_HEAD_BYTES or len(words) != len(("GET", "path", "version")):
        return None
    if words[0] != "GET" or words[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        return None
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return None
    shown = fields.get("authorization", "")
    token = shown[len(_BEARER) :].strip() if shown.lower().startswith(_BEARER) else ""
    last = words[2] == "HTTP/1.0" or "close" in fields.get("connection", "").lower()
    return _Asked(words[1].partition("?")[0], token.encode("latin-1"), last)
