"""Promises of `l4proxy.agent.libssl`: what ctypes does is what OpenSSL should do."""

import contextlib
import ctypes
import ssl
import time

import pytest

from l4proxy.agent import libssl
from l4proxy.agent.libssl import (
    NoExporter,
    UnsuitableSsl,
    export,
    self_test,
    send_close_notify,
    use_ticket_key,
)
from l4proxy.agent.tls import server_context
from tests.l4proxy.agent.credentials import credentials
from tests.l4proxy.agent.parts import client_context

KEY = bytes(range(80))


def server() -> ssl.SSLContext:
    """A server."""
    return server_context(credentials(), KEY, ())


def pair(version: ssl.TLSVersion) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, after the handshake."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client_context()
    context.maximum_version = version
    here = context.wrap_bio(down, up)
    there = server().wrap_bio(up, down, server_side=True)
    for end in (here, there) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return here, there


def test_the_self_test_passes_here() -> None:
    """This Python's `ssl` can do all that the agent needs."""
    self_test(server)


def test_both_ends_export_the_same() -> None:
    """In TLS 1.3 the exporter value is one of the connection, and of no other."""
    here, there = pair(ssl.TLSVersion.TLSv1_3)
    assert export(here) == export(there)
    assert export(here) != export(pair(ssl.TLSVersion.TLSv1_3)[0])


def test_tls_1_2_exports_nothing() -> None:
    """What binds to a connection is defined for TLS 1.3 only."""
    here, _ = pair(ssl.TLSVersion.TLSv1_2)
    with pytest.raises(NoExporter, match=r"found TLSv1.2, expected TLS 1.3"):
        export(here)


def test_a_half_can_be_closed() -> None:
    """After its end one side reads on, and the other writes on."""
    here, there = pair(ssl.TLSVersion.TLSv1_3)
    assert send_close_notify(there)
    here.write(b"more")
    assert there.read(4) == b"more"
    assert here.read(1) == b""


@pytest.mark.parametrize("size", [0, 48, 79, 81])
def test_ticket_keys_of_other_sizes_are_refused(size: int) -> None:
    """OpenSSL takes 80 bytes."""
    with pytest.raises(UnsuitableSsl, match=f"refuses a ticket key of {size} bytes"):
        use_ticket_key(server(), bytes(size))


def _no_exporter(connection: libssl.Connection) -> bytes:
    return bytes(32)


def _a_new_one_each_time(connection: libssl.Connection) -> bytes:
    return time.monotonic_ns().to_bytes(32)


def _ignored(context: ssl.SSLContext, key: bytes) -> None:
    """Sets no ticket key."""


@pytest.mark.parametrize(
    ("call", "instead", "message"),
    [
        ("export", _no_exporter, "different exporter values"),
        ("export", _a_new_one_each_time, "different exporter values"),
        ("use_ticket_key", _ignored, "does not begin with the name"),
        ("send_close_notify", lambda _: False, "carries nothing"),
    ],
)
def test_the_self_test_notices_what_does_not_work(
    call: str, instead: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent whose `ssl` cannot be trusted does not start."""
    monkeypatch.setattr(libssl, call, instead)
    with pytest.raises(UnsuitableSsl, match=message):
        self_test(server)


def test_a_library_without_the_calls_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose OpenSSL cannot be found is unsuitable, in a word that says so."""
    monkeypatch.setattr(libssl, "_load", lambda: ctypes.CDLL("libc.so.6"))
    with pytest.raises(UnsuitableSsl, match="has no SSL_CTX_ctrl to be found"):
        self_test(server)

    def nothing() -> ctypes.CDLL:
        raise OSError("no such file")

    monkeypatch.setattr(libssl, "_load", nothing)
    with pytest.raises(UnsuitableSsl, match="no OpenSSL can be found"):
        self_test(server)
