"""How a balancer is let in: as the pod that it is, or by a kubeconfig."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from l4proxy.kubernetes.access import Access, no_credentials, read_text, read_token, tls_context
from l4proxy.kubernetes.kubeconfig import from_kubeconfig

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, the certificate authority of the API and its namespace."""


def load_access(kubeconfig: Path | None = None) -> Access:
    """Return how the API is reached: by a kubeconfig, or as a pod by its service account.

    Files are read here and now, but for tokens, which are read with each question as they change.

    Raises:
        ApiError: There are no credentials there, or none that can be used.
    """
    if kubeconfig is None:
        return in_cluster(os.environ)
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
