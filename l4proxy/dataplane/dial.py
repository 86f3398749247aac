"""Opening the connection to a backend and saying the first words on it: the hello, replayed.

Connect and first send go out back to back, without waiting for writability: on a near network that
saves a wake-up, elsewhere the send says EAGAIN and the dial waits. A connection is not to be
trusted before the first send succeeded: until then the kernel may still report a refusal.
"""

import errno
import os
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache
from random import sample
from socket import SocketType
from typing import Final, Protocol

from l4proxy.dataplane.engine import NEVER, WRITABLE, Engine, Watcher
from l4proxy.dataplane.stream import Stream, unconnected
from l4proxy.limits import SOURCE_ATTEMPTS, UNIX_RETRY_SECONDS
from l4proxy.snapshot import Dialling
from routing import Address

_BIND_ADDRESS_NO_PORT: Final = 24  # linux/in.h; the socket module has no name for it before 3.12
_NEW: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_CONNECTING: Final = {0, errno.EINPROGRESS}
_TCP: Final = socket.IPPROTO_TCP
_NODELAY: Final = socket.TCP_NODELAY
_QUICKACK: Final = socket.TCP_QUICKACK
_ERROR: Final = socket.SOL_SOCKET, socket.SO_ERROR, 4
_UNIX: Final = int(socket.AF_UNIX)
_VSOCK: Final = int(socket.AF_VSOCK)
_SEND: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL

_KEPT_TARGETS: Final = 8_192  # every backend of a large configuration

NO_ANSWER: Final = "no_answer"
"""The dial failure of a backend that took the hello and ended without a byte."""


class Dialled:
    """A connected backend. Like `Call` a plain class: 0.2 µs to make, a NamedTuple 0.3.

    Attributes:
        sock: Its socket.
        unsent: What the socket did not take of the words yet.
        registered: The engine watches the socket already, for the dial had to wait.
    """

    __slots__ = ("registered", "sock", "unsent")

    def __init__(self, sock: Stream, unsent: bytes, *, registered: bool) -> None:
        self.sock: Final = sock
        self.unsent: Final = unsent
        self.registered: Final = registered


@dataclass(frozen=True, slots=True)
class DialFailed:
    """The backend could not be reached.

    Attributes:
        code: errno of the failed call; ETIMEDOUT at the deadline.
    """

    code: int

    @property
    def reason(self) -> str:
        """Return the failure as a metric label, such as `econnrefused`."""
        return errno.errorcode.get(self.code, "unknown").lower()

    @property
    def explanation(self) -> str:
        """Return the failure as the system words it."""
        return os.strerror(self.code)


class Dialler(Protocol):
    """Who waits for a dial."""

    def dialled(self, outcome: Dialled | DialFailed) -> None:
        """Take the outcome; a connected socket is the dialler's from then on."""

    def cut(self) -> None:
        """End: the process ends, and the socket of the dial is closed."""

    def on_failure(self, error: Exception) -> None:
        """End: serving the dial raised an error nobody foresaw."""


class Call:
    """What to dial, and what to say first.

    Attributes:
        address: Where the backend is.
        words: The PROXY header, if any, and the hello: sent as far as the socket takes them.
        timeout: Seconds from now until the dial has failed.
        source: The local IP literal to leave from; None: the kernel chooses.
    """

    __slots__ = ("address", "source", "timeout", "words")

    def __init__(
        self, address: Address, words: bytes, timeout: float, source: str | None = None
    ) -> None:
        self.address: Final = address
        self.words: Final = words
        self.timeout: Final = timeout
        self.source: Final = source


def leaving_from(dialling: Dialling, backend: Address) -> list[str]:
    """Return the source addresses to try for a backend, in this order; none: the kernel's choice.

    Any of those configured, so that each gives its share of ports.
    """
    sources = dialling.sources_for(backend)
    return sample(sources, min(len(sources), SOURCE_ATTEMPTS)) if sources else sources


def dial(engine: Engine, call: Call, dialler: Dialler) -> None:
    """Connect and send; `dialler.dialled` hears the outcome, perhaps before this returns."""
    family, name = _target(call.address.host, call.address.port)
    try:
        sock = _socket(family, call.source)
    except OSError as error:
        dialler.dialled(DialFailed(error.errno or errno.EMFILE))
        return
    code = sock.connect_ex(name)
    if code not in _CONNECTING:
        if code == errno.EAGAIN and sock.family == _UNIX:
            # A Unix socket whose backlog is full says so at once, never when it has room again.
            _Waiting(engine, sock, call, dialler).start_retrying()
            return
        sock.close()
        dialler.dialled(DialFailed(code))
        return
    if family is _VSOCK:
        # To a send before it is connected, vsock says ENOTCONN, as it does when it never will be.
        _Waiting(engine, sock, call, dialler).start()
        return
    try:
        sent = sock.send(call.words, _SEND)
    except BlockingIOError:
        _Waiting(engine, sock, call, dialler).start()
    except OSError as error:
        sock.close()
        dialler.dialled(DialFailed(error.errno or errno.EIO))
    else:
        dialler.dialled(Dialled(sock, call.words[sent:], registered=False))


def _socket(family: int, source: str | None) -> Stream:
    if family is _UNIX or family is _VSOCK:
        return SocketType(family, _NEW, 0)
    sock = unconnected(family) if source is None else _leaving(family, source)
    # The client's writes pass as they come: held back for an acknowledgement (Nagle), the second of
    # two small ones was measured to take 44 ms.
    sock.setsockopt(_TCP, _NODELAY, 1)
    # The last packet of the handshake waits for the hello, which goes out with it: one less for
    # the network, this kernel and the backend's.
    sock.setsockopt(_TCP, _QUICKACK, 0)
    return sock


def _leaving(family: int, source: str) -> Stream:
    sock = SocketType(family, _NEW, 0)
    # The port is chosen at connect, unique only for its destination: without this flag one source
    # address would give 28,000 connections to all backends together (ip(7)).
    sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    try:
        sock.bind((source, 0))
    except OSError:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=_KEPT_TARGETS)
def _target(host: str, port: int) -> tuple[int, str | tuple[str | int, int]]:
    """Return the family of an address, and its name as the socket module wants it."""
    address = Address(host, port)
    if address.is_path:
        return _UNIX, host
    if address.is_vsock:
        return _VSOCK, (address.cid, port)
    return int(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET), (host, port)


class _Waiting(Watcher):
    """A connect that has not finished. It owns the socket until the outcome is told."""

    __slots__ = ("_call", "_dialler", "_engine", "_give_up_at", "_sock", "deadline", "scheduled")

    def __init__(self, engine: Engine, sock: Stream, call: Call, dialler: Dialler) -> None:
        self._engine = engine
        self._sock = sock
        self._call = call
        self._dialler = dialler
        self._give_up_at = self.deadline = engine.now + call.timeout
        self.scheduled = NEVER

    def start(self) -> None:
        self._engine.register(self._sock.fileno(), WRITABLE, self)
        self._engine.schedule(self)

    def start_retrying(self) -> None:
        self.deadline = self._engine.now + UNIX_RETRY_SECONDS
        self._engine.schedule(self)

    def on_ready(self, _events: int) -> None:
        try:
            sent = self._sock.send(self._call.words, _SEND)
        except BlockingIOError:
            return
        except OSError as error:
            code = error.errno or errno.EIO
            if code == errno.ENOTCONN:  # vsock keeps why it failed to itself until it is asked
                code = int.from_bytes(self._sock.getsockopt(*_ERROR), sys.byteorder) or code
            self._fail(code)
            return
        self._engine.cancel(self)
        self._dialler.dialled(Dialled(self._sock, self._call.words[sent:], registered=True))

    def on_deadline(self) -> None:
        if self._engine.now >= self._give_up_at:
            self._fail(errno.ETIMEDOUT)
            return
        address = self._call.address
        code = self._sock.connect_ex(_target(address.host, address.port)[1])
        if code == errno.EAGAIN:
            self.deadline = self._engine.now + UNIX_RETRY_SECONDS
        elif code:
            self._fail(code)
        else:
            self.deadline = self._give_up_at
            self.start()

    def on_failure(self, error: Exception) -> None:
        self._close()
        self._dialler.on_failure(error)

    def on_cut(self) -> None:
        self._close()
        self._dialler.cut()

    def _fail(self, code: int) -> None:
        self._close()
        self._dialler.dialled(DialFailed(code))

    def _close(self) -> None:
        self._engine.cancel(self)
        self._engine.forget(self._sock.fileno())
        self._sock.close()
