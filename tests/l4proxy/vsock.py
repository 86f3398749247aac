"""vsock from this machine to itself, where the kernel has that."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from routing import Address

TRIED_SECONDS = 0.25
"""How long the kernel has to connect a machine to itself."""

_SELF = 1  # VMADDR_CID_LOCAL, vsock(7); the socket module has no name for it


@contextmanager
def vsock_server() -> Iterator[tuple[socket.socket, Address]]:
    """A backend that listens, and where it is dialled. Skips the test where there can be none."""
    try:
        server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError as error:
        pytest.skip(f"this kernel has no vsock: {error}")
    with server, socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as tried:
        tried.settimeout(TRIED_SECONDS)
        try:
            server.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            server.listen()
            port = server.getsockname()[1]
            tried.connect((_SELF, port))
        except OSError as error:
            pytest.skip(f"this kernel has no vsock to itself: {error}")
        server.settimeout(5)
        server.accept()[0].close()
        yield server, Address(f"vsock:{_SELF}", port)
