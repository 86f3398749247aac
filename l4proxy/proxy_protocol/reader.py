"""The reader: bytes of a connection in; "read more", its PROXY header, or a refusal out. No I/O."""

from typing import Final, Literal, NamedTuple, TypeAlias

from l4proxy.proxy_protocol.errors import (
    NoProxyHeader,
    ProxyHeaderError,
    TruncatedProxyHeader,
)
from l4proxy.proxy_protocol.header import ProxyHeader
from l4proxy.proxy_protocol.v1 import V1_SIGNATURE, read_v1
from l4proxy.proxy_protocol.v2 import V2_SIGNATURE, read_v2
from sni import NEED_DATA, NeedData
from sni.wire import joined, quoted

# Bytes of a header of version 2, as nginx has it; the format goes to 65,551. Addresses, a server
# name, ids and even the name of a client certificate take a few hundred, and what a header
# announces is memory that we hold until it is there.
MAX_HEADER_BYTES: Final = 4_096

_TLS_HANDSHAKE: Final = b"\x16\x03"


class HeaderReceived(NamedTuple):
    """The header is whole and well formed.

    Attributes:
        header: What it says.
        rest: What was received behind it, to the byte: the client's.

    """

    header: ProxyHeader
    rest: bytes


class HeaderRejected(NamedTuple):
    """The bytes can never become a header that we take.

    Attributes:
        error: Why; ``error.reason`` labels it.

    """

    error: ProxyHeaderError


HeaderEvent: TypeAlias = Literal[NeedData.NEED_DATA] | HeaderReceived | HeaderRejected


class HeaderReader:
    """Reads the first bytes of one connection until they are a PROXY header, or never can be.

    Only for a listener that demands the header, and only from a peer that is trusted to tell the
    truth in it: whether one is there is never guessed (specification §2). Version 1 and 2 are told
    apart by their first byte.

    While undecided it holds fewer bytes than ``max_bytes``, or than the 107 of version 1. A verdict
    is final.

    Args:
        max_bytes: What a header of version 2 may take.

    """

    __slots__ = ("_event", "_max_bytes", "_received")

    def __init__(self, max_bytes: int = MAX_HEADER_BYTES) -> None:
        self._max_bytes = max_bytes
        self._received: bytes | bytearray = b""  # once the header is whole: what is behind it
        self._event: HeaderEvent = NEED_DATA

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take what a read returned, in order; a view is copied, so its buffer may be used again.

        Behind the header everything is kept; after a rejection nothing is.
        """
        if isinstance(self._event, HeaderRejected):
            return
        self._received = joined(self._received, bytes(data))
        if self._event is NEED_DATA:
            self._event = self._read()

    def receive_eof(self) -> None:
        """Take the end of the peer's bytes."""
        if self._event is NEED_DATA:
            found = f"closed after {len(self._received)} bytes of an unfinished PROXY header"
            self._event = self._reject(TruncatedProxyHeader(found))

    def next_event(self) -> HeaderEvent:
        """Return what the bytes so far amount to; of a header's event only ``rest`` can grow."""
        if isinstance(self._event, HeaderReceived):
            return HeaderReceived(self._event.header, bytes(self._received))
        return self._event

    def _read(self) -> HeaderEvent:
        try:
            found = self._find()
        except ProxyHeaderError as error:
            # A traceback, this error's or that of the one it was made of, would hold this frame,
            # which holds the reader, which holds the error.
            error.__context__ = None
            return self._reject(error.with_traceback(None))
        if found is None:
            return NEED_DATA
        header, size = found
        self._received = bytes(self._received[size:])
        return HeaderReceived(header, b"")

    def _find(self) -> tuple[ProxyHeader, int] | None:
        wire = self._received
        if _agree(wire, V1_SIGNATURE):
            return read_v1(wire)
        if _agree(wire, V2_SIGNATURE):
            return read_v2(wire, self._max_bytes)
        what = "TLS without a PROXY header" if _agree(wire, _TLS_HANDSHAKE) else "no PROXY header"
        raise NoProxyHeader(f"{what}: {quoted(wire)}, b'PROXY ' or {V2_SIGNATURE!r} expected")

    def _reject(self, error: ProxyHeaderError) -> HeaderRejected:
        self._received = b""
        return HeaderRejected(error)


def _agree(wire: bytes | bytearray, beginning: bytes) -> bool:
    """Whether the bytes that both have are the same."""
    return wire[: len(beginning)] == beginning[: len(wire)]
