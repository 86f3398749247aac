"""One request over HTTP, with one deadline for all of it and a bound on what is answered."""

import asyncio
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from l4proxy.agent.threads import in_thread

HEAD_BYTES: Final = 64 * 1024
"""Bytes beside the content: the head, and the sizes of chunks."""

READ_BYTES: Final = 64 * 1024
"""Bytes that are read at once."""

_PORTS = {"http": 80, "https": 443}
_STATUS = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: |$)", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r\n", re.ASCII)


class BadAnswer(ValueError):
    """What was answered is none that can be used: the server's fault."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer may take.

    Attributes:
        seconds: From the name to the last byte.
        size: Bytes of its content.

    """

    seconds: float
    size: int


class Request(NamedTuple):
    """What is asked.

    Attributes:
        url: `http://` or `https://`.
        content: Is posted; None: nothing is, and the method is GET.
        media_type: Of the content.
        ca: The authority of the server, in PEM; None: those that the system trusts.

    """

    url: str
    content: bytes | None = None
    media_type: str = ""
    ca: Path | None = None


class HttpAnswer(NamedTuple):
    """What came back.

    Attributes:
        status: Of HTTP.
        content: As the server meant it, without its chunks.

    """

    status: int
    content: bytes


async def fetch(request: Request, bounds: Bounds) -> HttpAnswer:
    """Return what a server answers.

    Raises:
        BadAnswer: It is no HTTP, or too much.
        OSError: The server cannot be reached, or is not trusted, or takes too long.

    """
    try:
        async with asyncio.timeout(bounds.seconds):
            heard = await _exchange(request, HEAD_BYTES + bounds.size)
    except TimeoutError as error:
        raise TimeoutError(f"{request.url}: no answer within {bounds.seconds:.0f} s") from error
    try:
        return _parse(heard, bounds.size)
    except BadAnswer as error:
        raise BadAnswer(f"{request.url}: {error}") from error


async def _exchange(request: Request, most: int) -> bytes:
    """Send a request and return all that comes, or a little more than `most` bytes of it."""
    reader, writer = await _connect(request)
    try:
        writer.write(_written(request))
        await writer.drain()
        heard = bytearray()
        while len(heard) <= most and (data := await reader.read(READ_BYTES)):
            heard += data
        return bytes(heard)
    finally:
        writer.transport.abort()


async def _connect(request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address of the server that takes the connection."""
    place = urlsplit(request.url)
    host, port = place.hostname or "", place.port or _PORTS[place.scheme]
    trust = None
    if place.scheme == "https":
        trust = ssl.create_default_context(cafile=None if request.ca is None else str(request.ca))
    # The loop's own way to resolve a name would keep a process that ends.
    found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    refused: OSError | None = None
    for *_, address in found:
        try:
            return await asyncio.open_connection(
                str(address[0]), port, ssl=trust, server_hostname=host if trust else None
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            # What asyncio says of it leaves the reason out, and one of a broken handshake has none.
            if error.errno is None:
                refused = ConnectionError(f"{place.netloc}: it has cut the connection off")
            else:
                refused = OSError(error.errno, f"{place.netloc}: {os.strerror(error.errno)}")
    raise refused or OSError(f"{host}: has no address")


def _written(request: Request) -> bytes:
    place = urlsplit(request.url)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    method = "GET" if request.content is None else "POST"
    host = place.netloc.rpartition("@")[2]
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if request.content is not None:
        head += f"Content-Type: {request.media_type}\r\nContent-Length: {len(request.content)}\r\n"
    return f"{head}\r\n".encode("ascii") + (request.content or b"")


def _parse(heard: bytes, most: int) -> HttpAnswer:
    """Read an answer that is there to the end (RFC 9112 §6)."""
    head, end, content = heard.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = _STATUS.match(first)
    if not end or status is None:
        raise BadAnswer("found no answer in HTTP/1")
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if fields.get("transfer-encoding", "").lower() == "chunked":
        content = _unchunked(content)
    elif fields.get("content-length", str(len(content))) != str(len(content)):
        told = fields["content-length"][:20]
        raise BadAnswer(f"found {len(content)} bytes, and {told} were announced")
    if len(content) > most:
        raise BadAnswer(f"found {len(content)} bytes, expected at most {most}")
    return HttpAnswer(int(status[1]), content)


def _unchunked(data: bytes) -> bytes:
    """Return what chunks carry (RFC 9112 §7.1)."""
    content, place = bytearray(), 0
    while True:
        size = _CHUNK.match(data, place)
        start = size.end() if size else 0
        end = start + (int(size[1], 16) if size else 0)
        if size is None or len(data) < end:
            raise BadAnswer("found the end within a chunk")
        if start == end:
            return bytes(content)
        content += data[start:end]
        place = end + len(b"\r\n")
