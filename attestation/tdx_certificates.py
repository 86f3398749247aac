"""The certificates in a quote: the platform's key (PCK), up to Intel's root.

The PCK's certificate says in one extension which platform it belongs to (Intel, "SGX PCK
Certificate and CRL Profile Specification", §1.3.5).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attestation import der
from attestation.der import Element, Fields, Tag
from attestation.errors import MalformedEvidence
from attestation.x509 import Certificate, load_certificate, split_pem

CHAIN_LENGTH = 3
"""Certificates in a quote: PCK, the CA of its kind, Intel's root (Intel names no other form)."""

_SGX_EXTENSION = "1.2.840.113741.1.13.1"
_PPID = f"{_SGX_EXTENSION}.1"
_FMSPC = f"{_SGX_EXTENSION}.4"
_FMSPC_BYTES = 6
_LEAF = "Intel SGX PCK Certificate"
_AUTHORITIES = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")


class Platform(NamedTuple):
    """Which platform a PCK belongs to.

    Attributes:
        fmspc: 6 bytes: family, model, stepping, platform type and custom SKU.
        ppid: 16 bytes: the one processor.

    """

    fmspc: bytes
    ppid: bytes


def load_chain(text: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a quote's PEM text, root first.

    Raises:
        MalformedEvidence: They are not three, or one is none.
    """
    encoded = split_pem(text, CHAIN_LENGTH)
    if len(encoded) != CHAIN_LENGTH:
        raise MalformedEvidence(f"{len(encoded)} certificates in the quote, expected 3")
    return tuple(load_certificate(certificate) for certificate in reversed(encoded))


def platform_of(chain: Sequence[Certificate]) -> Platform:
    """Return which platform a chain (root first, and known to hold) vouches for.

    Raises:
        MalformedEvidence: It is no chain of a PCK, or does not say it.
    """
    authority, leaf = chain[-2].common_name, chain[-1].common_name
    if leaf != _LEAF or authority not in _AUTHORITIES:
        names = ascii(f"{leaf}, {authority}")[:100]
        raise MalformedEvidence(f"certificates of {names}, expected those of a PCK")
    extension = chain[-1].extensions.get(_SGX_EXTENSION)
    if extension is None:
        raise MalformedEvidence("the PCK's certificate names no platform")
    fields = dict(_fields(der.read_only(extension.value, Tag.SEQUENCE, "SGX extension")))
    if _FMSPC not in fields or _PPID not in fields:
        raise MalformedEvidence("the PCK's certificate names no FMSPC or no PPID")
    fmspc, ppid = der.octets(fields[_FMSPC]), der.octets(fields[_PPID])
    if len(fmspc) != _FMSPC_BYTES:
        raise MalformedEvidence(f"FMSPC of {len(fmspc)} bytes, expected {_FMSPC_BYTES}")
    return Platform(fmspc, ppid)


def _fields(extension: Element) -> Iterator[tuple[str, Element]]:
    for element in der.elements(extension.content):
        fields = Fields(element, "SGX extension")
        yield der.object_identifier(fields.take(Tag.OBJECT_IDENTIFIER)), fields.take()
