"""YAML as the agent reads it: bounded, plain values, no key twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Final

import yaml

from attestation import AttestationError

MAX_FILE_BYTES: Final = 64 * 1024
"""Bytes of a file that the agent reads: settings, or a policy, have some dozen lines."""


class YamlError(AttestationError):
    """A file, or a text, that cannot be read: the operator's fault."""


def read_yaml(path: Path) -> object:
    """Return what a file holds, in plain values.

    Raises:
        YamlError: It cannot be read, is too long, or is no YAML.

    """
    try:
        return parse_yaml(read_bytes(path).decode())
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror}") from error
    except (YamlError, UnicodeDecodeError) as error:
        raise YamlError(f"{path}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        OSError: It cannot be read, or is too long.

    """
    with path.open("rb") as file:
        found = file.read(MAX_FILE_BYTES + 1)
    if len(found) > MAX_FILE_BYTES:
        raise OSError(0, f"over {MAX_FILE_BYTES} bytes")
    return found


def parse_yaml(document: str) -> object:
    """Return what a text says, in plain values.

    Raises:
        YamlError: It is no YAML, or a key stands twice.

    """
    try:
        return yaml.load(document, _Loader)  # noqa: S506 - this loader is a safe one
    except Exception as error:
        # PyYAML raises what it likes: KeyError for a strange bool, ValueError for a strange date.
        raise YamlError(f"not YAML: {' '.join(str(error).split())[:200]}") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself takes the last of two values of one key."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - the signature is PyYAML's
    ) -> dict[Hashable, object]:
        """Refuse a key that stands there twice."""
        names = [str(key.value) for key, _ in node.value]
        if len(names) != len(set(names)):
            raise yaml.constructor.ConstructorError(
                problem="a key stands twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)
