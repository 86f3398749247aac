"""Evidence as files: the document, the certificates and collateral beside it, the TLS certificate.

What is read is bounded by what evidence may have at all; whether it is any good is for the kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from attestation import Evidence, MalformedEvidence, parse_cmw
from attestation.cmw import MAX_CMW, MAX_ENDORSEMENTS
from attestation.verdict import MAX_ENDORSEMENT_BYTES
from attestation.x509 import load_certificate, split_pem

_MAX_CHAIN = 8
_PEM = b"-----BEGIN CERTIFICATE-----"
_COLLECTION = "cmw"


class Unusable(ValueError):
    """A file is not what it was given for; the text says which, and what was found."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows in its handshake.

    Attributes:
        certificate: Its own, in DER.
        chain: Those that come with it, in DER.
        spki: Its key, as it stands in the certificate.

    """

    certificate: bytes
    chain: tuple[bytes, ...]
    spki: bytes


def read_evidence(path: Path, kind: str, endorsements: Path | None) -> Evidence:
    """Return the evidence in a file.

    Args:
        path: Of a signed document of that kind; or of a wrapper (RFC 9999) if the kind is `cmw`,
            which names its kind and holds all that belongs to it.
        kind: What it is.
        endorsements: A folder of certificates and collateral: a file each, whose name without its
            suffix is what the kind calls them.

    Raises:
        Unusable: A file cannot be read, is too long, or is no wrapper.

    """
    document = read_file(path, MAX_CMW)
    beside = {} if endorsements is None else _folder(endorsements)
    if kind != _COLLECTION:
        return Evidence(kind, document, MappingProxyType(beside))
    try:
        found = parse_cmw(document)
    except MalformedEvidence as error:
        raise Unusable(f"{path}: {error}") from error
    together = MappingProxyType({**found.endorsements, **beside})
    return Evidence(
        found.kind,
        found.document,
        together,
        found.claims_buffer,
        found.agent_claims,
        found.manifest,
    )


def read_shown(path: Path) -> Shown:
    """Return the certificate in a file, DER or PEM, with the chain behind it in PEM.

    Raises:
        Unusable: It cannot be read, or is no certificate.

    """
    encoded = read_file(path, MAX_CMW)
    try:
        found = split_pem(encoded, _MAX_CHAIN) if _PEM in encoded else (encoded,)
        return Shown(found[0], found[1:], load_certificate(found[0]).spki)
    except MalformedEvidence as error:
        raise Unusable(f"{path}: {error}") from error


def read_file(path: Path, limit: int) -> bytes:
    """Return what a file holds.

    Raises:
        Unusable: It cannot be read, or holds more than `limit` bytes.

    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise Unusable(f"{path}: found more than {limit} bytes, expected no more")
    return data


def _folder(folder: Path) -> Mapping[str, bytes]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise Unusable(f"{folder} cannot be read: {error.strerror}") from error
    if len(paths) > MAX_ENDORSEMENTS:
        raise Unusable(f"{folder}: found {len(paths)} files, expected at most {MAX_ENDORSEMENTS}")
    found = dict[str, bytes]()
    for path in paths:
        if path.stem in found:
            raise Unusable(f"{path}: found another {path.stem} beside it, expected one of a name")
        found[path.stem] = read_file(path, MAX_ENDORSEMENT_BYTES)
    return found
