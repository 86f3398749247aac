"""What Python's `ssl` lacks of the OpenSSL below it: ticket keys, the exporter, half-close.

The calls go by ctypes to the very library that `ssl` uses, with the pointers that CPython keeps in
its own objects. So a self-test comes first, and an agent that fails it does not start.
"""

import _ssl
import contextlib
import ctypes
import functools
import secrets
import ssl
from collections.abc import Callable
from typing import Final

from attestation import EXPORTER, EXPORTER_LABEL

TICKET_KEY: Final = 80
"""Bytes of a ticket key: name 16, HMAC 32, AES-256 32."""

Connection = ssl.SSLSocket | ssl.SSLObject

# ssl.h
_SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59
_SSL_ERROR_WANT_WRITE = 3
# CPython: PySSLContext is an object's header, then SSL_CTX *; PySSLSocket has PyObject * before its
# SSL *. The same in 3.11 to 3.14.
_HEADER = object.__basicsize__
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_INNER = "_sslobj"
_CALLS = (
    "SSL_CTX_ctrl",
    "SSL_export_keying_material",
    "SSL_shutdown",
    "SSL_get_error",
    "ERR_clear_error",
)


class UnsuitableSsl(RuntimeError):
    """This Python's `ssl` cannot be used: nobody's fault but the image's."""


class NoExporter(ValueError):
    """The connection is not TLS 1.3, so that nothing binds to it (RFC 9266 §4.2)."""


@functools.cache
def _load() -> ctypes.CDLL:
    # Looked up in `_ssl`, names are found in the OpenSSL that it is linked to.
    return ctypes.CDLL(_ssl.__file__)


def use_ticket_key(context: ssl.SSLContext, key: bytes) -> None:
    """Issue and open session tickets under this key alone.

    Raises:
        UnsuitableSsl: OpenSSL does not take it.

    """
    pointer = ctypes.c_void_p.from_address(id(context) + _HEADER)
    size = ctypes.c_long(len(key))
    if _load().SSL_CTX_ctrl(pointer, _SSL_CTRL_SET_TLSEXT_TICKET_KEYS, size, key) != 1:
        raise UnsuitableSsl(f"OpenSSL refuses a ticket key of {len(key)} bytes")


def export(connection: Connection) -> bytes:
    """Return the exporter value of a connection whose handshake is done: 32 bytes (RFC 9266).

    Raises:
        NoExporter: It is not TLS 1.3.
        UnsuitableSsl: OpenSSL does not give it.

    """
    if connection.version() != "TLSv1.3":
        raise NoExporter(f"found {connection.version()}, expected TLS 1.3")
    value = ctypes.create_string_buffer(EXPORTER)
    label = EXPORTER_LABEL.encode("ascii")
    done = _load().SSL_export_keying_material(
        _pointer(connection),
        value,
        ctypes.c_size_t(EXPORTER),
        label,
        ctypes.c_size_t(len(label)),
        None,
        ctypes.c_size_t(0),
        0,
    )
    if done != 1:
        raise UnsuitableSsl("OpenSSL gives no exporter value")
    return value.raw


def send_close_notify(connection: Connection) -> bool:
    """Say that nothing more will be written; reading goes on. False: try again when writable.

    Raises:
        OSError: The connection is broken.

    """
    library, pointer = _load(), _pointer(connection)
    done = library.SSL_shutdown(pointer)
    error = library.SSL_get_error(pointer, done)
    library.ERR_clear_error()
    if done >= 0:
        return True
    if error == _SSL_ERROR_WANT_WRITE:
        return False
    raise OSError(f"OpenSSL cannot end the connection: error {error}")


def self_test(server: Callable[[], ssl.SSLContext]) -> None:
    """Try all three on a connection in memory.

    Args:
        server: Makes a context that has a certificate.

    Raises:
        UnsuitableSsl: A call is missing, or does not do what it should.

    """
    try:
        library = _load()
    except OSError as error:
        raise UnsuitableSsl(f"no OpenSSL can be found through {_ssl.__name__}") from error
    missing = [name for name in _CALLS if not hasattr(library, name)]
    if missing:
        raise UnsuitableSsl(f"{ssl.OPENSSL_VERSION} has no {missing[0]} to be found")
    context, name = server(), secrets.token_bytes(16)
    use_ticket_key(context, name + secrets.token_bytes(TICKET_KEY - len(name)))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    session, values = _converse(client, context)
    if values[0] != values[1] or not any(values[0]):
        raise UnsuitableSsl("the two ends of a connection have different exporter values")
    hello = ssl.MemoryBIO()
    again = client.wrap_bio(ssl.MemoryBIO(), hello, session=session)
    with contextlib.suppress(ssl.SSLWantReadError):
        again.do_handshake()
    if name not in hello.read():
        raise UnsuitableSsl("a ticket does not begin with the name of its key")


def _converse(
    client: ssl.SSLContext, server: ssl.SSLContext
) -> tuple[ssl.SSLSession | None, tuple[bytes, bytes]]:
    """Return the client's session after a connection in memory, and what both ends export."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(down, up)
    there = server.wrap_bio(up, down, server_side=True)
    for end in (here, there, here, there):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    there.write(b"x")
    if here.read(1) != b"x" or not send_close_notify(there):
        raise UnsuitableSsl("a connection in memory carries nothing")
    here.write(b"y")
    if there.read(1) != b"y":
        raise UnsuitableSsl("a connection cannot be closed by half")
    return here.session, (export(here), export(there))


def _pointer(connection: Connection) -> ctypes.c_void_p:
    inner: object = getattr(connection, _INNER)
    if inner is None:
        raise OSError("the connection is closed")
    return ctypes.c_void_p.from_address(id(inner) + _HEADER + _POINTER)
