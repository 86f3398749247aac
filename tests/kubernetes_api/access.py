"""Credentials for the fake API server, as files."""

import base64
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.kubernetes_api.certificates import authority, identity
from tests.kubernetes_api.server import ApiServer


def write_kubeconfig(
    path: Path,
    server: ApiServer,
    user: Mapping[str, object] | None = None,
    cluster: Mapping[str, object] | None = None,
) -> Path:
    """A kubeconfig of the administrator, unless it says who else."""
    entry: dict[str, object] = {
        "server": server.url,
        "certificate-authority-data": base64.b64encode(authority().encode()).decode(),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "other", "context": {"cluster": "none", "user": "none"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "default"}},
        ],
        "clusters": [{"name": "c", "cluster": entry | dict(cluster or {})}],
        "users": [{"name": "u", "user": {"token": "admin-token"} if user is None else dict(user)}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def certified(user: str) -> dict[str, object]:
    """What a kubeconfig says of a user with a client certificate."""
    mine = identity(user)
    return {
        "client-certificate-data": base64.b64encode(mine.certificate.encode()).decode(),
        "client-key-data": base64.b64encode(mine.key.encode()).decode(),
    }


def write_service_account(folder: Path, token: str, namespace: str = "default") -> Path:
    """The files that a pod finds."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(authority())
    (folder / "namespace").write_text(namespace)
    return folder
