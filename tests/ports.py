"""Ports for what is told its port before it listens there: daemons, real servers, dead backends.

Nobody holds a port between the moment it is drawn and the moment its server binds it. If it comes
from the kernel's choice (32768 and up on Linux), any connection that goes out meanwhile may be
given it; if it is drawn from a range by chance, another process of tests may draw the same. So each
process leases a block of ports below the kernel's choice, and no other takes from it.

The lease is an abstract unix socket with the block's name. Only one process can bind it, whichever
checkout it runs from; the kernel gives it back when the process ends, also when it is killed; and
it holds in one network namespace, as ports do.

Port 0 needs none of this: a server that listens at once and is asked for its port holds it.
"""

import errno
import socket
from collections.abc import Iterable
from itertools import cycle, islice

_BLOCKS = [range(start, start + 500) for start in range(20_000, 32_000, 500)]


class Lease:
    """A block of ports that this process has to itself, until it ends or closes the lease.

    Attributes:
        ports: The block.
    """

    def __init__(self, blocks: Iterable[range] = _BLOCKS) -> None:
        """Takes the first block that no process has.

        Raises:
            RuntimeError: All are taken.
        """
        self._claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.ports = self._take(blocks)
        self._next = cycle(self.ports)

    def _take(self, blocks: Iterable[range]) -> range:
        for block in blocks:
            if _bound(self._claim, f"\0l4proxy tests: ports {block.start} to {block.stop - 1}"):
                return block
        self.close()
        raise RuntimeError("all blocks of ports are leased: too many runs of tests on this machine")

    def free_port(self, host: str) -> int:
        """The next port of the block that nobody has on this host; none twice in one round.

        Raises:
            RuntimeError: All ports of the block are in use.
            OSError: The host is none of this machine.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for port in islice(self._next, len(self.ports)):
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                if _bound(sock, (host, port)):
                    return port
        raise RuntimeError(f"all ports from {self.ports.start} are in use on {host}")

    def close(self) -> None:
        """Gives the block back."""
        self._claim.close()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has, and that no other process of tests is given."""
    return LEASE.free_port(host)


def _bound(sock: socket.socket, name: str | tuple[str, int]) -> bool:
    """Whether the name was free, and is the socket's now."""
    try:
        sock.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


LEASE = Lease()
"""This process's own, taken on import: before any test counts descriptors."""
