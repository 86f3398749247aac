"""Nitro documents of a made-up hypervisor: of genuine shape, under a root that only tests trust."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from attestation.evidence import Evidence, Verified
from attestation.nitro import Nitro
from attestation.x509 import Certificate, load_certificate

# When the documents are signed: a second inside every certificate's life.
NOW = 1_800_000_000
HOUR = 3600
ES384 = bytes.fromhex("a1013822")
INSTANCE = "i-0123456789abcdef0"
NAMES = ("aws.nitro-enclaves", "region", "zone", INSTANCE, f"{INSTANCE}-enc")

Extension = tuple[x509.ExtensionType, bool]


def usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    """Return a key usage that allows what is named."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def ca(path_length: int | None, *, critical: bool = True, sign: bool = True) -> list[Extension]:
    """Return the extensions of a CA."""
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), critical),
        (usage(key_cert_sign=sign, digital_signature=True), True),
    ]


def signer(*, sign: bool = True) -> list[Extension]:
    """Return the extensions of the certificate that signs documents."""
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(digital_signature=sign), False),
    ]


# From the root down, as genuine chains are.
SHAPES: tuple[list[Extension], ...] = (ca(None), ca(2), ca(1), ca(0), signer())


@dataclass(frozen=True)
class Link:
    """One certificate of a chain, and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @cached_property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def parsed(self) -> Certificate:
        """The certificate as the product reads it."""
        return load_certificate(self.der)


@dataclass(frozen=True)
class Wish:
    """How one certificate is to be.

    Attributes:
        name: Its common name.
        extensions: What it has.
        start: Its first second, from NOW.
        end: Its last second, from NOW.
        curve: Its key's curve.
        issuer_name: The issuer's name that it states, if it is not the issuer's.
        weak: Whether it is signed with SHA-256.

    """

    name: str
    extensions: Sequence[Extension]
    start: int = -HOUR
    end: int = HOUR
    curve: ec.EllipticCurve = ec.SECP384R1()  # noqa: RUF009 - it holds nothing that could change
    issuer_name: str = ""
    weak: bool = False


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _time(offset: int) -> datetime:
    return datetime.fromtimestamp(NOW + offset, UTC)


def issue(wish: Wish, issuer: Link | None = None) -> Link:
    """Return a new key with its certificate, signed by `issuer` or by itself."""
    key = ec.generate_private_key(wish.curve)
    issuer_name = issuer.certificate.subject if issuer else _name(wish.name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(wish.name))
        .issuer_name(_name(wish.issuer_name) if wish.issuer_name else issuer_name)
        .public_key(key.public_key())
        .serial_number(1 + len(wish.name))
        .not_valid_before(_time(wish.start))
        .not_valid_after(_time(wish.end))
    )
    for extension, critical in wish.extensions:
        builder = builder.add_extension(extension, critical=critical)
    digest = SHA256() if wish.weak else SHA384()
    return Link(key, builder.sign(issuer.key if issuer else key, digest))


def wishes(**changes: Wish) -> list[Wish]:
    """Return the wishes of a genuine chain, but for those that are named: `root`, …, `leaf`."""
    ranks = ("root", "region", "zone", "instance", "leaf")
    plain = [Wish(name, shape) for name, shape in zip(NAMES, SHAPES, strict=True)]
    return [changes.get(rank, wish) for rank, wish in zip(ranks, plain, strict=True)]


def issue_chain(wanted: list[Wish]) -> list[Link]:
    """Return a chain, the root first, each signed by the one before it."""
    chain: list[Link] = []
    for wish in wanted:
        chain.append(issue(wish, chain[-1] if chain else None))
    return chain


class Hypervisor:
    """Signs documents as a hypervisor of AWS does.

    Args:
        chain: Its certificates, the root first; a genuine chain if none is given.

    """

    def __init__(self, chain: list[Link] | None = None) -> None:
        self.chain = chain or issue_chain(wishes())

    @property
    def kind(self) -> Nitro:
        """The verifier that trusts this hypervisor's root alone."""
        return Nitro(frozenset({self.chain[0].parsed.fingerprint}))

    def fields(self, **changes: object) -> dict[str, object]:
        """Return the payload's fields, but for those that are named."""
        pcrs = {index: bytes([index + 1]) * 48 if index < 5 else bytes(48) for index in range(16)}
        return {
            "module_id": f"{INSTANCE}-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": NOW * 1000,
            "pcrs": pcrs,
            "certificate": self.chain[-1].der,
            "cabundle": [link.der for link in self.chain[:-1]],
            "public_key": None,
            "user_data": b"user data",
            "nonce": b"nonce",
            **changes,
        }

    def document(self, **changes: object) -> bytes:
        """Return a signed document whose payload differs in the fields that are named."""
        return self.sign(cbor2.dumps(self.fields(**changes)))

    def sign(
        self,
        payload: bytes,
        protected: bytes = ES384,
        unprotected: Mapping[object, object] | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """Return a signed document around a payload, under these headers."""
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        der = (key or self.chain[-1].key).sign(signed, ec.ECDSA(SHA384()))
        return cbor2.dumps([protected, dict(unprotected or {}), payload, raw_signature(der)])


def raw_signature(der: bytes) -> bytes:
    """Return an ECDSA signature in COSE's form: r and s, 48 bytes each."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(48) + s.to_bytes(48)


def evidence(document: bytes) -> Evidence:
    """Return a document as it arrives."""
    return Evidence("nitro", document, {})


def chain_of(document: bytes) -> list[bytes]:
    """Return the certificates that a document carries, the root first."""
    payload = cbor2.loads(cbor2.loads(document)[2])
    return [*payload["cabundle"], payload["certificate"]]


H = Hypervisor()
GOOD = H.document()
ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
PCRS = {index: bytes([index + 1]) * 48 for index in range(3)}


def parts(document: bytes = GOOD) -> list[object]:
    """Return the four parts of a document."""
    found: list[object] = cbor2.loads(document)
    return found


def with_signature(change: Callable[[bytes], bytes]) -> bytes:
    """Return the good document with another signature."""
    protected, unprotected, payload, signature = parts()
    assert isinstance(signature, bytes)
    return cbor2.dumps([protected, unprotected, payload, change(signature)])


def with_payload(change: Callable[[bytes], bytes]) -> bytes:
    """Return the good payload after a change, signed again."""
    return H.sign(change(cbor2.dumps(H.fields())))


def without(*names: str) -> bytes:
    """Return a document that lacks these fields."""
    fields = H.fields()
    for name in names:
        del fields[name]
    return H.sign(cbor2.dumps(fields))


def indefinite(pairs: dict[str, object]) -> bytes:
    """Return a map of indefinite length."""
    body = b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in pairs.items())
    return b"\xbf" + body + b"\xff"


def verify(document: bytes, now: float = NOW) -> Verified:
    """Verify a document as who trusts the root of `H`."""
    return H.kind.verify(evidence(document), now)
