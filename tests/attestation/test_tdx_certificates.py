"""The certificates in a quote: three, of a PCK, and of the platform that they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedEvidence
from attestation.tdx_certificates import load_chain, platform_of
from attestation.x509 import Certificate, load_certificate
from tests.attestation.tdx_builder import (
    FMSPC,
    PPID,
    Template,
    pem,
    platform,
    root,
    sgx_extension,
)

LEAF = Template().make()


def _chain(sgx: bytes | None) -> tuple[Certificate, ...]:
    return load_chain(pem(Template(sgx=sgx).make(), platform(), root()))


def test_a_chain_is_turned_to_have_its_root_first() -> None:
    """The quote has the PCK's certificate first; a NUL may end the text."""
    expected = tuple(map(load_certificate, (root(), platform(), LEAF)))
    for end in (b"", b"\0"):
        assert load_chain(pem(LEAF, platform(), root()) + end) == expected


@pytest.mark.parametrize(
    "text",
    [b"", b"text", pem(LEAF), pem(LEAF, platform()), pem(*[root()] * 4), pem(LEAF, b"x", root())],
)
def test_another_number_is_refused(text: bytes) -> None:
    """Two are no chain, a fourth is nobody's, and each must be one."""
    with pytest.raises(MalformedEvidence):
        load_chain(text)


def test_a_pck_names_its_platform() -> None:
    """FMSPC and PPID, out of Intel's one extension."""
    found = platform_of(_chain(sgx_extension()))
    assert (found.fmspc, found.ppid) == (FMSPC, PPID)


@pytest.mark.parametrize(
    ("sgx", "found"),
    [
        (None, "names no platform"),
        (b"", "cut short"),
        (b"\x30\x00", "no FMSPC or no PPID"),
        (sgx_extension(fmspc=b"\1\2\3"), "FMSPC of 3 bytes, expected 6"),
        (sgx_extension() + b"\0", "follow its end"),
    ],
)
def test_a_pck_without_a_platform_is_refused(sgx: bytes | None, found: str) -> None:
    """Nothing is taken for granted."""
    with pytest.raises(MalformedEvidence, match=found):
        platform_of(_chain(sgx))


@pytest.mark.parametrize(
    ("subject", "issuer"),
    [("Intel SGX TCB Signing", "Intel SGX PCK Platform CA"), ("Intel SGX PCK Certificate", "X")],
)
def test_other_certificates_of_intel_are_no_pck(subject: str, issuer: str) -> None:
    """The same root signs certificates for other uses."""
    leaf = Template(subject=subject, issuer=issuer).make()
    ca = Template(issuer, "Intel SGX Root CA", "platform", "root", ca=True, sgx=None).make()
    with pytest.raises(MalformedEvidence, match="expected those of a PCK"):
        platform_of(load_chain(pem(leaf, ca, root())))


@given(st.integers(0, len(sgx_extension()) - 1), st.integers(1, 255))
def test_a_damaged_extension_is_read_or_refused(at: int, change: int) -> None:
    """Nothing but MalformedEvidence escapes."""
    spoilt = bytearray(sgx_extension())
    spoilt[at] ^= change
    try:
        platform_of(_chain(bytes(spoilt)))
    except MalformedEvidence:
        return
