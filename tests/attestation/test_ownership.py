"""Ownership: the chain ends at the named authority, for the named name, at that time."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from attestation import Expectation, OwnershipDemand
from attestation.checks import Outcome
from attestation.ownership import MAX_CHAIN, MAX_CHAIN_BYTES, check_ownership
from tests.attestation.enclaves import NOW, Authority, spki_of

AUTHORITY = Authority()
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = AUTHORITY.leaf(KEY)
DEMAND = OwnershipDemand(AUTHORITY.certificate.public_bytes(Encoding.DER), "app.example.com")
HERE = Expectation(certificate=LEAF, spki=spki_of(KEY))


def _fault(expectation: Expectation, demand: OwnershipDemand = DEMAND, now: float = NOW) -> str:
    check = check_ownership(demand, expectation, now).check
    return check.found if check.outcome is Outcome.FAILED else check.outcome


def test_the_named_authority_gave_the_name() -> None:
    """Passed, and until the first certificate of the chain ends."""
    owned = check_ownership(DEMAND, HERE, NOW)
    assert owned.check.outcome is Outcome.PASSED
    assert owned.check.found == "app.example.com"
    assert owned.valid_until == NOW + 2 * 3600


def test_an_intermediate_may_stand_between() -> None:
    """Those that came with the certificate are used, in any order."""
    middle = Authority(name="middle")
    subject = AUTHORITY.sign(
        middle.name, middle.key.public_key(), [x509.BasicConstraints(ca=True, path_length=None)]
    )
    chain = (subject.public_bytes(Encoding.DER),)
    assert _fault(Expectation(certificate=middle.leaf(KEY), chain=chain)) == Outcome.PASSED
    assert "candidates" in _fault(Expectation(certificate=middle.leaf(KEY)))


def test_without_a_certificate_nothing_is_owned() -> None:
    """Not made, which is not passed."""
    assert _fault(Expectation()) == Outcome.NOT_MADE


def test_another_authority_is_refused() -> None:
    """Its own name does not help it, only its key."""
    other = Authority()
    demand = replace(DEMAND, ca=other.certificate.public_bytes(Encoding.DER))
    assert "candidates" in _fault(HERE, demand)
    own_chain = replace(HERE, chain=(DEMAND.ca,))
    assert "candidates" in _fault(own_chain, demand)


def test_another_name_is_refused() -> None:
    """The name is the one demanded, not one that looks like it."""
    assert "subjectAltName" in _fault(HERE, replace(DEMAND, name="b.example.com"))
    assert _fault(HERE, replace(DEMAND, name="not a name!")) != Outcome.PASSED


@pytest.mark.parametrize("now", [NOW - 3601, NOW + 2 * 3600 + 1, 1e20, float("nan")])
def test_another_time_is_refused(now: float) -> None:
    """A certificate is for its time, and a time that is none is refused too."""
    assert _fault(HERE, now=now) != Outcome.PASSED


def test_a_leaf_is_no_authority() -> None:
    """A certificate for a server signs no other."""
    below = Authority(ca=False, name="leaf")
    key = below.key.public_key()
    own = AUTHORITY.sign(below.name, key, [])
    chain = (own.public_bytes(Encoding.DER),)
    assert "basicConstraints" in _fault(Expectation(certificate=below.leaf(KEY), chain=chain))
    no_ca = AUTHORITY.sign(below.name, key, [x509.BasicConstraints(ca=False, path_length=None)])
    chain = (no_ca.public_bytes(Encoding.DER),)
    assert _fault(Expectation(certificate=below.leaf(KEY), chain=chain)) != Outcome.PASSED


def test_a_certificate_for_clients_is_refused() -> None:
    """Where a purpose stands, it must be a server's."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = AUTHORITY.leaf(KEY, extensions=(usage,))
    assert "not for servers" in _fault(Expectation(certificate=leaf))


@pytest.mark.parametrize(
    ("usage", "passes"),
    [
        (ExtendedKeyUsageOID.CLIENT_AUTH, False),
        (ExtendedKeyUsageOID.SERVER_AUTH, True),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, True),
    ],
)
def test_an_issuer_for_clients_names_no_server(usage: x509.ObjectIdentifier, passes: bool) -> None:
    """Where an authority in between has a purpose, it must take servers in."""
    middle = Authority(name="middle")
    subject = AUTHORITY.sign(
        middle.name,
        middle.key.public_key(),
        [x509.BasicConstraints(ca=True, path_length=None), x509.ExtendedKeyUsage([usage])],
    )
    chain = (subject.public_bytes(Encoding.DER),)
    found = _fault(Expectation(certificate=middle.leaf(KEY), chain=chain))
    assert found == Outcome.PASSED if passes else "not for servers" in found


def test_a_refusal_moves_no_cursor() -> None:
    """What a certificate calls itself is shown without what a terminal obeys."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "\x1b[2Jleaf")])
    names = x509.SubjectAlternativeName([x509.DNSName("b.example.com")])
    leaf = AUTHORITY.sign(name, KEY.public_key(), [names])
    found = _fault(Expectation(certificate=leaf.public_bytes(Encoding.DER)))
    assert "leaf" in found
    assert found.isprintable()


def test_an_issuer_must_be_allowed_to_sign() -> None:
    """Where a key usage stands, it must have keyCertSign."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    middle = Authority(name="middle")
    subject = AUTHORITY.sign(
        middle.name,
        middle.key.public_key(),
        [x509.BasicConstraints(ca=True, path_length=None), usage],
    )
    expectation = Expectation(
        certificate=middle.leaf(KEY), chain=(subject.public_bytes(Encoding.DER),)
    )
    assert _fault(expectation) != Outcome.PASSED


def test_the_key_is_that_of_the_connection() -> None:
    """A certificate of the right owner beside another key is refused."""
    other = ec.generate_private_key(ec.SECP256R1())
    assert "not that of the key" in _fault(replace(HERE, spki=spki_of(other)))


@pytest.mark.parametrize("encoded", [b"", b"\x30\x00", LEAF[:-1], LEAF + b"\x00"])
def test_what_is_no_certificate_is_refused(encoded: bytes) -> None:
    """Hostile bytes fail the check; nothing is raised."""
    assert _fault(replace(HERE, certificate=encoded)) != Outcome.PASSED
    assert _fault(replace(HERE, chain=(encoded,))) != Outcome.PASSED


def test_a_long_chain_is_refused_unread() -> None:
    """The limits come before the parser."""
    assert "9 certificates" in _fault(replace(HERE, chain=(LEAF,) * MAX_CHAIN))
    assert "2 certificates" in _fault(replace(HERE, chain=(bytes(MAX_CHAIN_BYTES),)))
