"""A TEE without hardware: signs documents of Nitro's shape, for demonstrations and tests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from attestation.cose import ES384_HEADER
from attestation.evidence import Evidence
from attestation.manifest import digest, register_value
from attestation.nitro import MANIFEST_PCR
from attestation.request import Request
from attestation.simulated import KIND, ROOT, ROOT_SEED

CERTIFICATE_SECONDS: Final = 3 * 3600
"""Seconds that a signer's certificate lives, and with it a document: as Nitro's."""

_PCR = 48
_PCRS = range(32)
_IMAGE = (0, 1, 2)
_ORDER_BYTES = 48


def _signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@dataclass(frozen=True, slots=True)
class SimulatedTee:
    """One simulated enclave.

    Attributes:
        image: What runs in it; its measurements are made of these bytes.
        manifest: The secondary manifest that was extended before user code started; None: none.
        debug: Whether its memory can be read, so that it measures zeros.
        instance: The instance that it runs on: 17 hexadecimal digits.
        key: What signs its documents.

    """

    image: bytes
    manifest: bytes | None = None
    debug: bool = False
    instance: str = "0" * 17
    key: ec.EllipticCurvePrivateKey = field(default_factory=_signer, repr=False)

    def registers(self) -> Mapping[int, bytes]:
        """Return its PCRs by number, 48 bytes each: what a policy pins is 0, 1 and 2."""
        pcrs = dict.fromkeys(_PCRS, bytes(_PCR))
        for index in () if self.debug else _IMAGE:
            pcrs[index] = hashlib.sha384(bytes([index]) + self.image).digest()
        pcrs[4] = hashlib.sha384(self.instance.encode()).digest()
        if self.manifest is not None:
            pcrs[MANIFEST_PCR] = register_value(digest(self.manifest), _PCR)
        return MappingProxyType(pcrs)

    def evidence(self, request: Request, now: float) -> Evidence:
        """Return evidence that answers a request, with all that travels beside it.

        Args:
            request: What the program inside asks for; anything, as with every TEE.
            now: The time that is signed, seconds since the epoch, UTC.

        """
        return Evidence(
            kind=KIND,
            document=self.document(now, user_data=request.bound_data, nonce=request.nonce),
            endorsements=MappingProxyType({}),
            claims_buffer=request.claims_buffer,
            agent_claims=request.agent_claims,
            manifest=self.manifest,
        )

    def document(
        self,
        now: float,
        *,
        user_data: bytes | None = None,
        nonce: bytes | None = None,
        public_key: bytes | None = None,
    ) -> bytes:
        """Return a signed document: COSE_Sign1 with ES384, untagged.

        Args:
            now: The time that is signed, seconds since the epoch, UTC.
            user_data: At most 512 bytes.
            nonce: At most 512 bytes.
            public_key: At most 1,024 bytes.

        """
        payload = cbor2.dumps(
            {
                "module_id": f"i-{self.instance}-enc{self.instance}",
                "digest": "SHA384",
                "timestamp": int(now * 1000),
                "pcrs": dict(self.registers()),
                "certificate": self._certificate(now),
                "cabundle": [ROOT],
                "public_key": public_key,
                "user_data": user_data,
                "nonce": nonce,
            }
        )
        signed = cbor2.dumps(["Signature1", ES384_HEADER, b"", payload])
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(SHA384())))
        signature = r.to_bytes(_ORDER_BYTES) + s.to_bytes(_ORDER_BYTES)
        return cbor2.dumps([ES384_HEADER, {}, payload, signature])

    def _certificate(self, now: float) -> bytes:
        root = x509.load_der_x509_certificate(ROOT)
        root_key = ec.derive_private_key(
            int.from_bytes(hashlib.sha256(ROOT_SEED).digest()), ec.SECP384R1()
        )
        start = datetime.fromtimestamp(int(now), UTC)
        name = x509.NameAttribute(NameOID.COMMON_NAME, f"simulated-{self.instance}")
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
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([name]))
            .issuer_name(root.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(seconds=CERTIFICATE_SECONDS))
            .add_extension(usage, critical=True)
            .sign(root_key, SHA384())
        )
        return certificate.public_bytes(Encoding.DER)
