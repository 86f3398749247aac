"""Bytes: a cursor that cannot read past its end, a buffer that grows in linear time, a quote."""

from typing import Final

from sni.errors import MalformedHello

# Bytes of a peer that an error message may quote: enough to know a protocol or a name by, too few
# to flood a log.
QUOTED_BYTES: Final = 32


class Cursor:
    """Reads big-endian fields of one structure from front to back (RFC 9846 §3).

    Invariant: ``0 <= at <= len(data)``; every read checks its bound first, so that no input makes
    it raise anything but MalformedHello.

    Args:
        data: The bytes of the structure, all of them.
        what: The structure's name in its RFC, for error messages.

    """

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        """The number of bytes not yet read."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Read ``size`` bytes.

        Raises:
            MalformedHello: Fewer are left.

        """
        start, end = self._at, self._at + size
        if end > len(self._data):
            raise MalformedHello(
                f"{self._what}: {size} bytes wanted at offset {start}, {self.left} left"
            )
        self._at = end
        return self._data[start:end]

    def number(self, size: int) -> int:
        """Read an unsigned number of ``size`` bytes.

        Raises:
            MalformedHello: Fewer bytes are left.

        """
        return int.from_bytes(self.take(size), "big")

    def vector(self, prefix: int, least: int = 0) -> bytes:
        """Read a vector: its length in ``prefix`` bytes, then so many bytes (RFC 9846 §3.4).

        Raises:
            MalformedHello: It is cut short, or shorter than the ``least`` bytes of its definition.

        """
        size = self.number(prefix)
        if size < least:
            raise MalformedHello(f"{self._what}: vector of {size} bytes, at least {least} expected")
        return self.take(size)

    def finish(self) -> None:
        """Hold that the structure ends here.

        Raises:
            MalformedHello: Bytes are left over.

        """
        if self.left:
            raise MalformedHello(f"{self._what}: {self.left} bytes after its end")


def numbers(data: bytes, what: str) -> tuple[int, ...]:
    """Split a list of 16-bit numbers.

    Raises:
        MalformedHello: The list ends in half a number.

    """
    if len(data) % 2:
        raise MalformedHello(f"{what}: {len(data)} bytes do not divide into 16-bit numbers")
    return tuple([data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)])


def joined(buffer: bytes | bytearray, chunk: bytes) -> bytes | bytearray:
    """Append ``chunk`` in time linear in its size; the result takes the place of ``buffer``.

    The first chunk is kept as it is, without a copy: most hellos arrive in one piece.
    """
    if not buffer:
        return chunk
    if isinstance(buffer, bytes):
        buffer = bytearray(buffer)
    buffer += chunk
    return buffer


def quoted(data: bytes | bytearray) -> str:
    """Show the beginning of a peer's bytes: ASCII only, control characters escaped, bounded."""
    shown = repr(bytes(data[:QUOTED_BYTES]))
    return shown if len(data) <= QUOTED_BYTES else f"{shown}… ({len(data)} bytes)"
