"""Files that only their owner reads: refused where others could, never written over."""

import os
import re
import stat
from pathlib import Path

MAX_SECRET_FILE_BYTES = 4_096
"""Largest file read as a secret: a routing key takes 55 bytes, a wrong file may be anything."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TOKEN = re.compile(rb"[!-~]+")


class BadSecretFile(ValueError):
    """A file that cannot be trusted with a secret, or holds none; never says what it holds."""


def read_secret(path: Path) -> bytes:
    """Return what a file holds that nobody but its owner may read.

    Raises:
        BadSecretFile: Others than we and root may read or write it, it is no plain file, or it is
            too long.
        OSError: It cannot be read.

    """
    # Without O_NONBLOCK a named pipe would keep us waiting for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BadSecretFile(f"{path}: found no plain file, expected one that holds a secret")
        if status.st_uid not in {0, os.geteuid()}:
            raise BadSecretFile(
                f"{path}: found the owner {status.st_uid}, expected {os.geteuid()} or root: "
                f"it is the secret of another user (chown {os.geteuid()} {path})"
            )
        if status.st_mode & _OTHERS:
            raise BadSecretFile(
                f"{path}: found mode {stat.S_IMODE(status.st_mode):04o}, expected 0600 or 0400: "
                f"others than its owner may use it (chmod 600 {path})"
            )
        data = file.read(MAX_SECRET_FILE_BYTES + 1)
    if len(data) > MAX_SECRET_FILE_BYTES:
        raise BadSecretFile(f"{path}: found more than {MAX_SECRET_FILE_BYTES} bytes, expected less")
    return data


def read_token(path: Path) -> str:
    """Return the token that such a file holds, as it stands in a header: without blanks around it.

    Raises:
        BadSecretFile: As of `read_secret`; or it holds something else than visible ASCII.
        OSError: It cannot be read.

    """
    token = read_secret(path).strip()
    if not _TOKEN.fullmatch(token):
        raise BadSecretFile(f"{path}: found no token, expected one of visible ASCII")
    return token.decode("ascii")


def no_password() -> str:
    """Refuse to ask for the password of a key's file: OpenSSL would do so at the terminal.

    Raises:
        BadSecretFile: Always.

    """
    raise BadSecretFile("the key: found one under a password, expected one without")


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600.

    Raises:
        FileExistsError: Something has this name already; it stays as it is.
        OSError: It cannot be written; nothing of this name is left.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
