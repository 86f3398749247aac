"""Credentials from a kubeconfig: its current context, and what that names.

What would change who we are or whom we believe, and is not done here, is refused by name: nothing
in the file is passed over in silence that would let us in otherwise than it says.
"""

import base64
import binascii
import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from l4proxy.kubernetes.access import (
    Access,
    Token,
    checked_token,
    no_credentials,
    read_text,
    read_token,
    tls_context,
)
from l4proxy.kubernetes.objects import field, items, text
from l4proxy.secret_file import no_password

_CLUSTER: Final = ("insecure-skip-tls-verify", "proxy-url")
_USER: Final = (
    ("exec", "exec plug-ins are not run: give a `token`, a `tokenFile` or a client certificate"),
    ("auth-provider", "expected a `token`, a `tokenFile` or a client certificate"),
    ("username", "expected a `token`, a `tokenFile` or a client certificate"),
    ("as", "impersonation is not done"),
    ("as-groups", "impersonation is not done"),
    ("as-uid", "impersonation is not done"),
    ("as-user-extra", "impersonation is not done"),
)

# What the library raises beside its own errors, of tags and dates that do not fit.
_YAML_SLIPS: Final = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def from_kubeconfig(path: Path) -> Access:
    """Return how the API is reached by the current context of a kubeconfig.

    Raises:
        ApiError: It cannot be read, contradicts itself, or asks for what is not done here.
    """
    try:
        found: object = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, *_YAML_SLIPS) as error:
        raise no_credentials(f"{path}: found no YAML") from error
    current = text(found, "current-context")
    if not current:
        raise no_credentials(f"{path}: found no current-context")
    context = _named(path, found, "context", current)
    cluster = _named(path, found, "cluster", text(context, "cluster") or "")
    user = _named(path, found, "user", text(context, "user") or "")
    for key in _CLUSTER:
        if field(cluster, key):
            raise no_credentials(f"{path}: found `{key}`, expected a cluster without it")
    for key, why in _USER:
        if field(user, key) is not None:
            raise no_credentials(f"{path}: found `{key}`: {why}")
    tls = tls_context(_content(path, cluster, "certificate-authority"))
    certified = _identify(path, user, tls)
    token = _token(path, user)
    if token is None and not certified:
        raise no_credentials(f"{path}: found neither a token nor a client certificate")
    return Access(
        _server(path, cluster),
        tls,
        text(context, "namespace") or "default",
        text(cluster, "tls-server-name"),
        token,
    )


def _named(path: Path, found: object, kind: str, name: str) -> object:
    """Return the entry of a list of named ones."""
    entries: Iterable[object] = items(found, f"{kind}s")
    inner = next((field(each, kind) for each in entries if text(each, "name") == name), None)
    if inner is None:
        raise no_credentials(f"{path}: found no {kind} {name!a}")
    return inner


def _server(path: Path, cluster: object) -> str:
    server = (text(cluster, "server") or "").rstrip("/")
    try:
        parts = urlsplit(server)
        fits = parts.scheme == "https" and parts.hostname and parts.port != 0
        plain = not (parts.query or parts.fragment or parts.username)
    except ValueError:
        fits = plain = False
    if not (fits and plain):
        # What stands before an `@` may be a password, and is not repeated.
        shown = server.rpartition("@")[2]
        raise no_credentials(f"{path}: found server {shown!a}, expected https://HOST:PORT")
    return server


def _content(path: Path, entry: object, key: str) -> str | None:
    """Return what `KEY-data` says, or the file that `KEY` names; None when there is neither."""
    data, file = text(entry, f"{key}-data"), text(entry, key)
    if data:
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise no_credentials(f"{path}: found no base64 in `{key}-data`") from error
    # Relative to the kubeconfig, as kubectl has it.
    return read_text(path.parent / file) if file else None


def _identify(path: Path, user: object, tls: ssl.SSLContext) -> bool:
    """Give the context the client certificate, if there is one; return whether there is."""
    certificate = _content(path, user, "client-certificate")
    key = _content(path, user, "client-key")
    if certificate is None and key is None:
        return False
    if certificate is None or key is None:
        raise no_credentials(f"{path}: found only one of client-certificate and client-key")
    # The library reads files only: this one is in memory, and nobody else's.
    descriptor = os.memfd_create("kubeconfig", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "w", closefd=False) as file:
            file.write(f"{certificate}\n{key}\n")
        # A key that is locked would have the library ask for its password on the terminal.
        tls.load_cert_chain(f"/proc/self/fd/{descriptor}", password=no_password)
    except (ssl.SSLError, ValueError) as error:
        raise no_credentials(f"{path}: client certificate: {error}") from error
    finally:
        os.close(descriptor)
    return True


def _token(path: Path, user: object) -> Token | None:
    if file := text(user, "tokenFile"):
        place = path.parent / file
        read_token(place)
        return lambda: read_token(place)
    if found := text(user, "token"):
        token = checked_token(found, f"{path}: token")
        return lambda: token
    return None
