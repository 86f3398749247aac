"""Intel TDX: is a quote genuine, made by Intel's quoting enclave on a platform that Intel knows?

The platform's key (PCK) signs the report of the quoting enclave, that report names the attestation
key, and that key signs the quote. What Intel says of the platform's security version is another
question, and needs collateral (`tdx_collateral`).
"""

import hashlib
import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from attestation import roots, tdx_demands
from attestation.chain import ChainRules, holds, valid_until, walk
from attestation.checks import Check, failed, first_failure, passed, unreadable
from attestation.claims import Claims
from attestation.demands import Path
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence, MeasurementSet, Verified
from attestation.tdx_certificates import Platform, load_chain, platform_of
from attestation.tdx_collateral import COLLATERAL, TcbJudgement, judge_tcb
from attestation.tdx_quote import QUOTE_BYTES, EnclaveReport, TdxQuote, parse_quote
from attestation.x509 import Certificate, KeyUsage, SignatureAlgorithm, load_public_key

INTEL_SIGNER: Final = bytes.fromhex(
    "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"
)
"""MRSIGNER of Intel's quoting enclaves: without it any enclave could make quotes."""

_TD_QUOTING_ENCLAVE = 2
_TUD = 0xFF
_MEASUREMENTS = (
    *("mr_td", "rtmr0", "rtmr1", "rtmr2", "rtmr3"),
    *("mr_config_id", "mr_owner", "mr_owner_config", "mr_seam", "mr_signer_seam", "mr_service_td"),
)


class Tdx:
    """The kind `tdx`.

    Args:
        trusted: SHA-256 of the DER of each root that is trusted, 32 bytes each.

    """

    def __init__(self, trusted: frozenset[bytes] = roots.INTEL_SGX) -> None:
        self._rules = ChainRules(
            trusted,
            frozenset({SignatureAlgorithm.ECDSA_SHA256}),
            KeyUsage.DIGITAL_SIGNATURE,
        )

    @property
    def name(self) -> str:
        """`tdx`."""
        return tdx_demands.KIND

    @property
    def signs_time(self) -> bool:
        """False: a quote says nothing of when it was made."""
        return False

    @property
    def limit(self) -> int:
        """Most bytes of a document."""
        return QUOTE_BYTES

    def demands(self, found: object, path: Path) -> MeasurementSet:
        """Read one set of a policy's `accept` list.

        Raises:
            PolicyError: A key is not known, a value has not its shape, or nothing is pinned.
        """
        return tdx_demands.read_demands(found, path)

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether a quote is genuine at `now` (seconds UTC). Never raises on any bytes."""
        try:
            quote = parse_quote(evidence.document)
        except MalformedEvidence as error:
            return _refused(unreadable("form", error, "a TDX quote"))
        checks: tuple[Check, ...] = (passed("form", f"version {quote.version}"),)
        try:
            chain = load_chain(quote.certificates)
        except MalformedEvidence as error:
            return _refused(*checks, unreadable("endorsements", error, "a PCK and its two CAs"))
        checks += walk(chain, now, self._rules)
        if not holds(checks):
            return _refused(*checks)
        try:
            platform = platform_of(chain)
        except MalformedEvidence as error:
            return _refused(*checks, unreadable("platform", error, "a PCK of a platform"))
        checks += (passed("platform", platform.fmspc.hex()), *_signatures(quote, chain[-1]))
        if not holds(checks):
            return _refused(*checks)
        tcb = judge_tcb(quote.encoded, chain[0].encoded, evidence.endorsements.get(COLLATERAL), now)
        checks += (tcb.check,)
        if first_failure(checks):
            return _refused(*checks)
        return Verified(_claims(quote, platform, tcb, valid_until(chain)), checks)


def _refused(*checks: Check) -> Verified:
    return Verified(None, checks)


def _signatures(quote: TdxQuote, pck: Certificate) -> tuple[Check, ...]:
    """The way from the platform's key to the quote, each step resting on the one before."""
    report = quote.qe_report
    checks = [_qe_signature(quote, pck)]
    if holds(checks):
        checks.append(_quoting_enclave(report))
    if holds(checks):
        checks.append(_attestation_key(quote))
    if holds(checks):
        checks.append(_quote_signature(quote))
    return tuple(checks)


def _qe_signature(quote: TdxQuote, pck: Certificate) -> Check:
    name = "qe_signature"
    try:
        key = load_public_key(pck.spki)
    except MalformedEvidence as error:
        return unreadable(name, error, "a P-256 key in the PCK's certificate")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        return failed(name, "a PCK that is no P-256 key", "P-256")
    if _is_signed(key, quote.qe_signature, quote.qe_report.encoded):
        return passed(name)
    return failed(name, "a QE report that the PCK did not sign", "its signature")


def _quoting_enclave(report: EnclaveReport) -> Check:
    name = "quoting_enclave"
    if report.debug:
        return failed(name, "a quoting enclave in debug mode", "one in production mode")
    if report.mr_signer != INTEL_SIGNER:
        return failed(name, f"signer {report.mr_signer.hex()}", f"Intel: {INTEL_SIGNER.hex()}")
    if report.product_id != _TD_QUOTING_ENCLAVE:
        return failed(name, f"product {report.product_id}", "2 (the quoting enclave for TDs)")
    return passed(name)


def _attestation_key(quote: TdxQuote) -> Check:
    name = "attestation_key"
    digest = hashlib.sha256(quote.attestation_key + quote.qe_authentication).digest()
    if hmac.compare_digest(quote.qe_report.report_data, digest + bytes(32)):
        return passed(name)
    return failed(name, "a key that the QE report does not name", "the one that it names")


def _quote_signature(quote: TdxQuote) -> Check:
    name = "quote_signature"
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), b"\x04" + quote.attestation_key
        )
    except ValueError:
        return failed(name, "an attestation key that is no point", "one on P-256")
    if _is_signed(key, quote.signature, quote.signed):
        return passed(name)
    return failed(name, "a quote that the attestation key did not sign", "its signature")


def _is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    """Whether r and s, 32 bytes each and big-endian, are the key's signature of the data."""
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _claims(quote: TdxQuote, platform: Platform, tcb: TcbJudgement, ends: float) -> Claims:
    fields = quote.fields
    return Claims(
        kind=tdx_demands.KIND,
        measurements={name: fields[name] for name in _MEASUREMENTS if name in fields},
        bound_data=fields["report_data"],
        valid_until=min(ends, tcb.valid_until),
        debug=bool(fields["td_attributes"][0] & _TUD),
        manifest_register=fields["rtmr3"] if any(fields["rtmr3"]) else None,
        chip_id=platform.ppid,
        product=platform.fmspc.hex(),
        tcb_status=tcb.status,
        fields={
            name: fields[name]
            for name in ("td_attributes", "seam_attributes", "xfam", "tee_tcb_svn")
        },
        details={"quote_version": str(quote.version), "advisories": ", ".join(tcb.advisories)},
    )
