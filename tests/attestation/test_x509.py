"""Certificates as they stand: nothing is encoded anew, signatures cover the bytes found."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given

from attestation.errors import MalformedEvidence
from attestation.x509 import (
    BasicConstraints,
    KeyUsage,
    SignatureAlgorithm,
    issued,
    load_certificate,
    load_public_key,
    signed,
    split_pem,
)
from tests.attestation.nitro_documents import HOUR, NOW, H, Wish, ca, issue
from tests.fuzz.mutations import mutations

ROOT, REGION = H.chain[0], H.chain[1]
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return a DER element."""
    content = b"".join(contents)
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    head = bytes([size]) if size < 128 else bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + head + content


def extension(name: str, value: bytes, critical: bytes = b"") -> bytes:
    """Return an Extension; its identifier is hexadecimal."""
    return tlv(0x30, tlv(0x06, bytes.fromhex(name)), critical, tlv(0x04, value))


def hand_made(
    *extensions: bytes,
    algorithm: bytes = ECDSA_SHA256,
    outer: bytes = b"",
    more: bytes = b"",
    common_name: bytes = b"me",
) -> bytes:
    """Return a certificate that no library would write; its signature is noise."""
    name = tlv(0x30, tlv(0x31, tlv(0x30, tlv(0x06, b"\x55\x04\x03"), tlv(0x0C, common_name))))
    times = tlv(0x30, tlv(0x17, b"260101000000Z"), tlv(0x18, b"20501231235959Z"))
    tbs = tlv(
        0x30,
        tlv(0xA0, tlv(0x02, b"\x02")),
        tlv(0x02, b"\x00"),
        algorithm,
        name,
        times,
        name,
        ROOT.parsed.spki,
        tlv(0xA3, tlv(0x30, *extensions)) if extensions else b"",
        more,
    )
    return tlv(0x30, tbs, outer or algorithm, tlv(0x03, b"\x00noise"))


def test_parts_are_those_that_stand_there() -> None:
    """Each part is a slice of the certificate, equal to what another parser encodes."""
    found, known = REGION.parsed, REGION.certificate
    assert found.encoded == REGION.der
    assert found.tbs == known.tbs_certificate_bytes
    assert found.spki == known.public_key().public_bytes(*SPKI)
    assert (found.serial, found.signature) == (known.serial_number, known.signature)
    assert (found.issuer, found.subject) == (
        known.issuer.public_bytes(),
        known.subject.public_bytes(),
    )
    assert (found.not_before, found.not_after) == (NOW - HOUR, NOW + HOUR)
    assert found.basic_constraints == BasicConstraints(ca=True, path_length=2)
    assert found.key_usage == KeyUsage.KEY_CERT_SIGN | KeyUsage.DIGITAL_SIGNATURE
    assert found.signature_algorithm == SignatureAlgorithm.ECDSA_SHA384
    assert found.fingerprint == known.fingerprint(SHA256())
    assert found.common_name == "region"
    assert {*found.extensions} == {"2.5.29.19", "2.5.29.15"}


@pytest.mark.parametrize("parameters", [b"", b"\x05\x00"])
def test_what_genuine_certificates_do_is_read(parameters: bytes) -> None:
    """A serial number of zero, ECDSA with NULL parameters, no extension: all of them exist."""
    algorithm = tlv(0x30, ECDSA_SHA256[2:], parameters)
    found = load_certificate(hand_made(algorithm=algorithm))
    assert (found.serial, found.common_name, dict(found.extensions)) == (0, "me", {})
    assert found.signature_algorithm == SignatureAlgorithm.ECDSA_SHA256
    assert (found.basic_constraints, found.key_usage) == (None, None)
    assert (found.not_before, found.not_after) == (1_767_225_600, 2_556_143_999)


def test_an_extension_that_says_it_is_not_critical_is_read() -> None:
    """The default may be written out, as some certificates do."""
    found = load_certificate(hand_made(extension("2a03", b"value", b"\x01\x01\x00")))
    assert found.extensions["1.2.3"] == (False, b"value")


CONSTRAINTS, USAGE = "551d13", "551d0f"


@pytest.mark.parametrize(
    ("encoded", "found"),
    [
        (bytes(64 * 1024 + 1), "65537 bytes"),
        (b"", "cut short"),
        (ROOT.der + b"\x00", "1 bytes follow"),
        (hand_made(outer=tlv(0x30, tlv(0x06, b"\x2a"))), "two signature algorithms"),
        (hand_made(algorithm=tlv(0x30)), "AlgorithmIdentifier: ends"),
        (hand_made(more=b"\x05\x00"), "1 fields more"),
        (hand_made(extension("2a03", b"") * 2), "1.2.3 stands there twice"),
        (hand_made(b"\x05\x00"), "Extension: found DER tag"),
        (hand_made(extension("2a03", b"") + b"\x00"), "DER"),
        (hand_made(extension(CONSTRAINTS, b"\x05\x00")), "BasicConstraints: found DER tag"),
        (hand_made(extension(CONSTRAINTS, tlv(0x30, b"\x02\x01\xff"))), "path length"),
        (hand_made(extension(CONSTRAINTS, tlv(0x30, b"\x02\x02\x01\x00"))), "path length"),
        (hand_made(extension(CONSTRAINTS, tlv(0x30, b"\x05\x00"))), "1 fields more"),
        (hand_made(extension(USAGE, b"\x03\x02\x07\x80\x00")), "KeyUsage: 1 bytes follow"),
        (hand_made(extension(USAGE, b"\x03\x02\x07\x81")), "BIT STRING"),
    ],
)
def test_other_forms_are_refused(encoded: bytes, found: str) -> None:
    """What RFC 5280 does not allow is refused, and the word says where."""
    with pytest.raises(MalformedEvidence, match=found):
        load_certificate(encoded)


def test_a_key_usage_without_a_bit_allows_nothing() -> None:
    """An empty key usage is not the same as none."""
    found = load_certificate(hand_made(extension(USAGE, b"\x03\x01\x00")))
    assert found.key_usage == KeyUsage(0)


@pytest.mark.parametrize("names", [[], ["one", "two"]])
def test_no_single_common_name_is_none(names: list[str]) -> None:
    """A subject with no common name, or with two, has none that could be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    country = x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "AQ")
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, text) for text in names]
    name = x509.Name([country, *common])
    wish = issue(Wish("any", ca(None))).certificate
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(wish.not_valid_before_utc)
        .not_valid_after(wish.not_valid_after_utc)
        .sign(key, SHA256())
    )
    assert load_certificate(made.public_bytes(Encoding.DER)).common_name == ""


def test_a_common_name_that_is_no_text_is_none() -> None:
    """Bytes that nobody can read are no name."""
    assert load_certificate(hand_made(common_name=b"\xff")).common_name == ""


def test_every_prefix_is_refused() -> None:
    """A certificate that is cut short anywhere is refused."""
    for size in range(len(REGION.der)):
        with pytest.raises(MalformedEvidence):
            load_certificate(REGION.der[:size])


@given(mutations([REGION.der]))
def test_changed_certificates_never_raise(encoded: bytes) -> None:
    """Bytes changed, cut out or put in: a certificate, or MalformedEvidence; and no signature."""
    try:
        found = load_certificate(encoded)
    except MalformedEvidence:
        return
    assert isinstance(found.common_name, str)
    assert issued(ROOT.parsed, found) is (encoded == REGION.der)
    assert not signed(found, REGION.parsed)


def test_an_issuer_signed_its_child_alone() -> None:
    """The signature counts, and the names beside it."""
    stranger = issue(Wish(ROOT.parsed.common_name, ca(None)))
    renamed = issue(Wish("region", ca(2), issuer_name="other"), ROOT)
    assert issued(ROOT.parsed, REGION.parsed)
    assert issued(ROOT.parsed, ROOT.parsed)
    assert not issued(stranger.parsed, REGION.parsed)
    assert not issued(REGION.parsed, ROOT.parsed)
    assert signed(ROOT.parsed, renamed.parsed)
    assert not issued(ROOT.parsed, renamed.parsed)


PSS = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
SHORT_SALT = padding.PSS(padding.MGF1(SHA384()), 32)


@pytest.mark.parametrize(
    ("bits", "scheme", "digest", "holds"),
    [
        (2048, PSS, SHA384(), True),
        (2048, padding.PKCS1v15(), SHA256(), True),
        (2048, SHORT_SALT, SHA384(), False),
        (2048, padding.PKCS1v15(), SHA384(), False),
        (1024, PSS, SHA384(), False),
    ],
)
def test_rsa_issuers(
    bits: int, scheme: padding.PSS | padding.PKCS1v15, digest: SHA256 | SHA384, holds: bool
) -> None:
    """RSA signs as AMD and common CAs do: other salts, digests and short keys do not hold."""
    key = rsa.generate_private_key(65_537, bits)
    child_key = ec.generate_private_key(ec.SECP256R1())

    def make(owner: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
        name = ROOT.certificate.subject
        return (
            x509.CertificateBuilder(name, name, owner, 1)
            .not_valid_before(ROOT.certificate.not_valid_before_utc)
            .not_valid_after(ROOT.certificate.not_valid_after_utc)
            .sign(key, digest, rsa_padding=scheme)
            .public_bytes(Encoding.DER)
        )

    issuer, child = load_certificate(make(key.public_key())), make(child_key.public_key())
    assert issued(issuer, load_certificate(child)) is holds


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
@pytest.mark.parametrize("weak", [True, False])
def test_each_curve_has_its_digest(curve: ec.EllipticCurve, weak: bool) -> None:
    """P-256 goes with SHA-256 and P-384 with SHA-384; the other two pairs do not hold."""
    root = issue(Wish("root", ca(None), curve=curve))
    child = issue(Wish("child", ca(None), weak=weak), root)
    assert issued(root.parsed, child.parsed) is (weak == isinstance(curve, ec.SECP256R1))


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65_537, 1024),  # noqa: S505 - it must be refused
    ],
    ids=["Ed25519", "secp256k1", "RSA 1024"],
)
def test_other_keys_are_refused(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    """A key of a kind that no vendor uses is refused."""
    with pytest.raises(MalformedEvidence, match="public key"):
        load_public_key(key.public_key().public_bytes(*SPKI))


@pytest.mark.parametrize("spki", [b"", b"\x30\x00", ROOT.parsed.spki[:-1] + b"\x00"])
def test_no_key_is_refused(spki: bytes) -> None:
    """Bytes that are no key, or a point that is not on its curve, are refused."""
    with pytest.raises(MalformedEvidence, match="public key"):
        load_public_key(spki)


def pem(encoded: bytes) -> bytes:
    """Return a certificate in PEM."""
    body = base64.encodebytes(encoded)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def test_pem_holds_certificates_in_order() -> None:
    """Text between them and a NUL behind them are skipped."""
    text = b"leaf:\n" + pem(b"one") + b"\nroot:\r\n" + pem(b"two") + b"\x00"
    assert split_pem(text, 2) == (b"one", b"two")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no certificate",
        pem(b"one")[:-30],
        pem(b"one") * 3,
        b"-----BEGIN CERTIFICATE-----\n#\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nb25\n-----END CERTIFICATE-----",
        pem(b"one") + b"-----BEGIN CERTIFICATE-----",
    ],
)
def test_other_pem_is_refused(text: bytes) -> None:
    """None, one without its end, too many, or no base64."""
    with pytest.raises(MalformedEvidence, match="PEM"):
        split_pem(text, 2)
