"""The secondary manifest: what an enclave runs beyond what its launch measurements cover.

A document in canonical JSON, as RFC 8785 writes it: a person can read it, every language can write
it, and its digest is the SHA-256 of the file. Its strings are printable ASCII and its numbers are
ports, so the hard corners of that RFC (floats, surrogates) do not occur.

The digest counts where code that is loaded later cannot write: in PCR16 (Nitro) or RTMR3 (TDX),
extended once from zeros before user code starts, or in SEV-SNP's `host_data`, given at launch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from attestation.errors import MalformedEvidence

MAX_MANIFEST: Final = 64 * 1024
"""Bytes of a manifest: a hundred images and plug-ins of 150 bytes each, four times over."""

MAX_MANIFEST_TEXT: Final = 256
"""Characters of a name in a manifest: an image's name has at most 255."""

VERSION: Final = 1
"""The form of the document, which stands in it as `manifest`."""

DIGEST: Final = 32
"""Bytes of a digest: SHA-256."""

_PREFIX = "sha256:"
_PORTS = range(1, 65536)
_EXTENDED = 48
_FIELDS = frozenset({"manifest", "service", "images", "plugins", "ports", "metrics"})

Field = str | tuple[str, ...] | tuple[int, ...] | Mapping[str, str]
"""A field's value: a name, names or ports in order, or digests (`sha256:` and hex) by name."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the document says.

    Attributes:
        service: The service's name.
        images: Digest of each image by name: `sha256:` and 64 hex digits.
        plugins: Digest of each plug-in's configuration by the plug-in's name, in the same form.
        ports: TCP ports that it listens on, ascending.
        metrics: Names of the metrics that may leave the enclave, in order.

    """

    service: str
    images: Mapping[str, str]
    plugins: Mapping[str, str]
    ports: tuple[int, ...]
    metrics: tuple[str, ...]

    def fields(self) -> Mapping[str, Field]:
        """Return every field by its name."""
        return {
            "service": self.service,
            "images": self.images,
            "plugins": self.plugins,
            "ports": self.ports,
            "metrics": self.metrics,
        }

    def encode(self) -> bytes:
        """Return the document: the one form in which it has its digest."""
        document = {
            "manifest": VERSION,
            "service": self.service,
            "images": dict(self.images),
            "plugins": dict(self.plugins),
            "ports": list(self.ports),
            "metrics": list(self.metrics),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Difference(NamedTuple):
    """One place where two manifests differ; an empty side has nothing there."""

    path: str
    left: str
    right: str


def digest(document: bytes) -> bytes:
    """Return a manifest's digest: SHA-256 of the document as it stands, 32 bytes."""
    return hashlib.sha256(document).digest()


def register_value(manifest_digest: bytes, size: int) -> bytes:
    """Return what a register of `size` bytes holds if it stands for this manifest and no other.

    32 bytes (`host_data`): the digest. 48 bytes (PCR16, RTMR3): zeros, extended once with the
    digest and 16 zeros: SHA-384(48 zeros ‖ digest ‖ 16 zeros). Other sizes: none, so nothing.
    """
    if size == DIGEST:
        return manifest_digest
    if size != _EXTENDED:
        return b""
    return hashlib.sha384(bytes(_EXTENDED) + extension(manifest_digest)).digest()


def extension(manifest_digest: bytes) -> bytes:
    """Return what PCR16 or RTMR3 is extended with: the digest and 16 zeros, 48 bytes."""
    return manifest_digest.ljust(_EXTENDED, b"\x00")


def parse_manifest(document: bytes) -> Manifest:
    """Return what a manifest says.

    Raises:
        MalformedEvidence: It is over 64 KiB, not canonical JSON, or a field is missing, unknown or
            wrong.

    """
    if len(document) > MAX_MANIFEST:
        raise MalformedEvidence(f"manifest: {len(document)} bytes, expected at most {MAX_MANIFEST}")
    try:
        found: object = json.loads(document.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise MalformedEvidence(f"manifest: not JSON in ASCII: {str(error)[:80]}") from error
    if not isinstance(found, dict) or found.keys() != _FIELDS:
        raise MalformedEvidence(f"manifest: expected an object of {', '.join(sorted(_FIELDS))}")
    if type(found["manifest"]) is not int or found["manifest"] != VERSION:
        raise MalformedEvidence(f"manifest: not version {VERSION}")
    manifest = Manifest(
        service=_name(found["service"], "service"),
        images=_digests(found["images"], "images"),
        plugins=_digests(found["plugins"], "plugins"),
        ports=_ports(found["ports"], "ports"),
        metrics=_names(found["metrics"], "metrics"),
    )
    if manifest.encode() != document:
        raise MalformedEvidence("manifest: not in its one form: keys in order, no blanks")
    return manifest


def parse_field(name: str, value: object) -> Field:
    """Return one field's value, in the form in which `Manifest.fields` gives it.

    Raises:
        MalformedEvidence: There is no such field, or this is no value for it.

    """
    if name == "service":
        return _name(value, name)
    if name in {"images", "plugins"}:
        return _digests(value, name)
    if name == "ports":
        return _ports(value, name)
    if name == "metrics":
        return _names(value, name)
    raise MalformedEvidence(f"manifest: it has no field {name[:40]!r}")


def diff(left: Manifest, right: Manifest) -> tuple[Difference, ...]:
    """Return where two manifests differ, in order of the places."""
    one, other = _places(left), _places(right)
    return tuple(
        Difference(path, one.get(path, ""), other.get(path, ""))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    )


def _places(manifest: Manifest) -> dict[str, str]:
    places: dict[str, str] = {}
    for name, value in manifest.fields().items():
        if isinstance(value, str):
            places[name] = value
        elif isinstance(value, tuple):
            places.update({f"{name}.{item}": str(item) for item in value})
        else:
            places.update({f"{name}.{key}": item for key, item in value.items()})
    return places


def _name(value: object, field: str) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_MANIFEST_TEXT
        or not (value.isascii() and value.isprintable())
    ):
        raise MalformedEvidence(f"manifest: {field} holds no name of printable ASCII")
    return value


def _digests(value: object, field: str) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise MalformedEvidence(f"manifest: {field} is no object")
    return MappingProxyType({_name(key, field): _digest(value[key], field) for key in value})


def _digest(value: object, field: str) -> str:
    text = _name(value, field)
    try:
        raw = bytes.fromhex(text.removeprefix(_PREFIX))
    except ValueError:
        raw = b""
    if len(raw) != DIGEST or text != _PREFIX + raw.hex():
        raise MalformedEvidence(f"manifest: {field} holds no sha256: and 64 hex digits")
    return text


def _ports(value: object, field: str) -> tuple[int, ...]:
    ports = value if isinstance(value, list) else [None]
    if not all(type(port) is int and port in _PORTS for port in ports):
        raise MalformedEvidence(f"manifest: {field} is no list of ports from 1 to 65535")
    return tuple(sorted(set(ports)))


def _names(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise MalformedEvidence(f"manifest: {field} is no list")
    return tuple(sorted({_name(item, field) for item in value}))
