"""Evidence in certificates: each convention in its own place, the key as it stands."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from attestation.certificate import (
    CMW_EXTENSION,
    DICE_EXTENSION,
    DSTACK_QUOTE_EXTENSION,
    evidence_extension,
    read_certificate,
)
from attestation.cmw import encode_cmw
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence
from attestation.policy import Binding
from tests.attestation.enclaves import Authority, spki_of

AUTHORITY = Authority()
KEY = ec.generate_private_key(ec.SECP256R1())
EVIDENCE = Evidence("tdx", b"quote", {"tcb_info": b"{}"}, b"claims", manifest=b"{}")
NITRO = bytes.fromhex("8444a1013822a0") + b"rest"


def _extension(identifier: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(identifier), value)


def _carrying(identifier: str, value: bytes) -> bytes:
    return AUTHORITY.leaf(KEY, extensions=(_extension(identifier, value),))


@pytest.mark.parametrize("size", [1, 100, 127, 128, 255, 256, 70_000])
def test_what_is_put_in_is_taken_out(size: int) -> None:
    """Evidence of any length survives the extension of RFC 9999, with the key beside it."""
    evidence = Evidence("nitro", bytes(size), {})
    value = evidence_extension(evidence)
    if size > 60_000:
        with pytest.raises(MalformedEvidence, match="expected at most 65536"):
            read_certificate(_carrying(CMW_EXTENSION, value), Binding.CLAIMS_BUFFER)
        return
    found = read_certificate(_carrying(CMW_EXTENSION, value), Binding.CLAIMS_BUFFER)
    assert found.evidence == evidence
    assert found.spki == spki_of(KEY)


def test_the_extension_of_dice_holds_the_wrapper_itself() -> None:
    """2.23.133.5.4.9 has one OCTET STRING less than id-pe-cmw."""
    encoded = _carrying(DICE_EXTENSION, encode_cmw(EVIDENCE))
    assert read_certificate(encoded, Binding.CLAIMS_BUFFER).evidence == EVIDENCE
    assert read_certificate(encoded, Binding.SPKI).evidence == EVIDENCE


def test_dstack_has_a_bare_quote() -> None:
    """The extension of dstack is a TDX quote in an OCTET STRING."""
    encoded = _carrying(DSTACK_QUOTE_EXTENSION, b"\x04\x05quote")
    found = read_certificate(encoded, Binding.DSTACK).evidence
    assert found == Evidence("tdx", b"quote", {})


def test_evervault_has_a_document_in_a_name() -> None:
    """The hex before the first dot of a DNS name, known by how a document begins."""
    encoded = AUTHORITY.leaf(KEY, name=f"{NITRO.hex()}.example.com")
    assert read_certificate(encoded, Binding.EVERVAULT).evidence == Evidence("nitro", NITRO, {})


@pytest.mark.parametrize("binding", Binding)
def test_no_convention_reads_what_another_wrote(binding: Binding) -> None:
    """One mode is tried, never all of them."""
    with_cmw = _carrying(CMW_EXTENSION, evidence_extension(EVIDENCE))
    reads = binding in {Binding.CLAIMS_BUFFER, Binding.SPKI}
    assert (read_certificate(with_cmw, binding).evidence is not None) is reads
    with_name = AUTHORITY.leaf(KEY, name=f"{NITRO.hex()}.example.com")
    reads = binding is Binding.EVERVAULT
    assert (read_certificate(with_name, binding).evidence is not None) is reads


@pytest.mark.parametrize("binding", Binding)
def test_a_certificate_without_evidence_still_has_a_key(binding: Binding) -> None:
    """Absence is said, not raised: evidence may be fetched elsewhere."""
    found = read_certificate(AUTHORITY.certificate.public_bytes(Encoding.DER), binding)
    assert found == (spki_of(AUTHORITY.key), None)


@pytest.mark.parametrize(
    ("encoded", "binding", "fault"),
    [
        (b"", Binding.SPKI, "DER"),
        (_carrying(CMW_EXTENSION, b"\x0c\x02[]"), Binding.SPKI, "id-pe-cmw"),
        (_carrying(CMW_EXTENSION, evidence_extension(EVIDENCE) + b"\x00"), Binding.SPKI, "follow"),
        (_carrying(DSTACK_QUOTE_EXTENSION, b"quote"), Binding.DSTACK, "dstack's quote|DER"),
        (AUTHORITY.leaf(KEY, name="8444a10138" + "2z.example.com"), Binding.EVERVAULT, "not hex"),
        (AUTHORITY.leaf(KEY, name="8444a10138" + "2.example.com"), Binding.EVERVAULT, "not hex"),
    ],
)
def test_what_is_no_evidence_is_an_error(encoded: bytes, binding: Binding, fault: str) -> None:
    """Something in evidence's place that is none is refused, not passed over."""
    with pytest.raises(MalformedEvidence, match=fault):
        read_certificate(encoded, binding)


def test_two_documents_in_names_are_refused() -> None:
    """Neither is chosen: not the first, not the longest."""
    second = x509.DNSName(f"{NITRO.hex()}00.example.com")
    names = x509.SubjectAlternativeName([x509.DNSName(f"{NITRO.hex()}.example.com"), second])
    encoded = AUTHORITY.leaf(KEY, name="app.example.com")
    extension = _extension("2.5.29.17", names.public_bytes())
    subject = x509.Name([])
    signed = AUTHORITY.sign(subject, KEY.public_key(), [extension])
    assert read_certificate(encoded, Binding.EVERVAULT).evidence is None
    with pytest.raises(MalformedEvidence, match="2 names hold documents"):
        read_certificate(signed.public_bytes(Encoding.DER), Binding.EVERVAULT)


@given(st.binary(max_size=200), st.sampled_from(Binding))
def test_any_bytes_are_refused(data: bytes, binding: Binding) -> None:
    """Hostile bytes raise nothing but MalformedEvidence."""
    with pytest.raises(MalformedEvidence):
        read_certificate(data, binding)
