"""A certificate as it stands: its parts as DER slices, never encoded anew (RFC 5280 §4.1).

Own code, because cryptography refuses some genuine certificates: those of mbedTLS, which write
parameters where ECDSA has none, and soon those of AMD, whose serial number is zero. It is asked for
keys and signatures alone.
"""

import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

from attestation import der
from attestation.der import Element, Fields, Tag
from attestation.errors import MalformedEvidence

MAX_CERTIFICATE_BYTES: Final = 64 * 1024
"""Bytes of a certificate: one that carries evidence has 5 to 11 KiB, with the largest 40."""

RSA_BITS: Final = range(2048, 4096 + 1)
"""Bits of an RSA key: AMD's have 4,096; a longer one costs its verifier time."""

PATH_LENGTHS: Final = range(256)
"""How many CAs a CA may allow below it: the vendors' allow 0 to 2, or any number."""

BASIC_CONSTRAINTS: Final = "2.5.29.19"
KEY_USAGE: Final = "2.5.29.15"
_COMMON_NAME = "2.5.4.3"

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"


class SignatureAlgorithm(StrEnum):
    """How a certificate is signed, by its identifier: those of TEE vendors and of parent CAs."""

    ECDSA_SHA256 = "1.2.840.10045.4.3.2"
    ECDSA_SHA384 = "1.2.840.10045.4.3.3"
    RSA_SHA256 = "1.2.840.113549.1.1.11"
    RSA_PSS = "1.2.840.113549.1.1.10"


class KeyUsage(IntFlag):
    """What a key may do (RFC 5280 §4.2.1.3); the bits in the order of its BIT STRING."""

    DIGITAL_SIGNATURE = 0x80
    NON_REPUDIATION = 0x40
    KEY_ENCIPHERMENT = 0x20
    DATA_ENCIPHERMENT = 0x10
    KEY_AGREEMENT = 0x08
    KEY_CERT_SIGN = 0x04
    CRL_SIGN = 0x02
    ENCIPHER_ONLY = 0x01


class Extension(NamedTuple):
    """One extension: whether it must be understood, and the bytes in its OCTET STRING."""

    critical: bool
    value: bytes


class BasicConstraints(NamedTuple):
    """Whether the key may sign certificates, and how many CAs may stand below (None: any)."""

    ca: bool
    path_length: int | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate's parts, each as it was found.

    Attributes:
        encoded: All of it.
        tbs: What is signed: tag, length and content.
        spki: The SubjectPublicKeyInfo: tag, length and content; what a binding hashes.
        serial: Its number; zero in AMD's.
        issuer: The issuer's name, as DER.
        subject: The owner's name, as DER.
        not_before: Its first second, since the epoch, UTC.
        not_after: Its last second, since the epoch, UTC.
        extensions: By object identifier in dotted form.
        basic_constraints: None where it has none.
        key_usage: None where it has none: the key may do anything.
        signature_algorithm: Its identifier in dotted form; a `SignatureAlgorithm` if it is known.
        signature: The signature's bytes, in the form of that algorithm.

    """

    encoded: bytes
    tbs: bytes
    spki: bytes
    serial: int
    issuer: bytes
    subject: bytes
    not_before: float
    not_after: float
    extensions: Mapping[str, Extension]
    basic_constraints: BasicConstraints | None
    key_usage: KeyUsage | None
    signature_algorithm: str
    signature: bytes

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 of all of it: 32 bytes."""
        return hashlib.sha256(self.encoded).digest()

    @property
    def common_name(self) -> str:
        """The subject's common name; empty where it has none, or more than one."""
        return _common_name(self.subject)


def load_certificate(encoded: bytes) -> Certificate:
    """Return the certificate that `encoded` is; nothing of it is trusted or verified yet.

    Raises:
        MalformedEvidence: It is over 64 KiB, no certificate of RFC 5280 §4.1, or bytes follow it.

    """
    if len(encoded) > MAX_CERTIFICATE_BYTES:
        raise MalformedEvidence(f"certificate: {len(encoded)} bytes, expected at most 65536")
    outer = Fields(der.read_only(encoded, Tag.SEQUENCE, "certificate"), "certificate")
    tbs, algorithm = outer.take(Tag.SEQUENCE), outer.take(Tag.SEQUENCE)
    signature = der.bits(outer.take(Tag.BIT_STRING))
    outer.end()
    inner = Fields(tbs, "TBSCertificate")
    inner.take_if(Tag.CONTEXT_0)
    serial = der.integer(inner.take(Tag.INTEGER))
    if inner.take(Tag.SEQUENCE).encoded != algorithm.encoded:
        raise MalformedEvidence("certificate: it names two signature algorithms, expected one")
    issuer = inner.take(Tag.SEQUENCE)
    not_before, not_after = _validity(inner.take(Tag.SEQUENCE))
    subject, spki = inner.take(Tag.SEQUENCE), inner.take(Tag.SEQUENCE)
    extensions = _extensions(inner.take_if(Tag.CONTEXT_3))
    inner.end()
    return Certificate(
        encoded=encoded,
        tbs=tbs.encoded,
        spki=spki.encoded,
        serial=serial,
        issuer=issuer.encoded,
        subject=subject.encoded,
        not_before=not_before,
        not_after=not_after,
        extensions=extensions,
        basic_constraints=_basic_constraints(extensions.get(BASIC_CONSTRAINTS)),
        key_usage=_key_usage(extensions.get(KEY_USAGE)),
        signature_algorithm=_algorithm(algorithm),
        signature=signature,
    )


def _algorithm(field: Element) -> str:
    """Return an AlgorithmIdentifier's name; its parameters are not asked: each has one form here.

    Parameters of ECDSA must be absent (RFC 5758 §3.2), yet mbedTLS writes NULL; those of PSS are
    fixed by us, so that other ones fail with the signature.
    """
    return der.object_identifier(Fields(field, "AlgorithmIdentifier").take(Tag.OBJECT_IDENTIFIER))


def _validity(field: Element) -> tuple[float, float]:
    fields = Fields(field, "Validity")
    times = der.seconds(fields.take()), der.seconds(fields.take())
    fields.end()
    return times


def _extensions(field: Element | None) -> Mapping[str, Extension]:
    found: dict[str, Extension] = {}
    if field is None:
        return MappingProxyType(found)
    row = der.read_only(field.content, Tag.SEQUENCE, "Extensions")
    for element in der.elements(row.content):
        fields = Fields(der.expect(element, Tag.SEQUENCE, "Extension"), "Extension")
        name = der.object_identifier(fields.take(Tag.OBJECT_IDENTIFIER))
        critical = fields.take_if(Tag.BOOLEAN)
        value = der.octets(fields.take(Tag.OCTET_STRING))
        fields.end()
        if name in found:
            raise MalformedEvidence(f"certificate: the extension {name} stands there twice")
        found[name] = Extension(critical is not None and der.boolean(critical), value)
    return MappingProxyType(found)


def _basic_constraints(extension: Extension | None) -> BasicConstraints | None:
    if extension is None:
        return None
    fields = Fields(
        der.read_only(extension.value, Tag.SEQUENCE, "BasicConstraints"), "BasicConstraints"
    )
    ca, path_length = fields.take_if(Tag.BOOLEAN), fields.take_if(Tag.INTEGER)
    fields.end()
    below = None if path_length is None else der.integer(path_length)
    if below is not None and below not in PATH_LENGTHS:
        raise MalformedEvidence("BasicConstraints: its path length is not from 0 to 255")
    return BasicConstraints(ca is not None and der.boolean(ca), below)


def _key_usage(extension: Extension | None) -> KeyUsage | None:
    if extension is None:
        return None
    value = der.bits(der.read_only(extension.value, Tag.BIT_STRING, "KeyUsage"))
    # The ninth bit, decipherOnly, is of no use to anybody here.
    return KeyUsage(value[0] if value else 0)


def _common_name(name: bytes) -> str:
    """Return the one common name in a Name (RFC 5280 §4.1.2.4), else nothing."""
    try:
        rows = der.elements(der.read_only(name, Tag.SEQUENCE, "Name").content)
        found = [text for row in rows for text in _common_names(row)]
    except (MalformedEvidence, UnicodeDecodeError):
        return ""
    return found[0] if len(found) == 1 else ""


def _common_names(row: Element) -> Iterator[str]:
    for attribute in der.elements(row.content):
        fields = Fields(attribute, "AttributeTypeAndValue")
        if der.object_identifier(fields.take()) == _COMMON_NAME:
            yield fields.take().content.decode()


def split_pem(text: bytes, most: int) -> tuple[bytes, ...]:
    """Return the DER of each certificate in PEM text, in its order; text between them is skipped.

    Args:
        text: RFC 7468 text; a NUL behind its end is skipped too, as TDX quotes have one.
        most: How many certificates there may be.

    Raises:
        MalformedEvidence: There is none, there are more than `most`, or one is not base64.

    """
    found: list[bytes] = []
    at = text.find(_PEM_BEGIN)
    while at >= 0:
        start = at + len(_PEM_BEGIN)
        end = text.find(_PEM_END, start)
        if end < 0 or len(found) == most:
            raise MalformedEvidence(f"PEM: expected at most {most} certificates, each with its end")
        try:
            base64 = b"".join(text[start:end].split())
            found.append(binascii.a2b_base64(base64, strict_mode=True))
        except binascii.Error as error:
            raise MalformedEvidence(f"PEM: certificate {len(found)}: {error}") from error
        at = text.find(_PEM_BEGIN, end)
    if not found:
        raise MalformedEvidence("PEM: found no certificate")
    return tuple(found)


PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def load_public_key(spki: bytes) -> PublicKey:
    """Return the key in a SubjectPublicKeyInfo.

    Raises:
        MalformedEvidence: It is no point on P-256 or P-384, and no RSA key of 2,048 to 4,096 bits.

    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as error:
        raise MalformedEvidence(f"public key: {error}") from error
    if isinstance(key, ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            return key
        raise MalformedEvidence(f"public key: found {key.curve.name}, expected P-256 or P-384")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS:
        return key
    raise MalformedEvidence("public key: expected P-256, P-384 or RSA of 2048 to 4096 bits")


def issued(issuer: Certificate, child: Certificate) -> bool:
    """Say whether `issuer`'s key signed `child`, and `child` names it as its issuer.

    Says nothing of time, of whether `issuer` may sign certificates, or of trust in it.
    """
    return issuer.subject == child.issuer and signed(issuer, child)


def signed(issuer: Certificate, child: Certificate) -> bool:
    """Say whether `issuer`'s key signed `child`, in one of the forms of `SignatureAlgorithm`.

    P-256 goes with SHA-256 and P-384 with SHA-384; PSS has SHA-384 and a salt of 48 bytes. The
    signed bytes are those that stand in the certificate.
    """
    try:
        _verify(load_public_key(issuer.spki), child)
    except (InvalidSignature, MalformedEvidence):
        return False
    return True


def _verify(key: PublicKey, child: Certificate) -> None:
    """Return if the signature holds.

    Raises:
        InvalidSignature: It does not, or it is of another kind than the key.

    """
    match key, child.signature_algorithm:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()), SignatureAlgorithm.ECDSA_SHA256:
            key.verify(child.signature, child.tbs, ec.ECDSA(SHA256()))
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()), SignatureAlgorithm.ECDSA_SHA384:
            key.verify(child.signature, child.tbs, ec.ECDSA(SHA384()))
        case rsa.RSAPublicKey(), SignatureAlgorithm.RSA_PSS:
            # AMD's salt is as long as the digest: 48 bytes.
            pss = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
            key.verify(child.signature, child.tbs, pss, SHA384())
        case rsa.RSAPublicKey(), SignatureAlgorithm.RSA_SHA256:
            key.verify(child.signature, child.tbs, padding.PKCS1v15(), SHA256())
        case _:
            raise InvalidSignature
