"""Evidence in X.509: where each convention puts it, and the key that it must speak of.

Certificates are read as they stand, by our own DER reader: cryptography refuses some genuine ones,
and a key that is written anew has another digest. That a certificate holds evidence proves nothing
of the connection on which somebody showed it.
"""

from types import MappingProxyType
from typing import Final, NamedTuple

from attestation import der
from attestation.cmw import encode_cmw, parse_cmw
from attestation.der import Tag
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence
from attestation.policy import Binding
from attestation.x509 import Certificate, load_certificate

CMW_EXTENSION: Final = "1.3.6.1.5.5.7.1.35"
"""id-pe-cmw of RFC 9999: what we write; not critical, as OpenSSL refuses what it does not know."""

DICE_EXTENSION: Final = "2.23.133.5.4.9"
"""TCG DICE's conceptual message wrapper: what Gramine, rats-tls and others write."""

DSTACK_QUOTE_EXTENSION: Final = "1.3.6.1.4.1.62397.1.1"
"""dstack's TDX quote."""

SUBJECT_ALT_NAME: Final = "2.5.29.17"
"""Subject alternative names; older Evervault certificates carry the document in one."""

_LONG_FORM = 0x80
_DNS_NAME = 0x82  # GeneralName.dNSName, [2] IA5String (RFC 5280 §4.2.1.6)
# A Nitro document's first bytes, as hex: COSE_Sign1 of four, protected header {1: -35}.
_NITRO_HEX = b"8444a101382"


class AttestedKey(NamedTuple):
    """What a certificate carries: a key, and what is said of it.

    Attributes:
        spki: The SubjectPublicKeyInfo in DER, as it stands.
        evidence: None where the convention fetches it elsewhere, or the certificate has none.

    """

    spki: bytes
    evidence: Evidence | None


def evidence_extension(evidence: Evidence) -> bytes:
    """Return the value of the extension id-pe-cmw that carries evidence (RFC 9999 §5.2).

    CMW ::= CHOICE { json UTF8String, cbor OCTET STRING }: one OCTET STRING, which the certificate
    wraps in its own.
    """
    content = encode_cmw(evidence)
    size = len(content)
    # X.690 §8.1.3: up to 127 the length is one byte, else a count of bytes and the bytes.
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    length = bytes([size]) if size < _LONG_FORM else bytes([_LONG_FORM + len(digits)]) + digits
    return bytes([Tag.OCTET_STRING]) + length + content


def read_certificate(encoded: bytes, binding: Binding) -> AttestedKey:
    """Return the key of a certificate, and the evidence in it that this convention puts there.

    Args:
        encoded: The certificate in DER, hostile.
        binding: Which convention; no other is tried.

    Raises:
        MalformedEvidence: It is no certificate, or what stands in evidence's place is none.

    """
    certificate = load_certificate(encoded)
    if binding is Binding.EVERVAULT:
        return AttestedKey(certificate.spki, _evervault(certificate))
    if binding is Binding.DSTACK:
        return AttestedKey(certificate.spki, _dstack(certificate))
    if binding is Binding.NITRIDING:
        return AttestedKey(certificate.spki, None)
    return AttestedKey(certificate.spki, _wrapped(certificate))


def _wrapped(certificate: Certificate) -> Evidence | None:
    """Read id-pe-cmw, else DICE's extension, whose value is the CBOR itself."""
    ours = certificate.extensions.get(CMW_EXTENSION)
    if ours is not None:
        return parse_cmw(der.read_only(ours.value, Tag.OCTET_STRING, "id-pe-cmw").content)
    dice = certificate.extensions.get(DICE_EXTENSION)
    return None if dice is None else parse_cmw(dice.value)


def _dstack(certificate: Certificate) -> Evidence | None:
    """Read a TDX quote in an OCTET STRING of its own."""
    extension = certificate.extensions.get(DSTACK_QUOTE_EXTENSION)
    if extension is None:
        return None
    quote = der.read_only(extension.value, Tag.OCTET_STRING, "dstack's quote").content
    return Evidence("tdx", quote, MappingProxyType({}))


def _evervault(certificate: Certificate) -> Evidence | None:
    """Read the document that stands as hex before the first dot of one DNS name.

    The name is known by how a Nitro document begins, never by being the longest.
    """
    extension = certificate.extensions.get(SUBJECT_ALT_NAME)
    if extension is None:
        return None
    names = der.elements(der.read_only(extension.value, Tag.SEQUENCE, "alternative names").content)
    labels = [name.content.partition(b".")[0] for name in names if name.tag == _DNS_NAME]
    found = [label for label in labels if label.startswith(_NITRO_HEX)]
    if not found:
        return None
    if len(found) > 1:
        raise MalformedEvidence(f"certificate: {len(found)} names hold documents, expected one")
    try:
        document = bytes.fromhex(found[0].decode("ascii"))
    except ValueError as error:
        raise MalformedEvidence("certificate: the document in its name is not hex") from error
    return Evidence("nitro", document, MappingProxyType({}))
