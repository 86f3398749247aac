"""A certificate authority for one test run: a server's certificate, and clients'."""

import datetime as dt
import ssl
import tempfile
from functools import cache
from ipaddress import IPv4Address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Identity(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: str
    key: str


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@cache
def _authority() -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("a cluster")
    signed = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Authority(signed, key)


def authority() -> str:
    """The certificate that clients are to believe, PEM."""
    return _authority().certificate.public_bytes(serialization.Encoding.PEM).decode()


@cache
def identity(user: str) -> Identity:
    """The certificate of a client, or of the server at the loopback, who is called `server`."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _authority()
    places = [x509.DNSName("kubernetes.default"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    builder = _builder(_name(user), issuer.certificate.subject, key).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
    )
    if user == "server":
        names = x509.SubjectAlternativeName(places)
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(issuer.key, hashes.SHA256())
    return Identity(
        signed.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def server_context() -> ssl.SSLContext:
    """The context of the server, which takes clients with and without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine = identity("server")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(mine.certificate + mine.key)
        file.flush()
        context.load_cert_chain(file.name)
    context.load_verify_locations(cadata=authority())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
