"""Ports for servers that a test starts: no two processes of any test run draw the same.

A port that was free a moment ago is not one that stays free. So each process leases a block of
ports, below those that the kernel gives out by itself (32768 and up), and hands each of them out
once before any comes again. The lease is an abstract unix socket: the kernel lets one process have
a name, and takes it back however that process ends. Other runs on this machine keep to it, too.
"""

import functools
import itertools
import socket
from collections.abc import Iterator

BLOCK = 500
"""Ports of a block: more than a process of the whole run has open at any moment."""

BLOCKS = tuple(range(20_000, 32_000, BLOCK))
"""The first port of each block."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this process alone that nobody listens on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in itertools.islice(_ports(), BLOCK):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"each of this process's {BLOCK} ports is taken")


@functools.cache
def _ports() -> Iterator[int]:
    lease, first = _lease()
    return _handed_out(lease, first)


def _handed_out(_lease: socket.socket, first: int) -> Iterator[int]:
    # Holds the lease for as long as the process lives.
    yield from itertools.cycle(range(first, first + BLOCK))


def _lease() -> tuple[socket.socket, int]:
    lease = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for first in BLOCKS:
        try:
            lease.bind(f"\0l4proxy-tests-ports-{first}")
        except OSError:
            continue
        return lease, first
    raise AssertionError(f"other processes of tests have leased all {len(BLOCKS)} blocks of ports")
