"""Questions over HTTP: `/.well-known/attestation`, before anything of the application.

Only the first requests of a connection are looked at, and only as far as it takes to see that one
is not a question. From then on every byte is the application's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from l4proxy.agent.attesters import TeeError
from l4proxy.agent.libssl import NoExporter
from l4proxy.agent.stream import CHUNK_BYTES, Stream
from l4proxy.evidence_wire import (
    MEDIA_TYPE,
    WELL_KNOWN,
    WELL_KNOWN_MANIFEST,
    Answer,
    BadQuestion,
    Question,
    encode_answer,
    parse_question,
)
from l4proxy.set_wire import SET_MEDIA_TYPE, WELL_KNOWN_SET

MAX_HEAD_BYTES: Final = 8 * 1024
"""Bytes of a question's head: a line of 160 bytes, and what browsers send beside it."""

MAX_QUESTIONS: Final = 100
"""Questions of one connection: one is enough, and a prober that stays asks twelve an hour."""

_START = b"GET " + WELL_KNOWN.encode("ascii")
_END = b"\r\n\r\n"
# What may follow the path: a query, another step, the end of the target.
_MORE = frozenset(b"? /")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Reply(NamedTuple):
    """What is answered over HTTP."""

    status: int
    content: bytes
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Head:
    """A question's head.

    Attributes:
        target: What is asked for.
        last: Whether the connection ends after it.

    """

    target: str
    last: bool


Ask = Callable[[Question], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where questions of one connection are answered.

    Attributes:
        ask: Gives evidence, for a nonce or for this connection.
        manifest: The secondary manifest; None: there is none.
        patience: Seconds for each question and its answer.
        members: Gives the pre-verified set, encoded; None: there is none.

    """

    ask: Ask
    manifest: bytes | None
    patience: float
    members: Callable[[], bytes] | None = None

    async def serve(self, client: Stream) -> bytes | None:
        """Answer questions; return the first bytes that are none, or None where it is over.

        Raises:
            OSError: The client is gone, or takes too long.

        """
        heard = b""
        for left in range(MAX_QUESTIONS, 0, -1):
            async with asyncio.timeout(self.patience):
                heard = await _listen(client, heard)
                if not _is_question(heard):
                    return heard
                text, end, heard = heard.partition(_END)
                head = _head(text) if end else None
                reply = await self._reply(head, whole=bool(end))
                last = head is None or head.last or left == 1
                await _tell(client, reply, last=last)
            if last:
                break
        return None

    async def _reply(self, head: _Head | None, *, whole: bool) -> Reply:
        if head is None:
            return Reply(400 if whole else 431, b"expected GET, HTTP/1.1 and no content\n")
        path, _, query = head.target.partition("?")
        if path == WELL_KNOWN_MANIFEST and self.manifest is not None and not query:
            return Reply(200, self.manifest, "application/json")
        if path == WELL_KNOWN_SET and self.members is not None and not query:
            return Reply(200, self.members(), SET_MEDIA_TYPE)
        if path != WELL_KNOWN:
            return Reply(404, b"there is no such document\n")
        try:
            answer = await self.ask(parse_question(query))
        except (BadQuestion, NoExporter) as error:
            return Reply(400, f"{error}\n".encode())
        except TeeError:
            return Reply(503, b"the TEE gives no evidence\n")
        return Reply(200, encode_answer(answer), MEDIA_TYPE)


async def _listen(client: Stream, heard: bytes) -> bytes:
    """Read until it is clear that this is no question, or to the end of its head."""
    while _may_be_question(heard) and _END not in heard and len(heard) < MAX_HEAD_BYTES:
        data = await client.read(MAX_HEAD_BYTES)
        if not data:
            break
        heard += data
    return heard


def _may_be_question(heard: bytes) -> bool:
    if len(heard) <= len(_START):
        return _START.startswith(heard)
    return _is_question(heard)


def _is_question(heard: bytes) -> bool:
    return heard.startswith(_START) and len(heard) > len(_START) and heard[len(_START)] in _MORE


def _head(text: bytes) -> _Head | None:
    """Read a question's head; None: it is none that can be answered."""
    lines = text.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    version = words[2] if len(words) == len(("GET", "target", "version")) else ""
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        return None
    fields = [line.partition(":") for line in lines[1:]]
    named = {name.lower(): value.strip().lower() for name, _, value in fields}
    if "transfer-encoding" in named or named.get("content-length", "0") != "0":
        return None
    last = version == "HTTP/1.0" or "close" in named.get("connection", "")
    return _Head(words[1], last)


async def _tell(client: Stream, reply: Reply, *, last: bool) -> None:
    if len(reply.content) <= CHUNK_BYTES:
        await client.write(written(reply, last=last))
        return
    # A set is long, and one for all: it is not copied for each who is slow to take it.
    await client.write(announced(reply, last=last))
    await client.write(reply.content)


def written(reply: Reply, *, last: bool) -> bytes:
    """Return a reply as HTTP/1.1 has it; after the last one the connection ends."""
    return announced(reply, last=last) + reply.content


def announced(reply: Reply, *, last: bool) -> bytes:
    """Return the head of a reply, behind which its content stands."""
    head = (
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\n"
        f"Content-Type: {reply.media_type}\r\n"
        f"Content-Length: {len(reply.content)}\r\n"
        "Cache-Control: no-store\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n"
    )
    return head.encode("ascii")
