"""One question over HTTP/1.1, and its answer: bounded before it is read, and read as it says.

Only what an evidence endpoint needs: a status of 200 and a body whose length stands before it.
"""

import re
from typing import Final, Protocol

MAX_HEAD_BYTES: Final = 8 * 1024
"""Bytes before the body: a status line and a dozen headers."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_OK = 200


class BadEvidenceAnswer(Exception):
    """What came is not the answer that was asked for; the text says what was found."""


class Stream(Protocol):
    """Where the question goes, and the answer comes from."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        ...

    async def receive(self) -> bytes:
        """Return what came next; nothing at the end."""
        ...


async def ask(stream: Stream, host: str, target: str, limit: int) -> bytes:
    """Ask for a target; return the body of the answer.

    Args:
        stream: A connection.
        host: The server's name, or its address.
        target: A path and a query: visible ASCII.
        limit: Most bytes of a body.

    Raises:
        BadAnswer: It is no HTTP, of another status, has no length or is longer than it says or may.

    """
    question = (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: l4proxy\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    )
    await stream.send(question.encode("ascii"))
    came = b""
    while (end := came.find(b"\r\n\r\n")) < 0:
        if len(came) > MAX_HEAD_BYTES:
            raise BadEvidenceAnswer(f"over {MAX_HEAD_BYTES} bytes before a body")
        came += await _more(stream, "before a body")
    length = _length(came[:end], limit)
    body = await take(stream, came[end + 4 :], length)
    if len(body) > length:
        raise BadEvidenceAnswer(f"more than the {length} bytes that it says")
    return body


async def take(stream: Stream, heard: bytes, size: int) -> bytes:
    """Return what was heard and what comes next, so many bytes or a few more.

    Raises:
        BadAnswer: The stream ends before.

    """
    found = bytearray(heard)
    while len(found) < size:
        found += await _more(stream, f"after {len(found)} of {size} bytes")
    return bytes(found)


async def _more(stream: Stream, where: str) -> bytes:
    data = await stream.receive()
    if not data:
        raise BadEvidenceAnswer(f"the end of the connection {where}")
    return data


def _length(head: bytes, limit: int) -> int:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise BadEvidenceAnswer("no HTTP")
    if int(status[1]) != _OK:
        raise BadEvidenceAnswer(f"status {int(status[1])}")
    fields = [line.partition(b":") for line in lines]
    if any(name.strip().lower() == b"transfer-encoding" for name, _, _ in fields):
        raise BadEvidenceAnswer("a transfer encoding, where a length was expected")
    lengths = {value.strip() for name, _, value in fields if name.lower() == b"content-length"}
    if len(lengths) != 1 or not _LENGTH.fullmatch(stated := lengths.pop()):
        raise BadEvidenceAnswer("no length, or several")
    if int(stated) > limit:
        raise BadEvidenceAnswer(f"{int(stated)} bytes, where {limit} are the most")
    return int(stated)
