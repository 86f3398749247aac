"""Where the API is, and how one is let in there."""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from l4proxy.kubernetes.errors import ApiError, ApiFault

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, the certificate authority of the API and its namespace."""

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


def load_access(kubeconfig: Path | None = None) -> Access:
    """Return how the API is reached: by a kubeconfig, or as a pod by its service account.

    Files are read here and now, but for tokens, which are read with each question as they change.

    Raises:
        ApiError: There are no credentials there, or none that can be used.
    """
    if kubeconfig is None:
        return in_cluster(os.environ)
    # Needs a YAML parser, which a pod's balancer does not.
    from l4proxy.kubernetes.kubeconfig import from_kubeconfig  # noqa: PLC0415 - see above

    return from_kubeconfig(kubeconfig)


def in_cluster(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access:
    """Return how a pod reaches the API of its cluster.

    Raises:
        ApiError: This is no pod, or it has no service account.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise no_credentials(
            "found no KUBERNETES_SERVICE_HOST, expected to run in a pod: elsewhere name a "
            "`kubeconfig`"
        )
    authority = f"[{host}]" if ":" in host else host
    token = folder / "token"
    read_token(token)
    return Access(
        f"https://{authority}:{port}",
        tls_context(read_text(folder / "ca.crt")),
        read_text(folder / "namespace").strip() or "default",
        token=lambda: read_token(token),
    )


def tls_context(authorities: str | None) -> ssl.SSLContext:
    """Return a context that believes these certificates, in PEM; None: those of the system.

    Raises:
        ApiError: They are none.
    """
    if authorities is not None and not authorities.strip():
        # To the library this would mean those of the system.
        raise no_credentials("certificate authority: found nothing, expected PEM")
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
