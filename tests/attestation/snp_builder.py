"""Builds SEV-SNP reports under a made-up AMD, so that every check can be met and missed.

A `Recipe` is a genuine report and its certificates; `dataclasses.replace` spoils one thing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from attestation.evidence import Evidence
from attestation.snp_report import REPORT_BYTES
from attestation.x509 import load_certificate

NOW = 1_750_000_000.0
DAY = 86_400.0
CHIP = bytes(range(64))
MEASUREMENT = bytes(range(100, 148))
TCB = {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}

_ORDER = {
    "Milan": {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7},
    "Genoa": {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7},
    "Turin": {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7},
}
_CPUID = {"Milan": b"\x19\x01\x01", "Genoa": b"\x19\x11\x01", "Turin": b"\x1a\x02\x01"}
_AMD = "1.3.6.1.4.1.3704.1"
_SPL = {"bootloader": 1, "tee": 2, "snp": 3, "microcode": 8, "fmc": 9}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """An RSA key, the same for the same name; short, because AMD's length is slow to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key(name: str, curve: type[ec.EllipticCurve] = ec.SECP384R1) -> ec.EllipticCurvePrivateKey:
    """A key on a curve, the same for the same name."""
    return ec.generate_private_key(curve())


def moment(seconds: float) -> datetime:
    """A time as cryptography's builders take it."""
    return datetime.fromtimestamp(seconds, UTC)


def amd_name(common_name: str) -> x509.Name:
    """A name as AMD gives its certificates."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Template:
    """One certificate to be made: who, by whom, for how long, with what."""

    subject: str
    issuer: str
    key: Key
    signer: Key
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    start: float = NOW - DAY
    end: float = NOW + DAY
    pss: bool = True

    def make(self) -> bytes:
        """The certificate, DER."""
        builder = x509.CertificateBuilder(
            issuer_name=amd_name(self.issuer),
            subject_name=amd_name(self.subject),
            public_key=self.key.public_key(),
            serial_number=7,
            not_valid_before=moment(self.start),
            not_valid_after=moment(self.end),
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        pss = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
        scheme = pss if self.pss and isinstance(self.signer, rsa.RSAPrivateKey) else None
        return builder.sign(self.signer, SHA384(), rsa_padding=scheme).public_bytes(Encoding.DER)


def authority(path_length: int | None = None) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extensions of a CA."""
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment"),
            *("data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return (
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), True),
    )


@cache
def ark(product: str = "Milan", key: str = "ark") -> bytes:
    """A made-up root: the same for the same words."""
    name = f"ARK-{product}"
    return Template(name, name, rsa_key(key), rsa_key(key), authority()).make()


def fingerprint(product: str = "Milan") -> bytes:
    """What a verifier pins to trust the made-up root."""
    return load_certificate(ark(product)).fingerprint


def ask_template(product: str = "Milan", kind: str = "VCEK") -> Template:
    """The CA below the root: ASK or ASVK."""
    name = f"SEV-{product}" if kind == "VCEK" else f"SEV-VLEK-{product}"
    return Template(name, f"ARK-{product}", rsa_key(name), rsa_key("ark"), authority(0))


def integer(value: int) -> bytes:
    """A DER INTEGER of one or two bytes."""
    content = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes([2, len(content)]) + content


def statements(
    tcb: Mapping[str, int], chip: bytes | None, csp: str = ""
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extensions in which a VCEK or VLEK says what it stands for."""
    values = {f"{_AMD}.3.{_SPL[part]}": integer(version) for part, version in tcb.items()}
    if chip is not None:
        values[f"{_AMD}.4"] = chip
    if csp:
        values[f"{_AMD}.5"] = bytes([0x16, len(csp)]) + csp.encode()
    return tuple(
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False)
        for oid, value in values.items()
    )


def tcb_word(product: str, tcb: Mapping[str, int]) -> bytes:
    """A TCB as the product lays it out: 8 bytes."""
    word = bytearray(8)
    for part, version in tcb.items():
        word[_ORDER[product][part]] = version
    return bytes(word)


@dataclass(frozen=True)
class Recipe:
    """A genuine report of a made-up AMD; each field may be spoilt.

    `patches` lays bytes over the report before it is signed, `scars` after; `leaf`, `ask` and `ark`
    replace a certificate, `without` leaves some out, `more` adds endorsements.
    """

    product: str = "Milan"
    kind: str = "VCEK"
    version: int = 3
    tcb: Mapping[str, int] = field(default_factory=lambda: dict(TCB))
    chip: bytes = CHIP
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec_key("chip"))
    patches: Mapping[int, bytes] = field(default_factory=dict)
    scars: Mapping[int, bytes] = field(default_factory=dict)
    leaf: bytes | None = None
    ask: bytes | None = None
    ark: bytes | None = None
    without: frozenset[str] = frozenset()
    more: Mapping[str, bytes] = field(default_factory=dict)

    def leaf_template(self) -> Template:
        """The certificate of the key that signs the report."""
        vlek = self.kind == "VLEK"
        hardware = self.chip[:8] if self.product == "Turin" else self.chip
        stated = statements(
            self.tcb, None if vlek else hardware, "CN=cloud.example" if vlek else ""
        )
        ask = ask_template(self.product, self.kind)
        return Template(f"SEV-{self.kind}", ask.subject, self.key, ask.key, stated)

    def report(self) -> bytes:
        """The signed report."""
        report = bytearray(REPORT_BYTES)
        word = tcb_word(self.product, self.tcb)
        fields = {
            0x00: self.version.to_bytes(4, "little"),
            0x08: 0x3001F.to_bytes(8, "little"),
            0x34: b"\x01",
            0x48: b"\x04" if self.kind == "VLEK" else b"\x00",
            0x50: bytes([0xDA]) * 64,
            0x90: MEASUREMENT,
            **dict.fromkeys((0x38, 0x180, 0x1E0, 0x1F0), word),
            0x188: _CPUID[self.product] if self.version > 2 else b"",
            0x1A0: bytes(64) if self.kind == "VLEK" else self.chip,
        }
        for at, value in {**fields, **self.patches}.items():
            report[at : at + len(value)] = value
        signature = self.key.sign(bytes(report[:0x2A0]), ec.ECDSA(SHA384()))
        r, s = decode_dss_signature(signature)
        scars = {0x2A0: r.to_bytes(72, "little"), 0x2E8: s.to_bytes(72, "little"), **self.scars}
        for at, value in scars.items():
            report[at : at + len(value)] = value
        return bytes(report)

    def certificates(self) -> dict[str, bytes]:
        """What comes with the report."""
        made = {
            self.kind.lower(): self.leaf or self.leaf_template().make(),
            "ask": self.ask or ask_template(self.product, self.kind).make(),
            "ark": self.ark or ark(self.product),
            **self.more,
        }
        return {name: value for name, value in made.items() if name not in self.without}

    def evidence(self) -> Evidence:
        """All of it."""
        return Evidence("sev-snp", self.report(), self.certificates())


def crl(
    *, revoked: int = 99, start: float = NOW - DAY, end: float = NOW + DAY, signer: str = "ark"
) -> bytes:
    """A revocation list of the made-up root."""
    entry = x509.RevokedCertificateBuilder(revoked, moment(start)).build()
    builder = x509.CertificateRevocationListBuilder(
        amd_name("ARK-Milan"), moment(start), moment(end), revoked_certificates=[entry]
    )
    pss = padding.PSS(padding.MGF1(SHA384()), SHA384.digest_size)
    return builder.sign(rsa_key(signer), SHA384(), rsa_padding=pss).public_bytes(Encoding.DER)


def envelope(report: bytes, text: bytes, *, kind: int = 2, digest: int = 1) -> bytes:
    """Azure's envelope around a report."""
    words = (20 + len(text), 1, kind, digest, len(text))
    header = b"HCLA".ljust(32, b"\0")
    return header + report + b"".join(word.to_bytes(4, "little") for word in words) + text
