"""How a document is signed, so that a hook knows who sent it and when.

The scheme is that of the Standard Webhooks specification (symmetric, `v1`): HMAC-SHA256 over id,
time and body. Libraries of many languages check it.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from l4proxy.secret_file import BadSecretFile, read_secret

PREFIX: Final = "whsec_"
"""What a key begins with, before its base64."""

LEAST_KEY_BYTES: Final = 24
"""Bytes of a key at least (Standard Webhooks, symmetric signatures)."""

MOST_KEY_BYTES: Final = 64
"""Bytes of a key at most (the same)."""


def read_key(path: Path) -> bytes:
    """Return the key of a file that holds `whsec_` and base64, on one line.

    Raises:
        BadSecretFile: Others may read the file, or it holds no such key.
        OSError: It cannot be read.

    """
    expected = f"{PREFIX} and the base64 of {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} bytes"
    try:
        text = read_secret(path).decode("ascii").strip()
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (UnicodeDecodeError, binascii.Error):
        raise BadSecretFile(f"{path}: found no key, expected {expected}") from None
    if not text.startswith(PREFIX) or not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
        raise BadSecretFile(f"{path}: found no such key, expected {expected}")
    return key


def signed_headers(key: bytes | None, name: str, utc: float, body: bytes) -> Mapping[str, str]:
    """Return the headers of a document: its id, when it is sent and, with a key, its signature."""
    moment = str(int(utc))
    headers = {"Webhook-Id": name, "Webhook-Timestamp": moment}
    if key is None:
        return headers
    mac = hmac.digest(key, f"{name}.{moment}.".encode() + body, "sha256")
    return {**headers, "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}"}
