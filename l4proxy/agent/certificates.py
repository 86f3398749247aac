"""The TLS key and its certificate: signed by itself, by a parent authority, or given from outside.

A key that is made here never leaves the enclave's memory, but for the files that an application is
handed which ends TLS itself. One that was given is `imported`: whoever gave it has it too.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from attestation import CMW_EXTENSION, Evidence, KeyOrigin, MalformedEvidence, evidence_extension
from attestation.x509 import load_certificate, split_pem
from l4proxy.secret_file import read_secret

MAX_CHAIN: Final = 8
"""Certificates of a chain: a leaf, and the authorities above it."""

MAX_CHAIN_BYTES: Final = 512 * 1024
"""Bytes of a chain in PEM: a leaf with 256 KiB of evidence has a third more in base64."""

# A certificate begins a little earlier, for clients whose clocks are behind.
_EARLIER = 300


class BadCertificate(ValueError):
    """A certificate that cannot be used with the key: the operator's or the authority's fault."""


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """The enclave signs its certificate itself; trust comes from the evidence in it.

    Attributes:
        names: DNS names that it is for.

    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Csr:
    """A parent authority signs the enclave's request, after checking the evidence in it.

    Attributes:
        names: DNS names that are asked for.
        request: Where the request is written, in PEM; None: it goes to `url`.
        answer: Where the chain is waited for, in PEM; None: the answer of `url` is it.
        url: Where the request is posted.
        ca: The authority of that server, in PEM; None: those that the system trusts.

    """

    names: tuple[str, ...]
    request: Path | None = None
    answer: Path | None = None
    url: str | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """Certificate and key come from outside.

    Attributes:
        certificate: The chain, in PEM.
        key: The private key, in PEM, readable by its owner alone.

    """

    certificate: Path
    key: Path


Source = SelfSigned | Csr | Imported


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a TLS server needs.

    Attributes:
        chain: In PEM, the leaf first.
        key: In PEM; not shown by `repr`.
        not_after: When the leaf ends, seconds since the epoch, UTC.

    """

    chain: bytes
    key: bytes
    not_after: float

    def __repr__(self) -> str:
        return f"Credentials(not_after={self.not_after})"


@dataclass(frozen=True, slots=True)
class TlsKey:
    """The key that clients see, and that evidence speaks of.

    Attributes:
        spki: Its public half, as it stands in the certificate.
        origin: Where it comes from.
        own: The key, if it was made here.
        given: Key and chain, if they were given.

    """

    spki: bytes
    origin: KeyOrigin
    own: ec.EllipticCurvePrivateKey | None = None
    given: Credentials | None = None

    def self_signed(
        self, names: Sequence[str], evidence: Evidence, span: tuple[float, float]
    ) -> Credentials:
        """Return a certificate that carries evidence, signed by the key itself.

        Args:
            names: DNS names.
            evidence: Goes into it (RFC 9999).
            span: When it begins and ends, seconds since the epoch, UTC.

        """
        key = self._made()
        start, end = span
        subject = _subject(names)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(start - _EARLIER, UTC))
            .not_valid_after(datetime.fromtimestamp(end, UTC))
            .add_extension(_alternatives(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_carrier(evidence), critical=False)
        )
        certificate = builder.sign(key, SHA256())
        return Credentials(certificate.public_bytes(Encoding.PEM), self._pem(), end)

    def request(self, names: Sequence[str], evidence: Evidence) -> bytes:
        """Return a request for a certificate, in PEM, with evidence among what it asks for."""
        builder = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(_subject(names))
            .add_extension(_alternatives(names), critical=False)
            .add_extension(_carrier(evidence), critical=False)
        )
        return builder.sign(self._made(), SHA256()).public_bytes(Encoding.PEM)

    def with_chain(self, chain: bytes) -> Credentials:
        """Return the credentials with a chain that an authority gave.

        Raises:
            BadCertificate: It is no chain, or its leaf is for another key.

        """
        leaf, not_after = _leaf(chain)
        if leaf != self.spki:
            raise BadCertificate("chain: its first certificate is for another key")
        return Credentials(chain, self._pem(), not_after)

    def _made(self) -> ec.EllipticCurvePrivateKey:
        if self.own is None:
            raise BadCertificate("a given key signs nothing here")
        return self.own

    def _pem(self) -> bytes:
        return self._made().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def obtain_key(source: Source) -> TlsKey:
    """Return the key for a way of certificates: made here on P-256, or read from its file.

    Raises:
        BadCertificate: What was given is no chain.
        BadSecretFile: Others may read the key's file.
        OSError: A file cannot be read.

    """
    if isinstance(source, Imported):
        chain = read_chain(source.certificate)
        spki, not_after = _leaf(chain)
        given = Credentials(chain, read_secret(source.key), not_after)
        return TlsKey(spki, KeyOrigin.IMPORTED, given=given)
    own = ec.generate_private_key(ec.SECP256R1())
    spki = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TlsKey(spki, KeyOrigin.INSIDE, own=own)


def read_chain(path: Path) -> bytes:
    """Return what a chain's file holds.

    Raises:
        BadCertificate: It is too long.
        OSError: It cannot be read.

    """
    # A named pipe without a writer must not keep us waiting.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        # One with a writer who says nothing gives None.
        chain = file.read(MAX_CHAIN_BYTES + 1) or b""
    if len(chain) > MAX_CHAIN_BYTES:
        raise BadCertificate(f"{path}: over {MAX_CHAIN_BYTES} bytes")
    return chain


def _leaf(chain: bytes) -> tuple[bytes, float]:
    """Return the first certificate's key and end."""
    try:
        leaf = load_certificate(split_pem(chain, MAX_CHAIN)[0])
    except (MalformedEvidence, IndexError) as error:
        raise BadCertificate(f"chain: {error}") from error
    return leaf.spki, leaf.not_after


def _carrier(evidence: Evidence) -> x509.UnrecognizedExtension:
    oid = x509.ObjectIdentifier(CMW_EXTENSION)
    return x509.UnrecognizedExtension(oid, evidence_extension(evidence))


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _subject(names: Sequence[str]) -> x509.Name:
    # A common name has 64 characters at most; the names that count stand in the extension.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
