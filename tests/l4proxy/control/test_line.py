"""Tests of a bounded connection: both families, unix, vsock, ends, and backends that flood."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from l4proxy.control.line import MAX_PROBE_BYTES, Line, TooLong
from routing import Address
from tests.l4proxy.control.servers import PATIENCE_SECONDS, backend
from tests.l4proxy.vsock import vsock_server
from tests.ports import free_port


@contextmanager
def listening(
    family: socket.AddressFamily, where: str | tuple[str, int]
) -> Iterator[socket.socket]:
    """A socket that listens and accepts nobody by itself."""
    with socket.socket(family) as sock:
        sock.bind(where)
        sock.listen()
        yield sock


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_it_dials_addresses(family: socket.AddressFamily, host: str) -> None:
    """What is sent arrives, over IPv4 and IPv6."""
    with (
        listening(family, (host, 0)) as server,
        Line(Address(host, server.getsockname()[1])) as line,
    ):
        await line.connect()
        await line.send(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(10) == b"hello"
            accepted.sendall(b"well")
            assert await line.receive() == b"well"


async def test_it_dials_unix_sockets(tmp_path: Path) -> None:
    """A path is as good as an address, and where its queue is full it is asked again."""
    path = str(tmp_path / "backend.sock")
    with listening(socket.AF_UNIX, path) as server, socket.socket(socket.AF_UNIX) as other:
        server.listen(0)
        other.connect(path)
        with Line(Address(path, 0)) as line:
            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
                dialling = tasks.create_task(line.connect())
                await asyncio.sleep(0.05)
                assert not dialling.done()
                server.accept()[0].close()


async def test_nobody_there_is_an_error() -> None:
    """Who does not listen refuses."""
    address = Address("127.0.0.1", free_port())
    with Line(address) as line, pytest.raises(ConnectionRefusedError):
        await line.connect()


async def test_it_dials_vsock() -> None:
    """A machine of this host is as good as an address."""
    with vsock_server() as (server, address), Line(address) as line:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await line.connect()
            await line.send(b"hello")
            accepted, _ = server.accept()
            with accepted:
                accepted.settimeout(PATIENCE_SECONDS)
                assert accepted.recv(10) == b"hello"
                accepted.sendall(b"well")
                assert await line.receive() == b"well"


class Connecting:
    """A vsock whose connect takes until the loop turns; the kernel of a test may have none."""

    def __init__(self, fault: int) -> None:
        self.sock, self.far = socket.socketpair()
        self.fault = fault
        self.place: object = None

    def setblocking(self, _flag: bool) -> None:
        """It does not block."""

    def connect_ex(self, place: object) -> int:
        """Begin."""
        self.place = place
        return errno.EINPROGRESS

    def getsockopt(self, *option: int) -> int:
        """Say why there is no connection."""
        assert option == (socket.SOL_SOCKET, socket.SO_ERROR)
        return self.fault

    def fileno(self) -> int:
        """A descriptor that is ready for writing."""
        return self.sock.fileno()

    def close(self) -> None:
        """Close both ends."""
        self.sock.close()
        self.far.close()


@pytest.mark.parametrize("fault", [0, errno.ECONNRESET])
async def test_a_vsock_is_connected_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    """By context id and port, once the kernel knows."""
    sock = Connecting(fault)
    asked: list[int] = []

    def made(family: int, _kind: int) -> Connecting:
        asked.append(family)
        return sock

    monkeypatch.setattr("l4proxy.control.line.socket.socket", made)
    with Line(Address("vsock:16", 8443)) as line:
        monkeypatch.undo()
        async with asyncio.timeout(PATIENCE_SECONDS):
            if fault:
                with pytest.raises(ConnectionResetError):
                    await line.connect()
            else:
                await line.connect()
    assert (asked, sock.place) == ([socket.AF_VSOCK], (16, 8443))


async def test_a_machine_that_is_not_there_is_an_error() -> None:
    """Whatever this kernel says of it, or nothing before the deadline; also without any vsock."""

    async def dial() -> None:
        async with asyncio.timeout(0.1):
            with Line(Address("vsock:4294967294", 8443)) as line:
                await line.connect()

    with pytest.raises(OSError):  # noqa: PT011 - each kernel has another word
        await dial()


async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A script: send without end."""
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def test_a_flood_is_read_up_to_the_bound() -> None:
    """Nobody reads more than `MAX_PROBE_BYTES` of a backend; the goodbye reads as much again."""
    async with backend(floods) as visits, asyncio.timeout(PATIENCE_SECONDS):
        with Line(visits.address) as line:
            await line.connect()
            read = 0
            while read < MAX_PROBE_BYTES:
                read += len(await line.receive())
            assert read == MAX_PROBE_BYTES
            with pytest.raises(TooLong):
                await line.receive()
            await line.leave()


async def test_it_leaves_in_good_order() -> None:
    """The backend sees the end of the stream and no reset, though it had more to say."""

    async def greets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n" * 1_000)

    async with backend(greets) as visits, asyncio.timeout(PATIENCE_SECONDS):
        with Line(visits.address) as line:
            await line.connect()
            await line.leave()
        assert await visits.ended() == "fin"
