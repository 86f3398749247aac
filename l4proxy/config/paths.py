"""Paths of files and sockets: absolute, and in one spelling."""

from pathlib import Path
from posixpath import normpath
from typing import Final

from l4proxy.config.mistakes import expected

MAX_PATH_BYTES: Final = 4_095
"""Bytes of a path: Linux takes no longer one (PATH_MAX, less the byte that ends it)."""

MAX_SOCKET_PATH_BYTES: Final = 107
"""Bytes of the path of a unix socket: what an address has room for (unix(7), sun_path)."""


def parse_file_path(found: object) -> Path:
    """Return the absolute path of a file.

    Raises:
        BadValueError: no absolute path, too long, or with a step that leads nowhere (`.`, `..`).
    """
    return _path(found, "", "an absolute path, such as /var/log/l4proxy.log", MAX_PATH_BYTES)


def parse_socket_path(found: object, prefix: str = "") -> Path:
    """Return the absolute path of a unix socket; `prefix` is what stands before it in `found`.

    Raises:
        BadValueError: no absolute path, too long, or with a step that leads nowhere (`.`, `..`).
    """
    what = f"{prefix} and an absolute path" if prefix else "an absolute path"
    return _path(found, prefix, f"{what}, such as {prefix}/run/app.sock", MAX_SOCKET_PATH_BYTES)


def _path(found: object, prefix: str, what: str, most: int) -> Path:
    bare = found.removeprefix(prefix) if isinstance(found, str) else ""
    if not bare.startswith("/") or not bare.isprintable():
        raise expected(found, what)
    if len(bare.encode()) > most:
        raise expected(found, what, f"at most {most} bytes")
    # Two slashes at the start mean something of their own to POSIX, but nothing to Linux.
    plain = normpath(f"/{bare.lstrip('/')}")
    if plain == "/":
        raise expected(found, what, "the root is a folder")
    if plain != bare:
        raise expected(found, what, f"did you mean {prefix}{plain}?")
    return Path(plain)
