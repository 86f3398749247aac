"""What it takes to reach an API: where it is, whom to believe there, and what to show."""

import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from l4proxy.kubernetes.errors import ApiError, ApiFault

MAX_CREDENTIAL_BYTES: Final = 1024 * 1024
"""Of a file with credentials: bundles of certificates have some 200 KB, kubeconfigs less."""

MAX_TOKEN_BYTES: Final = 16 * 1024
"""Of a token: a service account's has 1.2 KB, and it travels with every question."""

Token = Callable[[], str]
"""Returns the token as it is at this moment."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one API server.

    Attributes:
        server: `https://host:port`, and a path before the API's own where there is one.
        tls: Whom to believe, and the client certificate where there is one.
        namespace: The one that is meant when none is named.
        server_name: The name in the server's certificate, where it is not the host's.
        token: What proves who we are; None: a client certificate does.
    """

    server: str
    tls: ssl.SSLContext = field(repr=False, compare=False)
    namespace: str = "default"
    server_name: str | None = None
    token: Token | None = field(default=None, repr=False, compare=False)


def tls_context(authorities: str | None) -> ssl.SSLContext:
    """Return a context that believes these certificates, in PEM; None: those of the system.

    Raises:
        ApiError: They are none.
    """
    if authorities is not None and not authorities.strip():
        # To the library this would mean those of the system.
        raise no_credentials("certificate authority: found nothing, expected PEM")
    if authorities is not None:
        # The library takes ASCII alone; in bundles, comments may have more than that.
        authorities = authorities.encode("ascii", "replace").decode()
    try:
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise no_credentials(f"certificate authority: found {error}, expected PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_text(path: Path) -> str:
    """Return what stands in a file of credentials.

    Raises:
        ApiError: It cannot be read, or is too long.
    """
    try:
        # Whoever opens a pipe waits for whoever writes.
        if not stat.S_ISREG(path.stat().st_mode):
            raise no_credentials(f"{path}: found no regular file")
        with path.open("rb") as file:
            data = file.read(MAX_CREDENTIAL_BYTES + 1)
        if len(data) > MAX_CREDENTIAL_BYTES:
            expected = f"at most {MAX_CREDENTIAL_BYTES} bytes"
            raise no_credentials(f"{path}: found more, expected {expected}")
        return data.decode()
    except OSError as error:
        raise no_credentials(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise no_credentials(f"{path}: found no text") from error
    except ValueError as error:
        raise no_credentials(f"{str(path)!a}: found no path of a file") from error


def read_token(path: Path) -> str:
    """Return the token that stands in a file.

    Raises:
        ApiError: There is none.
    """
    return checked_token(read_text(path), str(path))


def checked_token(found: str, where: str) -> str:
    """Return a token without the space around it; it fits into a header.

    Raises:
        ApiError: It does not.
    """
    token = found.strip()
    if not token or len(token) > MAX_TOKEN_BYTES or not (token.isascii() and token.isprintable()):
        raise no_credentials(f"{where}: found no token, expected one on a line")
    return token


def no_credentials(message: str) -> ApiError:
    """Return the error that says why there are no credentials."""
    return ApiError(ApiFault.CREDENTIALS, f"credentials for Kubernetes: {message}")
