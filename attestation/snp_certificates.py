"""The certificates of SEV-SNP: the key that signed a report, up to AMD's root (ARK).

A VCEK is one chip's key at one security version; a VLEK is one cloud's. Both say in extensions of
their certificate what they stand for (AMD's VCEK Certificate and KDS Interface Specification,
document 57230, §3.1). They arrive with the evidence, in any order and under any name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from uuid import UUID

from attestation import der
from attestation.der import Tag
from attestation.errors import MalformedEvidence
from attestation.snp_report import SigningKey, SnpReport
from attestation.x509 import Certificate, load_certificate, split_pem

ENDORSEMENT_BYTES = 32 * 1024
"""Most bytes of all that comes with a report: three certificates have 5,000, a CRL about 1,000."""

MOST_ENDORSEMENT_CERTIFICATES = 8
"""Most certificates with a report: VCEK, VLEK, ASK, ASVK and ARK, with room for doubles."""

CRL = "crl"
"""The endorsement that holds AMD's revocation list, DER; every other one holds certificates."""

CERTIFICATE_TABLE = "auxblob"
"""The endorsement in the form of Linux's configfs-tsm: a table of certificates."""

_AMD = "1.3.6.1.4.1.3704.1"
_HARDWARE_ID = f"{_AMD}.4"
_CSP_ID = f"{_AMD}.5"
_TCB_EXTENSIONS = {
    "bootloader": f"{_AMD}.3.1",
    "tee": f"{_AMD}.3.2",
    "snp": f"{_AMD}.3.3",
    "microcode": f"{_AMD}.3.8",
    "fmc": f"{_AMD}.3.9",
}
_CHIP_ID_BYTES = 64
# 64 on Milan and Genoa, 8 on Turin.
_HARDWARE_ID_BYTES = (64, 8)

_ENTRY_BYTES = 24  # GUID, offset, length
_TABLE_CERTIFICATES = frozenset(
    UUID(text).bytes_le
    for text in (
        "63da758d-e664-4564-adc5-f4b93be8accd",  # VCEK
        "a8074bc2-a25a-483e-aae6-39c045a0b8a1",  # VLEK
        "4ab7b379-bbac-4fe4-a02f-05aef327c782",  # ASK
        "c0b406a4-a803-4952-9743-3fb6014cd0ae",  # ARK
    )
)


def load_certificates(endorsements: Mapping[str, bytes]) -> tuple[Certificate, ...]:
    """Return every certificate that came with a report: DER, PEM, or a table of them.

    Raises:
        MalformedEvidence: They are too long or too many, or one is none.
    """
    size = sum(map(len, endorsements.values()))
    if size > ENDORSEMENT_BYTES:
        raise MalformedEvidence(f"endorsements of {size} bytes, expected at most 32768")
    found = (
        certificate
        for name, value in endorsements.items()
        if name != CRL
        for certificate in _split(name, value)
    )
    # No more is taken: a table can name the same bytes a thousand times.
    encoded = tuple(islice(found, MOST_ENDORSEMENT_CERTIFICATES + 1))
    if len(encoded) > MOST_ENDORSEMENT_CERTIFICATES:
        raise MalformedEvidence(f"{len(encoded)} certificates, expected at most 8")
    return tuple(map(load_certificate, encoded))


def _split(name: str, value: bytes) -> Iterable[bytes]:
    if name == CERTIFICATE_TABLE:
        return _table(value)
    if value.startswith(bytes([Tag.SEQUENCE])):
        return (value,)
    return split_pem(value, MOST_ENDORSEMENT_CERTIFICATES)


def _table(table: bytes) -> Iterator[bytes]:
    """Yield the certificates of a table: entries up to one of zeros, then what they point at."""
    for at in range(0, len(table), _ENTRY_BYTES):
        entry = table[at : at + _ENTRY_BYTES]
        guid = entry[:16]
        if not any(entry):
            return
        start, size = (int.from_bytes(entry[i : i + 4], "little") for i in (16, 20))
        if len(entry) < _ENTRY_BYTES or start + size > len(table):
            raise MalformedEvidence(f"certificate table: entry at {at} points over its end")
        if guid in _TABLE_CERTIFICATES:
            yield table[start : start + size]
    raise MalformedEvidence("certificate table: no entry of zeros ends it")


def chain_of(report: SnpReport, certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Return the chain for the key that a report names: ARK, ASK or ASVK, VCEK or VLEK.

    Chosen by what the certificates call themselves, so nothing is proved by it.

    Raises:
        MalformedEvidence: One of the three did not come, or the report names another kind of key.
    """
    if report.signing_key not in list(SigningKey):
        raise MalformedEvidence(
            f"the report is signed by key {report.signing_key}, expected 0 (VCEK) or 1 (VLEK)"
        )
    name = f"SEV-{SigningKey(report.signing_key).name}"
    leaves = [certificate for certificate in certificates if certificate.common_name == name]
    if not leaves:
        raise MalformedEvidence(f"no certificate of {name} came, which the report names")
    leaf = next((leaf for leaf in leaves if is_of_chip(leaf, report.chip_id)), leaves[0])
    issuer = _issuer(leaf, certificates, f"the issuer of {name}")
    root = _issuer(issuer, certificates, "AMD's root")
    return root, issuer, leaf


def _issuer(child: Certificate, certificates: Sequence[Certificate], what: str) -> Certificate:
    for certificate in certificates:
        if certificate.subject == child.issuer:
            return certificate
    raise MalformedEvidence(f"no certificate of {what} came")


def product_of(chain: Sequence[Certificate]) -> str:
    """Return the product that a chain (root first) is for, by the names of its CAs; else "".

    The pinned root decides, not the leaf's own product name: old VCEKs carry a wrong one.
    """
    product = chain[0].common_name.removeprefix("ARK-")
    link = "SEV-VLEK" if chain[-1].common_name == "SEV-VLEK" else "SEV"
    names = [certificate.common_name for certificate in chain[:-1]]
    return product if names == [f"ARK-{product}", f"{link}-{product}"] else ""


def certified_tcb(leaf: Certificate, parts: Sequence[str]) -> Mapping[str, int]:
    """Return the security version of each named part that a VCEK or VLEK stands for.

    Raises:
        MalformedEvidence: One is not there, or is no number.
    """
    return {part: _number(leaf, part) for part in parts}


def _number(leaf: Certificate, part: str) -> int:
    extension = leaf.extensions.get(_TCB_EXTENSIONS[part])
    if extension is None:
        raise MalformedEvidence(f"the certificate states no version of {part}")
    return der.integer(der.read_only(extension.value, Tag.INTEGER, f"version of {part}"))


def is_of_chip(leaf: Certificate, chip_id: bytes) -> bool:
    """Whether a VCEK is that of the chip: its hwID is chip_id (64 bytes) but for zeros at the end.

    The bytes stand raw in the extension, or in an OCTET STRING of their own.
    """
    extension = leaf.extensions.get(_HARDWARE_ID)
    value = extension.value if extension else b""
    if len(value) - 2 in _HARDWARE_ID_BYTES and value[:2] == bytes([4, len(value) - 2]):
        value = value[2:]
    return len(value) in _HARDWARE_ID_BYTES and value.ljust(_CHIP_ID_BYTES, b"\0") == chip_id


def csp_id(leaf: Certificate) -> str:
    """Return which cloud a VLEK belongs to, as `CN=cc-us-east-2.amazonaws.com`; "" if none.

    Raises:
        MalformedEvidence: The extension holds no text.
    """
    extension = leaf.extensions.get(_CSP_ID)
    if extension is None:
        return ""
    text = der.read_only(extension.value, Tag.IA5_STRING, "CSP id").content
    return text.decode("ascii", "backslashreplace")
