"""How much a socket would take now: what the kernel says of its send buffer."""

import socket
import struct
from typing import Final

from l4proxy.dataplane.stream import Stream

_SO_MEMINFO: Final = 55  # asm-generic/socket.h; the socket module has no name for it
_read_meminfo: Final = struct.Struct("12xI4xI").unpack_from  # SK_MEMINFO_SNDBUF, _WMEM_QUEUED
_MEMINFO_BYTES: Final = 24  # up to the second of them (linux/sock_diag.h)

_COST: Final = 2
"""Bytes of the buffer for one that is sent, at most: in segments of 1,448 bytes, each in a buffer
of its own, the kernel's bookkeeping takes nearly as much as they do."""

_COUNTED: Final = {socket.AF_INET, socket.AF_INET6}


def room(sock: Stream) -> int:
    """Return how many bytes a send would take at once, or fewer; 0 where nobody can tell.

    Nobody but the caller sends on it, so the room stays until he does: acknowledgements only make
    more. Only a kernel that runs out of memory for all its sockets takes less than it promised.
    """
    if sock.family not in _COUNTED:
        return 0
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
        size, queued = map(int, _read_meminfo(info))
    except (OSError, struct.error):  # before Linux 4.12
        return 0
    return max(0, size - queued) // _COST
