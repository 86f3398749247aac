"""Listening sockets: one a worker on one address, and an address has one owner."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy.control.listeners import CannotListen, UnixListener, bind
from routing import Address


@pytest.fixture
def bound() -> Iterator[contextlib.ExitStack]:
    """Closes what a test binds."""
    with contextlib.ExitStack() as stack:
        yield stack


def keep(stack: contextlib.ExitStack, sockets: list[socket.socket]) -> list[socket.socket]:
    """Close these sockets after the test."""
    for sock in sockets:
        stack.callback(sock.close)
    return sockets


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_worker_gets_a_socket_on_the_same_port(
    bound: contextlib.ExitStack, host: str
) -> None:
    """Port 0 is one free port for all; every socket listens and none blocks."""
    sockets = keep(bound, bind(Address(host, 0), 3))
    names = {sock.getsockname()[:2] for sock in sockets}
    assert len(sockets) == 3
    assert len(names) == 1
    for sock in sockets:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert not sock.getblocking()
        with pytest.raises(BlockingIOError):
            sock.accept()


def test_accepted_connections_inherit_their_options(bound: contextlib.ExitStack) -> None:
    """No delay and keepalive are set without a call for each connection."""
    (sock,) = keep(bound, bind(Address("127.0.0.1", 0), 1))
    sock.settimeout(10)
    with socket.create_connection(sock.getsockname(), timeout=10) as client:
        client.send(b"x")
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_an_address_in_use_is_refused(bound: contextlib.ExitStack) -> None:
    """A second daemon is not let in, though the first shares its port among its workers."""
    (sock, _) = keep(bound, bind(Address("127.0.0.1", 0), 2))
    port = sock.getsockname()[1]
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{port}: Address already in use"):
        bind(Address("127.0.0.1", port), 2)


def test_an_address_that_is_not_ours_is_refused() -> None:
    """An address of another machine cannot be listened on."""
    with pytest.raises(CannotListen, match="Cannot assign requested address"):
        bind(Address("192.0.2.1", 0), 1)


def test_nothing_stays_open_when_one_socket_fails(
    bound: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sockets that were bound before a failure are closed: the port is free again."""
    made: list[socket.socket] = []

    class Failing(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            made.append(self)
            if len(made) == 3:  # one is the claim
                raise OSError(28, "No space left on device")
            super().listen(backlog)

    monkeypatch.setattr(socket, "socket", Failing)
    with pytest.raises(CannotListen, match="No space left on device"):
        bind(Address("127.0.0.1", 0), 2)
    assert [sock.fileno() for sock in made] == [-1, -1, -1]


@pytest.mark.parametrize("order", [("0.0.0.0", "::"), ("::", "0.0.0.0")])  # noqa: S104 - both families everywhere is the case
def test_one_port_in_both_families(bound: contextlib.ExitStack, order: tuple[str, str]) -> None:
    """All of IPv4 and all of IPv6 are two addresses: a configuration may name both."""
    first, second = order
    for _ in range(10):  # a port that is free in one family may be somebody else's in the other
        sockets = keep(bound, bind(Address(first, 0), 2))
        port = sockets[0].getsockname()[1]
        with contextlib.suppress(CannotListen):
            keep(bound, bind(Address(second, port), 2))
            return
    pytest.fail(f"none of ten ports of {first} could be had on {second} as well")


def test_a_port_is_free_again_at_once(bound: contextlib.ExitStack) -> None:
    """Connections of an ended daemon that the kernel still remembers do not keep its port."""
    (sock,) = bind(Address("127.0.0.1", 0), 1)
    sock.settimeout(10)
    name = sock.getsockname()
    with socket.create_connection(name, timeout=10) as client:
        client.send(b"x")
        accepted, _ = sock.accept()
        accepted.close()  # ends first, so the kernel remembers it on our side
    sock.close()
    keep(bound, bind(Address(*name), 1))


def test_a_unix_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    """It takes connections, has mode 0600, and nothing is left of it at the end."""
    path = tmp_path / "admin.sock"
    listener = UnixListener(path)
    with listener.sock, socket.socket(socket.AF_UNIX) as client:
        assert path.stat().st_mode & 0o777 == 0o600
        client.connect(str(path))
    listener.remove()
    assert not path.exists()
    listener.remove()


def test_the_socket_of_a_daemon_that_is_gone_is_replaced(tmp_path: Path) -> None:
    """A file that nobody listens on keeps no daemon from starting."""
    path = tmp_path / "admin.sock"
    UnixListener(path).sock.close()
    listener = UnixListener(path)
    with listener.sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_socket_of_another_daemon_is_left_alone(tmp_path: Path) -> None:
    """Neither taken while somebody listens, busy or not, nor removed when it came later."""
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))  # fills its queue
        with pytest.raises(CannotListen, match=f"cannot listen on unix:{path}: Address already"):
            UnixListener(path)


def test_a_socket_that_came_later_is_not_removed(tmp_path: Path) -> None:
    """At the end only the daemon's own file goes, never its successor's."""
    path = tmp_path / "admin.sock"
    ours = UnixListener(path)
    path.rename(tmp_path / "moved")
    theirs = UnixListener(path)
    ours.remove()
    assert path.exists()
    for listener in (ours, theirs):
        listener.sock.close()


def test_what_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    """A file, a link or a folder at the path is an error, and stays."""
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="found a file that is no socket"):
        UnixListener(path)
    assert path.read_text() == "precious"
    with pytest.raises(CannotListen, match="No such file or directory"):
        UnixListener(tmp_path / "nowhere" / "admin.sock")


def test_two_daemons_that_start_at_once_do_not_take_each_others_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that is bound and does not listen yet is not taken for one that nobody serves."""
    path = tmp_path / "admin.sock"
    monkeypatch.setattr("l4proxy.control.listeners.LOCK_SECONDS", 0.0)
    change = Path.chmod
    tried: list[str] = []

    def chmod(found: Path, mode: int) -> None:
        with pytest.raises(CannotListen) as refusal:
            UnixListener(path)
        tried.append(str(refusal.value))
        change(found, mode)

    monkeypatch.setattr(Path, "chmod", chmod)
    listener = UnixListener(path)
    assert len(tried) == 1
    assert "another process has locked the folder" in tried[0]
    with listener.sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
