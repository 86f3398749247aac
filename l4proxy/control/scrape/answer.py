"""An HTTP/1.1 answer with a metrics page: bounded before it is kept, read as it says. Sans-I/O.

Its body is as long as it says, or comes in chunks (RFC 9112 §6, §7.1). One that ends with the
connection is refused: nobody could tell it from one that was cut off.
"""

import re
from collections.abc import Callable
from typing import Final

from l4proxy.control.scrape.source import ScrapeFault

MAX_PAGE_BYTES: Final = 1024 * 1024
"""Of a page: an exporter of a thousand series fills 100 KiB."""

MAX_ANSWER_BYTES: Final = 2 * MAX_PAGE_BYTES
"""Of an answer with all that is around its page: interim heads, lengths of chunks, trailers."""

MAX_HEAD_BYTES: Final = 8 * 1024
"""Bytes before a body, behind it, and of the line before a chunk: a dozen headers."""

MAX_INTERIM_HEADS: Final = 8
"""Heads before the one of the answer: nobody asks for any, and proxies on the way send one."""

MAX_CHUNKS: Final = 8_192
"""Pieces that a body comes in: each costs a microsecond, and Go's have 2 KiB, so that 512 do."""

OPENMETRICS: Final = b"application/openmetrics-text"
"""The type of pages that say where they end."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,8}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?")
# What surrounds a value is stripped later: here it could be told apart in a million ways.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):([^\r\n\0]*+)")
_EOF = (b"# EOF\n", b"# EOF")
_OK, _CONTINUE = 200, 100


class BadPage(Exception):
    """What came is not a metrics page; the text says what was found.

    Attributes:
        fault: What kind of failure it is.
    """

    def __init__(self, found: str, fault: ScrapeFault = ScrapeFault.MALFORMED) -> None:
        super().__init__(found)
        self.fault = fault


class PageAnswer:
    """One answer, as its bytes come.

    Attributes:
        keeps: Whether the connection may be asked again; known when the answer is whole.
        begun: Whether anything of it has come.
    """

    def __init__(self) -> None:
        """Expect the first byte."""
        self.keeps = True
        self.begun = False
        self._heard = 0
        self._came = bytearray()
        self._body = bytearray()
        self._left = 0  # of the body, or of the chunk
        self._interim = 0  # heads before the one of the answer
        self._behind = 0  # bytes of trailers
        self._chunks: int | None = None  # None: the body comes in one piece
        self._opens = False  # whether it is OpenMetrics, and says where it ends
        self._next: Callable[[], bool] = self._head

    @property
    def held(self) -> int:
        """Bytes that are kept of it."""
        return len(self._came) + len(self._body)

    def receive(self, data: bytes) -> bytes | None:
        """Take what came next; return the page when it is whole.

        Raises:
            BadAnswer: It is no page; nothing more is to be received.

        """
        self.begun = True
        self._heard += len(data)
        if self._heard > MAX_ANSWER_BYTES:
            raise BadPage(f"over {MAX_ANSWER_BYTES} bytes around a page", ScrapeFault.TOO_LONG)
        self._came += data
        while self._next():
            pass
        if self._next != self._whole:
            return None
        if self._came:
            raise BadPage("more than the answer that it announced")
        if self._opens and not self._body.endswith(_EOF):
            raise BadPage("an OpenMetrics page without # EOF")
        return bytes(self._body)

    # Each of these reads one part, and returns whether the next can be tried; False: more bytes
    # have to come, or all is there.

    def _head(self) -> bool:
        head = self._until(b"\r\n\r\n", "before a body")
        if head is None:
            return False
        first, *lines = head.split(b"\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise BadPage("no HTTP")
        if int(status[2]) == _CONTINUE:  # nobody asked for it, and the answer is still to come
            self._interim += 1
            if self._interim > MAX_INTERIM_HEADS:
                raise BadPage(f"over {MAX_INTERIM_HEADS} interim heads", ScrapeFault.TOO_LONG)
            return True
        if int(status[2]) != _OK:
            raise BadPage(f"status {int(status[2])}", ScrapeFault.REFUSED)
        fields = _fields(lines)
        wishes = _words(fields, b"connection")
        self.keeps = b"close" not in wishes and (status[1] == b"1" or b"keep-alive" in wishes)
        if _words(fields, b"content-encoding") - {b"identity"}:
            raise BadPage("a content encoding that nobody asked for")
        kind = b"".join(fields.get(b"content-type", ())).partition(b";")[0]
        self._opens = kind.strip().lower() == OPENMETRICS
        self._frame(fields)
        return True

    def _frame(self, fields: dict[bytes, list[bytes]]) -> None:
        """Take how the body is delimited."""
        codings, lengths = fields.get(b"transfer-encoding", []), fields.get(b"content-length", [])
        if not lengths and [each.lower() for each in codings] == [b"chunked"]:
            self._chunks, self._next = 0, self._chunk_line
            return
        if codings or len(set(lengths)) != 1 or not _LENGTH.fullmatch(lengths[0]):
            raise BadPage("no length and no chunks, or both, or several")
        self._expect(int(lengths[0]))

    def _data(self) -> bool:
        part = self._came[: self._left]
        del self._came[: len(part)]
        self._body += part
        self._left -= len(part)
        if self._left:
            return False
        self._next = self._whole if self._chunks is None else self._chunk_end
        return True

    def _chunk_line(self) -> bool:
        line = self._until(b"\r\n", "before a chunk")
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadPage("a chunk without a length")
        self._chunks = (self._chunks or 0) + 1
        if self._chunks > MAX_CHUNKS:
            raise BadPage(f"over {MAX_CHUNKS} chunks", ScrapeFault.TOO_LONG)
        self._expect(int(match[1], 16))
        if not self._left:
            self._next = self._trailer
        return True

    def _chunk_end(self) -> bool:
        if not b"\r\n".startswith(end := self._came[:2]):
            raise BadPage("a chunk of another length than it says")
        if len(end) == len(b"\r\n"):
            del self._came[:2]
            self._next = self._chunk_line
            return True
        return False

    def _trailer(self) -> bool:
        """Pass over one field behind the body; the empty one is the end."""
        line = self._until(b"\r\n", "behind a body")
        if line is None:
            return False
        self._behind += len(line) + len(b"\r\n")
        if self._behind > MAX_HEAD_BYTES:
            raise BadPage(f"over {MAX_HEAD_BYTES} bytes behind a body", ScrapeFault.TOO_LONG)
        if not line:
            self._next = self._whole
        return bool(line)

    def _whole(self) -> bool:
        return False

    def _until(self, end: bytes, where: str) -> bytes | None:
        """Return what came before a delimiter, and pass over both; None: it has not come."""
        at = self._came.find(end)
        if max(at, 0) > MAX_HEAD_BYTES or (at < 0 and len(self._came) > MAX_HEAD_BYTES):
            raise BadPage(f"over {MAX_HEAD_BYTES} bytes {where}", ScrapeFault.TOO_LONG)
        if at < 0:
            return None
        found = bytes(self._came[:at])
        del self._came[: at + len(end)]
        return found

    def _expect(self, size: int) -> None:
        """Expect so many bytes more of the body."""
        if len(self._body) + size > MAX_PAGE_BYTES:
            raise BadPage(f"over {MAX_PAGE_BYTES} bytes", ScrapeFault.TOO_LONG)
        self._left, self._next = size, self._data


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    found = dict[bytes, list[bytes]]()
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadPage("a header that is none")
        found.setdefault(match[1].lower(), []).append(match[2].strip(b" \t"))
    return found


def _words(fields: dict[bytes, list[bytes]], name: bytes) -> set[bytes]:
    """Return the words of a field that is a list."""
    values = b",".join(fields.get(name, ()))
    return {word.strip().lower() for word in values.split(b",")} - {b""}
