"""Certificates for one run of the tests, made by an authority that nobody else trusts."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; who trusts `root` accepts them."""

    def __init__(self, folder: Path) -> None:
        """Makes the authority; its files lie in `folder`."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("the tests' authority")
        self.root = folder / "root.pem"
        own = x509.BasicConstraints(ca=True, path_length=None)
        signed = _unsigned(self._name, self._name, self._key).add_extension(own, critical=True)
        self._save(self.root, signed.sign(self._key, hashes.SHA256()))

    def issue(self, name: str) -> Certificate:
        """A certificate for a host or a client of this name; made anew each time."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        unsigned = _unsigned(_name(name), self._name, key).add_extension(names, critical=False)
        number = len(list(self._folder.iterdir()))
        paths = Certificate(self._folder / f"{number}.pem", self._folder / f"{number}.key")
        self._save(paths.certificate, unsigned.sign(self._key, hashes.SHA256()))
        paths.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _save(self, path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
    )
