"""The least that a proxy in Python can be: the calls and nothing else.

    python benchmarks/beside/bare.py PORT BACKEND-PORT...

It reads no hello, decides nothing, counts nothing, has no deadline, keeps nothing for slow readers
and passes no reset on: a floor to measure against, never a proxy to run. What l4proxy costs more is
what it does more; what this costs more than HAProxy is the interpreter's call of the kernel.
"""

import contextlib
import itertools
import select
import socket
import sys
from socket import SocketType

_BUFFER = bytearray(256 * 1024)
_VIEW = memoryview(_BUFFER)
_NEW = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_INTEREST = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_ACCEPTS = 16


def main(port: int, backends: list[int]) -> None:
    """Serve on a port of 127.0.0.1 for ever, each backend in its turn."""
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        listener.setblocking(False)
        # Accepted together with its first bytes, as l4proxy does it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        _serve(listener, itertools.cycle([("127.0.0.1", backend) for backend in backends]))


def _serve(listener: socket.socket, backends: "itertools.cycle[tuple[str, int]]") -> None:
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    pairs: dict[int, tuple[SocketType, SocketType]] = {}
    while True:
        for fd, events in poll.poll():
            if fd != listener.fileno():
                if fd in pairs:
                    _relay(pairs, fd, events)
                continue
            with contextlib.suppress(BlockingIOError):
                for _ in range(_ACCEPTS):
                    _join(poll, pairs, listener, next(backends))


def _join(
    poll: select.epoll,
    pairs: dict[int, tuple[SocketType, SocketType]],
    listener: socket.socket,
    address: tuple[str, int],
) -> None:
    accepted, _ = listener.accept()
    client = SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, accepted.detach())
    size = client.recv_into(_BUFFER)
    backend = SocketType(socket.AF_INET, _NEW, 0)
    backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    backend.connect_ex(address)
    backend.send(_VIEW[:size])
    for source, sink in ((client, backend), (backend, client)):
        pairs[source.fileno()] = source, sink
        poll.register(source.fileno(), _INTEREST)


def _relay(pairs: dict[int, tuple[SocketType, SocketType]], fd: int, events: int) -> None:
    source, sink = pairs[fd]
    try:
        size = source.recv_into(_BUFFER, 0, socket.MSG_DONTWAIT)
        while size:
            sink.send(_VIEW[:size])
            if not events & select.EPOLLRDHUP:
                return
            size = source.recv_into(_BUFFER, 0, socket.MSG_DONTWAIT)
        sink.shutdown(socket.SHUT_WR)
    except BlockingIOError:
        return
    except OSError:
        pass
    # Whoever ends first ends both: enough for a load whose backend has said everything by then.
    for sock in (source, sink):
        del pairs[sock.fileno()]
        sock.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(word) for word in sys.argv[2:]])
