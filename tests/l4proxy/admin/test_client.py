"""The other end of the admin API: a document, or what is there instead."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import pytest

from l4proxy.admin import client
from l4proxy.admin.client import AdminClient, AdminRefused, AdminUnavailable
from tests.ports import free_port

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Example(TypedDict):
    """A document."""

    key: int


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of a server that says this to its first client, then waits for its end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_answer, args=(listening, answer))
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(20)
        assert not thread.is_alive()


def _answer(listening: socket.socket, answer: bytes) -> None:
    peer, _ = listening.accept()
    with peer:
        peer.settimeout(20)
        peer.recv(4096)
        peer.sendall(answer)
        while peer.recv(4096):
            pass


def _document(text: bytes) -> bytes:
    return HEAD % (len(text), text)


def test_a_document_is_returned() -> None:
    """Keys of a later version do no harm."""
    with answering(_document(b'{"key": 3, "newer": 4}')) as address:
        assert AdminClient(address).ask("/page", Example)["key"] == 3


@pytest.mark.parametrize(
    "answer",
    [
        _document(b"<html>"),
        _document(b"[]"),
        _document(b'{"other": 1}'),
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_strangers_are_told_from_the_api(answer: bytes) -> None:
    """Whatever else listens there is said to be no admin API."""
    with answering(answer) as address, pytest.raises(AdminUnavailable, match="admin API"):
        AdminClient(address).ask("/page", Example)


def test_nobody_listening_is_said_plainly() -> None:
    """The message names the address and what the system found."""
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(AdminUnavailable, match=f"{address}: Connection refused"):
        AdminClient(address).ask("/page", Example)


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is given up on."""
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.05)
    with answering(b"") as address, pytest.raises(AdminUnavailable, match="timed out"):
        AdminClient(address).ask("/page", Example)


def test_a_unix_socket_is_asked(tmp_path: Path) -> None:
    """An address may be a path."""
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(1)
        thread = threading.Thread(target=_answer, args=(listening, _document(b'{"key": 3}')))
        thread.start()
        assert AdminClient(f"unix:{path}").ask("/page", Example)["key"] == 3
        thread.join(20)


def test_a_change_is_asked_for() -> None:
    """What the API says of it comes back."""
    with answering(_document(b'{"in_force": true}')) as address:
        found = AdminClient(address).change("PUT", "/page", {"weight": 1})
        assert found == {"in_force": True}


def test_a_change_that_is_refused_says_why() -> None:
    """The reason is the API's own."""
    refusal = _document(b'{"error": "taken"}').replace(b"200 OK", b"409 Conflict")
    with answering(refusal) as address, pytest.raises(AdminRefused, match="taken"):
        AdminClient(address).change("DELETE", "/page")
