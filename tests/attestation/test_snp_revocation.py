"""AMD's revocation list: the root's own, of today, and without the chain's CA."""

import math

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.checks import Outcome
from attestation.snp_revocation import check_revocation, load_list
from attestation.x509 import load_certificate
from tests.attestation.snp_builder import DAY, NOW, Recipe, amd_name, crl, moment, rsa_key

CHAIN = tuple(map(load_certificate, reversed(Recipe().certificates().values())))
GOOD = crl()


def test_a_list_that_does_not_name_the_ca_passes() -> None:
    """And says until when it can be used."""
    found = check_revocation(GOOD, CHAIN, NOW)
    assert (found.check.outcome, found.valid_until) == (Outcome.PASSED, NOW + DAY)


def test_without_a_list_the_check_is_not_made() -> None:
    """Never passed: nobody has looked."""
    found = check_revocation(None, CHAIN, NOW)
    assert (found.check.outcome, found.valid_until) == (Outcome.NOT_MADE, math.inf)


@pytest.mark.parametrize(
    ("encoded", "found"),
    [
        (crl(revoked=7), "issuer is revoked"),
        (crl(signer="mine"), "did not sign"),
        (crl(end=NOW - 1), "has expired"),
        (crl(start=NOW + 1), "not yet issued"),
        (GOOD[:-1], "DER"),
        (GOOD + b"\0", "1 bytes follow its end"),
        (b"", "cut short"),
    ],
)
def test_any_other_list_fails(encoded: bytes, found: str) -> None:
    """Revoked, of another root, of another day, or no list at all."""
    check = check_revocation(encoded, CHAIN, NOW).check
    assert check.outcome is Outcome.FAILED
    assert found in check.found


def test_a_list_of_another_issuer_fails() -> None:
    """The same key under another name is another issuer."""
    builder = x509.CertificateRevocationListBuilder(
        amd_name("ARK-Genoa"), moment(NOW - DAY), moment(NOW + DAY)
    )
    encoded = builder.sign(rsa_key("ark"), SHA384()).public_bytes(Encoding.DER)
    assert "did not sign" in check_revocation(encoded, CHAIN, NOW).check.found


def test_a_list_that_says_less_than_all_is_refused() -> None:
    """One of end keys only, or of changes only, says so in a critical extension."""
    builder = x509.CertificateRevocationListBuilder(
        amd_name("ARK-Milan"), moment(NOW - DAY), moment(NOW + DAY)
    ).add_extension(x509.DeltaCRLIndicator(1), critical=True)
    encoded = builder.sign(rsa_key("ark"), SHA384()).public_bytes(Encoding.DER)
    assert "2.5.29.27 critical" in check_revocation(encoded, CHAIN, NOW).check.found


def test_a_list_of_nobody_is_read() -> None:
    """Where nothing is revoked there is no row at all, and extensions may stand there."""
    builder = x509.CertificateRevocationListBuilder(
        amd_name("ARK-Milan"), moment(NOW - DAY), moment(NOW + DAY)
    ).add_extension(x509.CRLNumber(1), critical=False)
    pss = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
    encoded = builder.sign(rsa_key("ark"), SHA384(), rsa_padding=pss).public_bytes(Encoding.DER)
    assert load_list(encoded).serials == frozenset()
    assert check_revocation(encoded, CHAIN, NOW).check.outcome is Outcome.PASSED


@settings(max_examples=200)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_damage_raises(at: int, change: int) -> None:
    """A list with any byte changed is refused, or says the same as before."""
    spoilt = bytearray(GOOD)
    spoilt[at] ^= change
    assert check_revocation(bytes(spoilt), CHAIN, NOW).check.outcome is Outcome.FAILED
