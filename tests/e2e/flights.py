"""Odd but valid first flights for one server name: how a client may cut, pad and spell its hello.

All are made of the hello that Python's own TLS client sends, so a server can read them too.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sni.client_hello import HANDSHAKE_HEADER
from tests.sni.hellos import python_hello, record, records, u16, vector

NAME = "app.example.com"
RECORD_HEADER = 5
MAX_FRAGMENT = 16_384
PADDING = 21
"""The extension that only takes room (RFC 7685)."""
_BEFORE_SESSION_ID = HANDSHAKE_HEADER + 2 + 32

Extension = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Flight:
    """The first bytes of a client.

    Attributes:
        label: What is odd about them.
        pieces: One write each; the server may see them one after the other.
    """

    label: str
    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        """The label."""
        return self.label


def odd_flights() -> Iterator[Flight]:
    """Every odd flight."""
    wire = python_hello(NAME)
    message = wire[RECORD_HEADER:]
    yield Flight("whole", (wire,))
    yield Flight("with data behind it", (wire + record(b"early", 0x17, 0x0303),))
    yield Flight("one byte a write", tuple(bytes([byte]) for byte in wire))
    for at in _spread(len(wire), 25):
        yield Flight(f"two writes, cut at {at}", (wire[:at], wire[at:]))
    for at in _spread(len(message), 28):
        yield Flight(f"two records, cut at {at}", (records(message, [at]),))
    yield Flight("one byte a record", (records(message, [1] * len(message)),))
    for size in (5_000, 12_000, 15_500, 17_000, 33_000, 60_000):
        for last in (False, True):
            where = "last" if last else "first"
            padded = padded_to(size, message, name_last=last)
            yield Flight(f"{size} bytes, name {where}", (in_full_records(padded),))
    for odd in ("APP.Example.COM", "app.example.com."):
        yield Flight(f"spelled {odd}", (renamed(message, odd.encode()),))


def in_full_records(message: bytes) -> bytes:
    """A message in as few records as it takes."""
    return records(message, [MAX_FRAGMENT] * (len(message) // MAX_FRAGMENT))


def padded_to(size: int, message: bytes, *, name_last: bool) -> bytes:
    """A hello blown up to so many bytes, its server name before or behind all else."""
    head, extensions = _taken_apart(message)
    (name,) = (extension for extension in extensions if extension[0] == 0)
    others = [extension for extension in extensions if extension[0] not in {0, PADDING}]
    bare = _put_together(head, [name, *others])
    padding = (PADDING, bytes(size - len(bare) - 4))
    ordered = [padding, *others, name] if name_last else [name, *others, padding]
    return _put_together(head, ordered)


def renamed(message: bytes, name: bytes) -> bytes:
    """A hello, in one record, that spells its server name so."""
    head, extensions = _taken_apart(message)
    spelled = vector(2, b"\0" + vector(2, name))
    return record(_put_together(head, [(k, spelled if k == 0 else d) for k, d in extensions]))


def _spread(length: int, count: int) -> list[int]:
    """So many different offsets within a length, both ends among them."""
    return [1 + at * (length - 2) // (count - 1) for at in range(count)]


def _taken_apart(message: bytes) -> tuple[bytes, list[Extension]]:
    """What stands before the extensions, handshake header left out, and the extensions."""
    at = _BEFORE_SESSION_ID
    for prefix in (1, 2, 1):  # session id, cipher suites, compression methods
        at += prefix + int.from_bytes(message[at : at + prefix], "big")
    extensions, rest = [], message[at + 2 :]
    while rest:
        kind, size = struct.unpack_from(">HH", rest)
        extensions.append((kind, rest[4 : 4 + size]))
        rest = rest[4 + size :]
    return message[HANDSHAKE_HEADER:at], extensions


def _put_together(head: bytes, extensions: Iterable[Extension]) -> bytes:
    listed = b"".join(u16(kind) + vector(2, data) for kind, data in extensions)
    return b"\x01" + vector(3, head + vector(2, listed))
