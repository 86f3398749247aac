"""Builds TDX quotes and collateral under a made-up Intel: every check can be met and missed.

A `Quote` is genuine, and so is `Collateral`; `dataclasses.replace` spoils one thing of them.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.evidence import Evidence
from attestation.tdx import INTEL_SIGNER
from attestation.x509 import load_certificate
from tests.attestation.snp_builder import ec_key, moment

NOW = 1_750_000_000.0
DAY = 86_400.0
MR_TD = bytes(range(48))
FMSPC = bytes.fromhex("90c06f000000")
PPID = bytes(range(16))
ROOT = "Intel SGX Root CA"
PLATFORM = "Intel SGX PCK Platform CA"
LEAF = "Intel SGX PCK Certificate"
SIGNING = "Intel SGX TCB Signing"

_SGX = (1, 2, 840, 113741, 1, 13, 1)
_URL = "https://certificates.example/"


def key_of(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key, the same for the same name."""
    return ec_key(name, ec.SECP256R1)


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A signature as Intel writes it: r and s, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    head = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + head + content


def _oid(*arcs: int) -> bytes:
    content = bytes([arcs[0] * 40 + arcs[1]])
    for arc in arcs[2:]:
        groups = [arc >> shift & 0x7F for shift in range(28, -7, -7)]
        while len(groups) > 1 and not groups[0]:
            groups.pop(0)
        content += bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
    return _tlv(6, content)


def _pair(arcs: tuple[int, ...], value: bytes) -> bytes:
    return _tlv(0x30, _oid(*_SGX, *arcs) + value)


def sgx_extension(fmspc: bytes = FMSPC, ppid: bytes = PPID) -> bytes:
    """What a PCK's certificate says of its platform; every component at version 5."""
    components = b"".join(_pair((2, i), _tlv(2, b"\x05")) for i in range(1, 18))
    return _tlv(
        0x30,
        _pair((1,), _tlv(4, ppid))
        + _pair((2,), _tlv(0x30, components + _pair((2, 18), _tlv(4, b"\x05" * 16))))
        + _pair((3,), _tlv(4, b"\0\0"))
        + _pair((4,), _tlv(4, fmspc))
        + _pair((5,), _tlv(0x0A, b"\0")),
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    others = ("key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


@dataclass(frozen=True)
class Template:
    """One certificate to be made; by default a PCK's."""

    subject: str = LEAF
    issuer: str = PLATFORM
    key: str = "pck"
    signer: str = "platform"
    ca: bool = False
    sgx: bytes | None = field(default_factory=sgx_extension)
    start: float = NOW - DAY
    end: float = NOW + 30 * DAY
    curve: type[ec.EllipticCurve] = ec.SECP256R1
    digest: SHA256 | SHA384 = field(default_factory=SHA256)
    serial: int = 0x1234

    def make(self) -> bytes:
        """The certificate, DER."""
        key = ec_key(self.key, self.curve)
        signer = key_of(self.signer)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        points = x509.DistributionPoint([x509.UniformResourceIdentifier(_URL)], None, None, None)
        builder = (
            x509.CertificateBuilder(
                issuer_name=intel_name(self.issuer),
                subject_name=intel_name(self.subject),
                public_key=key.public_key(),
                serial_number=self.serial,
                not_valid_before=moment(self.start),
                not_valid_after=moment(self.end),
            )
            .add_extension(x509.BasicConstraints(ca=self.ca, path_length=None), critical=True)
            .add_extension(_usage(ca=self.ca), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(x509.CRLDistributionPoints([points]), critical=False)
        )
        if self.sgx is not None:
            oid = x509.ObjectIdentifier(".".join(map(str, _SGX)))
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, self.sgx), False)
        return builder.sign(signer, self.digest).public_bytes(Encoding.DER)


def intel_name(common_name: str) -> x509.Name:
    """A name as Intel gives its certificates."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@cache
def root(key: str = "root") -> bytes:
    """A made-up root: the same for the same key."""
    return Template(ROOT, ROOT, key, key, ca=True, sgx=None).make()


@cache
def platform() -> bytes:
    """The CA of the made-up platforms."""
    return Template(PLATFORM, ROOT, "platform", "root", ca=True, sgx=None).make()


@cache
def signing() -> bytes:
    """The made-up Intel's certificate for TCB info and QE identity."""
    return Template(SIGNING, ROOT, "signing", "root", sgx=None).make()


def fingerprint() -> bytes:
    """What a verifier pins to trust the made-up root."""
    return load_certificate(root()).fingerprint


def pem(*certificates: bytes) -> bytes:
    """Certificates as text."""
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n"
        + base64.encodebytes(certificate)
        + b"-----END CERTIFICATE-----\n"
        for certificate in certificates
    )


def qe_report(
    report_data: bytes, *, signer: bytes = INTEL_SIGNER, product: int = 2, flags: int = 0x15
) -> bytes:
    """What the quoting enclave says of the attestation key."""
    report = bytearray(384)
    report[0x30] = flags
    report[0x80:0xA0] = signer
    report[0x100:0x104] = product.to_bytes(2, "little") + b"\x06\x00"
    report[0x140:0x180] = report_data
    return bytes(report)


@dataclass(frozen=True)
class Quote:
    """A genuine quote of a made-up Intel; each field may be spoilt.

    `patches` lays bytes over the TD's report before it is signed, `header` over the quote's header,
    `scars` over the finished quote; `qe` changes the QE's report before it is signed.
    """

    version: int = 4
    body_type: int = 3
    patches: Mapping[int, bytes] = field(default_factory=dict)
    header: Mapping[int, bytes] = field(default_factory=dict)
    scars: Mapping[int, bytes] = field(default_factory=dict)
    signer: str = "attestation"
    attestation_key: bytes | None = None
    qe: Mapping[str, bytes | int] = field(default_factory=dict)
    qe_signer: str = "pck"
    bound: bytes | None = None
    chain: tuple[bytes, ...] | None = None
    certification: int = 6
    inner_certification: int = 5
    inside: bytes = b""
    behind: bytes = b""

    def _signed(self) -> bytes:
        header = bytearray(48)
        header[0:8] = self.version.to_bytes(2, "little") + b"\x02\x00\x81\x00\x00\x00"
        header[12:28] = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
        size = 584 if self.version == 4 or self.body_type == 2 else 648
        body = bytearray(size)
        body[0:3] = b"\x05\x01\x05"
        if size > 584:
            body[0x248:0x24B] = b"\x05\x01\x05"
        body[0x78:0x80] = b"\0\0\0\x10\0\0\0\0"
        body[0x88:0xB8] = MR_TD
        body[0x208:0x248] = b"\xda" * 64
        for target, patches in ((header, self.header), (body, self.patches)):
            for at, value in patches.items():
                target[at : at + len(value)] = value
        kind = b"" if self.version == 4 else self.body_type.to_bytes(2, "little")
        length = b"" if self.version == 4 else size.to_bytes(4, "little")
        return bytes(header) + kind + length + bytes(body)

    def make(self) -> bytes:
        """The quote."""
        signed = self._signed()
        public = key_of("attestation").public_key()
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        key = self.attestation_key or point
        authentication = bytes(range(32))
        digest = hashlib.sha256(key + authentication).digest() + bytes(32)
        report = qe_report(self.bound or digest, **self.qe)  # type: ignore[arg-type]  # by name
        chain = self.chain or (Template().make(), platform(), root())
        text = pem(*chain) + b"\0"
        certification = (
            report
            + sign(key_of(self.qe_signer), report)
            + b"\x20\x00"
            + authentication
            + self.inner_certification.to_bytes(2, "little")
            + len(text).to_bytes(4, "little")
            + text
            + self.inside
        )
        data = (
            sign(key_of(self.signer), signed)
            + key
            + self.certification.to_bytes(2, "little")
            + len(certification).to_bytes(4, "little")
            + certification
        )
        quote = bytearray(signed + len(data).to_bytes(4, "little") + data + self.behind)
        for at, value in self.scars.items():
            quote[at : at + len(value)] = value
        return bytes(quote)

    def evidence(self, collateral: bytes | None = None) -> Evidence:
        """The quote, with collateral if there is any."""
        return Evidence(
            "tdx", self.make(), {} if collateral is None else {"collateral": collateral}
        )


def revocations(
    issuer: str, signer: str, *, revoked: tuple[int, ...] = (), end: float = NOW + DAY
) -> bytes:
    """A revocation list."""
    entries = [
        x509.RevokedCertificateBuilder(serial, moment(NOW - DAY)).build() for serial in revoked
    ]
    key = key_of(signer)
    builder = x509.CertificateRevocationListBuilder(
        intel_name(issuer), moment(NOW - DAY), moment(end), revoked_certificates=entries
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def stamp(seconds: float) -> str:
    """A time as Intel writes it."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Collateral:
    """Genuine collateral of a made-up Intel; `tcb_info` and `identity` change its fields."""

    status: str = "UpToDate"
    start: float = NOW - DAY
    end: float = NOW + DAY
    svn: int = 5
    tcb_info: Mapping[str, object] = field(default_factory=dict)
    identity: Mapping[str, object] = field(default_factory=dict)
    signer: str = "signing"
    revoked: tuple[int, ...] = ()
    crl_end: float = NOW + DAY

    def _tcb_info(self) -> str:
        components = [{"svn": self.svn}] * 16
        level = {
            "tcb": {
                "sgxtcbcomponents": components,
                "pcesvn": 5,
                "tdxtcbcomponents": [{"svn": 5}, {"svn": 1}, {"svn": 5}] + [{"svn": 0}] * 13,
            },
            "tcbDate": "2025-01-01T00:00:00Z",
            "tcbStatus": self.status,
            "advisoryIDs": ["INTEL-SA-00001"],
        }
        module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
        tier = {"tcb": {"isvsvn": 5}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}
        info: dict[str, object] = {
            "id": "TDX",
            "version": 3,
            "issueDate": stamp(self.start),
            "nextUpdate": stamp(self.end),
            "fmspc": FMSPC.hex(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": 18,
            "tdxModule": module,
            "tdxModuleIdentities": [{"id": "TDX_01", **module, "tcbLevels": [tier]}],
            "tcbLevels": [level],
        }
        return json.dumps({**info, **self.tcb_info}, separators=(",", ":"))

    def _identity(self) -> str:
        level = {"tcb": {"isvsvn": 4}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}
        identity: dict[str, object] = {
            "id": "TD_QE",
            "version": 2,
            "issueDate": stamp(self.start),
            "nextUpdate": stamp(self.end),
            "tcbEvaluationDataNumber": 18,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": INTEL_SIGNER.hex(),
            "isvprodid": 2,
            "tcbLevels": [level],
        }
        return json.dumps({**identity, **self.identity}, separators=(",", ":"))

    def make(self) -> bytes:
        """The collateral, in the JSON form of dcap-qvl."""
        tcb_info, identity = self._tcb_info(), self._identity()
        key = key_of(self.signer)
        chain = pem(signing(), root()).decode()
        made = {
            "pck_crl_issuer_chain": pem(platform(), root()).decode(),
            "root_ca_crl": revocations(ROOT, "root", end=self.crl_end).hex(),
            "pck_crl": revocations(
                PLATFORM, "platform", revoked=self.revoked, end=self.crl_end
            ).hex(),
            "tcb_info_issuer_chain": chain,
            "tcb_info": tcb_info,
            "tcb_info_signature": sign(key, tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": chain,
            "qe_identity": identity,
            "qe_identity_signature": sign(key, identity.encode()).hex(),
        }
        return json.dumps(made).encode()
