"""What a socket would take: a promise that the next send keeps."""

import socket
from contextlib import suppress

import pytest

from l4proxy.dataplane.send_buffer import room

MOST = 4 * 1024 * 1024


def _pair(send_buffer: int, segment: int) -> tuple[socket.socket, socket.socket]:
    """A TCP connection whose first end sends from a buffer of about so many bytes; 0: as it is."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as far:
        if segment:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        far.connect(server.getsockname())
        near, _ = server.accept()
        if send_buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        near.setblocking(False)
        return near, socket.socket(fileno=far.detach())


@pytest.mark.parametrize("segment", [0, 1_448, 536])
@pytest.mark.parametrize("send_buffer", [0, 4_096, 100_000, 1_000_000])
def test_what_there_is_room_for_is_taken(send_buffer: int, segment: int) -> None:
    """As long as there is room a send takes that much at once, until the buffer is full."""
    near, far = _pair(send_buffer, segment)
    with near, far:
        sent = 0
        while (free := room(near)) and sent < MOST:
            assert near.send(bytes(free)) == free
            sent += free
        assert sent


def test_a_full_socket_has_no_room() -> None:
    """Where a send takes nothing, none is promised."""
    near, far = _pair(100_000, 0)
    with near, far:
        with suppress(BlockingIOError):
            while near.send(bytes(65_536)):
                pass
        assert room(near) == 0


def test_nothing_is_promised_of_what_nobody_counts() -> None:
    """A Unix socket counts in another way, and a closed one tells nothing."""
    one, other = socket.socketpair()
    with one, other:
        assert room(one) == 0
    near, far = _pair(0, 0)
    near.close()
    far.close()
    assert room(near) == 0
