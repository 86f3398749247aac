"""The listening sockets: bound once, by the supervisor, one a worker and address.

Each worker has a queue of its own (SO_REUSEPORT), so the kernel spreads connections and no worker
wakes another. The supervisor keeps a copy of every socket: while one copy is open the queue lives,
and the successor of a worker that died serves the clients who were waiting in it.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from l4proxy.limits import BACKLOG, DEFER_ACCEPT_SECONDS
from routing import Address

LOCK_SECONDS = 1.0
"""How long a daemon that starts waits for another one that binds in the same folder."""

_LOCK_PAUSE_SECONDS = 0.01
_OWN_USER = 0o600


class CannotListen(OSError):
    """An address of the configuration cannot be bound."""


def bind(address: Address, count: int) -> list[socket.socket]:
    """Bind and listen on one address with `count` sockets. The caller closes them.

    Port 0 asks the kernel for a free port, the same for all sockets.

    Raises:
        CannotListen: The address is taken, not ours, or not allowed.
    """
    sockets: list[socket.socket] = []
    port = address.port
    try:
        _claim(address)
        for _ in range(count):
            sockets.append(_listening(address.host, port))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from error
    return sockets


class UnixListener:
    """A listening unix socket of mode 0600: only the daemon's own user may connect.

    Attributes:
        path: Where it is.
        sock: Listening; whoever serves it closes it.
    """

    def __init__(self, path: Path) -> None:
        """Bind and listen. The file of a daemon that is gone is replaced.

        Raises:
            CannotListen: Somebody listens there, something else is there, or it is not allowed.
        """
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # Another daemon that starts now would take ours, which does not listen yet, for one of
            # a daemon that is gone.
            with _alone(path.parent):
                _clear(path)
                self.sock.bind(str(path))
                # Nobody can connect before `listen`, so nobody slips in before the mode is set.
                path.chmod(_OWN_USER)
                self.sock.listen(BACKLOG)
                self._file = _identity(path)
        except OSError as error:
            self.sock.close()
            why = error.strerror or error
            raise CannotListen(f"cannot listen on unix:{path}: {why}") from error

    def remove(self) -> None:
        """Remove the file, unless another daemon's is there by now."""
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._file:
                self.path.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other daemons from binding in a folder during the block.

    Raises:
        OSError: There is no such folder, or another one holds it all the while.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        limit = time.monotonic() + LOCK_SECONDS
        while not _locked(descriptor):
            if time.monotonic() > limit:
                raise OSError(errno.EBUSY, "another process has locked the folder")
            time.sleep(_LOCK_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on; nothing else is ever removed.

    Raises:
        OSError: Somebody listens there, or it is no socket.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "found a file that is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
            except BlockingIOError:
                pass  # somebody listens, and is busy
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _claim(address: Address) -> None:
    """Raise OSError if somebody else listens there already.

    With SO_REUSEPORT a second daemon of the same user would be let in and take half the clients.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(1)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with contextlib.ExitStack() as undo:
        undo.callback(sock.close)
        if family == socket.AF_INET6:
            # [::] and 0.0.0.0 are two addresses, here as in the configuration.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit these: no call for each connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        undo.pop_all()
    return sock
