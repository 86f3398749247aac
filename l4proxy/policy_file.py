"""Policies as files: YAML in, `attestation.Policy` out; a mistake names file, line and column."""

import re
from pathlib import Path

from attestation import Kinds, Policy, PolicyError, read_policy
from l4proxy.config.document import MAX_DOCUMENT_BYTES, read_document
from l4proxy.config.mistakes import ConfigError, Mistake, Nothing

MAX_NAMED_BYTES = 64 * 1024
"""Bytes of a file that a policy names: one certificate in PEM has two thousand."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def load_policy(path: Path, kinds: Kinds) -> Policy:
    """Return the policy of a file.

    Args:
        path: Of the file; what it names relatively lies in the same folder.
        kinds: The kinds of TEE that it may name.

    Raises:
        ConfigError: The file cannot be read, is no YAML, or no policy.
    """
    source = str(path)
    try:
        text = _read(path, MAX_DOCUMENT_BYTES).decode()
    except (OSError, ValueError) as error:
        # A ValueError: bytes that are no UTF-8, or a name that no file can have.
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([Mistake(source, 0, 0, "", f"cannot be read: {why}")]) from error
    return parse_policy(text, path, kinds)


def parse_policy(text: str, path: Path, kinds: Kinds) -> Policy:
    """Return the policy of a text, which stands in the file of that path.

    Raises:
        ConfigError: It is no YAML, or no policy.
    """
    document = read_document(text, str(path))
    if document.mistakes:
        raise ConfigError(document.mistakes)
    try:
        return read_policy(
            _plain(document.value), kinds, lambda name: _read(path.parent / name, MAX_NAMED_BYTES)
        )
    except PolicyError as error:
        message = f"found {error.found}, expected {error.expected}"
        raise ConfigError([document.mistake(error.path, message)]) from error


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(0, f"over {limit} bytes")
    return data


def _plain(found: object) -> object:
    """Return a value as YAML's plain types: lists, None, and registers' numbers as numbers."""
    if isinstance(found, dict):
        return {_key(key): _plain(value) for key, value in found.items()}
    if isinstance(found, tuple):
        return [_plain(item) for item in found]
    return None if isinstance(found, Nothing) else found


def _key(key: str) -> str | int:
    return int(key) if _NUMBER.fullmatch(key) else key
