"""AMD SEV-SNP: is a report genuine, signed by the key of a processor that AMD vouches for?

The questions are those of AMD's firmware ABI (document 56860) and of its certificates (57230).
"""

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attestation import roots, snp_demands
from attestation.chain import ChainRules, holds, valid_until, walk
from attestation.checks import Check, failed, first_failure, not_made, passed, unreadable
from attestation.claims import Claims
from attestation.demands import Path
from attestation.errors import MalformedEvidence
from attestation.evidence import Evidence, MeasurementSet, Verified
from attestation.hcl import HclReport, open_envelope
from attestation.snp_certificates import (
    CRL,
    certified_tcb,
    chain_of,
    csp_id,
    is_of_chip,
    load_certificates,
    product_of,
)
from attestation.snp_report import (
    ECDSA_P384_SHA384,
    SigningKey,
    SnpReport,
    parse_report,
    product_of_cpuid,
    tcb_parts,
)
from attestation.snp_revocation import check_revocation
from attestation.x509 import Certificate, SignatureAlgorithm, load_public_key

DOCUMENT_BYTES = 8 * 1024
"""Most bytes of a document: a report has 1,184, in Azure's envelope about 2,600."""

_RESERVED_ONE = 1 << 17


class SevSnp:
    """The kind `sev-snp`.

    Args:
        trusted: SHA-256 of the DER of each root (ARK) that is trusted, 32 bytes each.

    """

    def __init__(self, trusted: frozenset[bytes] = roots.AMD_ARK) -> None:
        self._rules = ChainRules(trusted, frozenset({SignatureAlgorithm.RSA_PSS}))

    @property
    def name(self) -> str:
        """`sev-snp`."""
        return snp_demands.KIND

    @property
    def signs_time(self) -> bool:
        """False: a report says nothing of when it was made."""
        return False

    @property
    def limit(self) -> int:
        """Most bytes of a document."""
        return DOCUMENT_BYTES

    def demands(self, found: object, path: Path) -> MeasurementSet:
        """Read one set of a policy's `accept` list.

        Raises:
            PolicyError: A key is not known, a value has not its shape, or nothing is pinned.
        """
        return snp_demands.read_demands(found, path)

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether a report is genuine at `now` (seconds UTC). Never raises on any bytes."""
        try:
            envelope, report = _read(evidence.document)
        except MalformedEvidence as error:
            return _refused(unreadable("form", error, "a SEV-SNP report"))
        form = _form(report, envelope)
        if not holds(form):
            return _refused(*form)
        try:
            chain = chain_of(report, load_certificates(evidence.endorsements))
        except MalformedEvidence as error:
            found = unreadable("endorsements", error, "the certificates of the report's key")
            return _refused(*form, found)
        checks = (*form, *walk(chain, now, self._rules))
        if not holds(checks):
            return _refused(*checks)
        revocation = check_revocation(evidence.endorsements.get(CRL), chain, now)
        checks += (_product(chain), revocation.check, _signature(report, chain[-1]))
        if first_failure(checks):
            return _refused(*checks)
        checks += _platform(report, chain)
        if first_failure(checks):
            return _refused(*checks)
        ends = min(valid_until(chain), revocation.valid_until)
        return Verified(_claims(report, chain, envelope, ends), checks)


def _refused(*checks: Check) -> Verified:
    return Verified(None, checks)


def _read(document: bytes) -> tuple[HclReport | None, SnpReport]:
    if len(document) > DOCUMENT_BYTES:
        raise MalformedEvidence(f"{len(document)} bytes, expected at most {DOCUMENT_BYTES}")
    envelope = open_envelope(document)
    return envelope, parse_report(envelope.report if envelope else document)


def _form(report: SnpReport, envelope: HclReport | None) -> tuple[Check, ...]:
    """What can be asked of a report before any key is."""
    algorithm = report.signature_algorithm
    checks = [
        passed("form", f"version {report.version}"),
        passed("signature_algorithm")
        if algorithm == ECDSA_P384_SHA384
        else failed("signature_algorithm", str(algorithm), "1 (ECDSA P-384 with SHA-384)"),
        failed("unused_bytes", "bytes in the unused part of the signature", "zeros")
        if any(report.unused)
        else passed("unused_bytes"),
        passed("guest_policy", f"{report.policy:#x}")
        if report.policy & _RESERVED_ONE
        else failed("guest_policy", f"{report.policy:#x}", "bit 17 set, as the ABI demands"),
    ]
    if envelope:
        checks.append(
            passed("hcl_runtime_data")
            if envelope.is_bound_by(report.report_data)
            else failed("hcl_runtime_data", "another digest in report_data", "that of its text")
        )
    return tuple(checks)


def _product(chain: Sequence[Certificate]) -> Check:
    """The three certificates name each other's product, and the layout of its TCB is known."""
    product = product_of(chain)
    try:
        tcb_parts(bytes(8), product)
    except MalformedEvidence:
        names = ", ".join(certificate.common_name for certificate in chain)[:120]
        return failed("product", ascii(names), "the CAs of one product that is known")
    return passed("product", product)


def _signature(report: SnpReport, leaf: Certificate) -> Check:
    name, kind = "signature", SigningKey(report.signing_key).name
    try:
        key = load_public_key(leaf.spki)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
            return failed(name, f"a {kind} that is no P-384 key", "P-384")
        key.verify(encode_dss_signature(report.r, report.s), report.signed, ec.ECDSA(SHA384()))
    except (InvalidSignature, MalformedEvidence):
        return failed(name, f"bytes that the {kind} did not sign", "its signature")
    return passed(name, kind)


def _platform(report: SnpReport, chain: Sequence[Certificate]) -> tuple[Check, ...]:
    """Whether a signed report agrees with the certificate of the key that signed it."""
    product = product_of(chain)
    return (
        _certified(report, chain[-1], product),
        _chip(report, chain[-1]),
        _order(report, product),
        _cpuid(report, product),
    )


def _certified(report: SnpReport, leaf: Certificate, product: str) -> Check:
    name, reported = "certified_tcb", tcb_parts(report.reported_tcb, product)
    try:
        certified = certified_tcb(leaf, tuple(reported))
    except MalformedEvidence as error:
        return unreadable(name, error, "each version of the report")
    if certified == reported:
        return passed(name, _words(reported))
    return failed(name, f"a key for {_words(certified)}", f"one for {_words(reported)}")


def _chip(report: SnpReport, leaf: Certificate) -> Check:
    name = "chip"
    if report.signing_key == SigningKey.VLEK:
        try:
            return passed(name, f"any of {csp_id(leaf) or 'a cloud'}")
        except MalformedEvidence as error:
            return unreadable(name, error, "the name of a cloud")
    if is_of_chip(leaf, report.chip_id):
        return passed(name, report.chip_id.hex())
    return failed(name, f"chip {report.chip_id.hex()}", "the chip of the certificate")


def _order(report: SnpReport, product: str) -> Check:
    """A part is never reported newer than committed, nor committed newer than it runs."""
    name = "tcb_order"
    words = (report.reported_tcb, report.committed_tcb, report.current_tcb)
    reported, committed, current = (tcb_parts(word, product) for word in words)
    for part in reported:
        versions = reported[part], committed[part], current[part]
        if list(versions) != sorted(versions):
            found = f"{part} reported, committed, current: {versions}"
            return failed(name, found, "none newer than the next")
    return passed(name)


def _cpuid(report: SnpReport, product: str) -> Check:
    name = "cpuid"
    if report.cpuid is None:
        return not_made(name, "a report of version 2 does not say which processor it is")
    found = product_of_cpuid(*report.cpuid)
    if found == product:
        return passed(name, found)
    return failed(name, found or f"family and model {report.cpuid}", product)


def _words(parts: object) -> str:
    return str(parts)[1:-1].replace("'", "")


def _claims(
    report: SnpReport, chain: Sequence[Certificate], envelope: HclReport | None, ends: float
) -> Claims:
    product = product_of(chain)
    key = SigningKey(report.signing_key)
    cloud = csp_id(chain[-1]) if key is SigningKey.VLEK else ""
    return Claims(
        kind=snp_demands.KIND,
        measurements={
            "measurement": report.measurement,
            "id_key_digest": report.id_key_digest,
            "author_key_digest": report.author_key_digest,
        },
        bound_data=report.report_data,
        valid_until=ends,
        debug=report.debug,
        manifest_register=report.host_data if any(report.host_data) else None,
        chip_id=report.chip_id if any(report.chip_id) else None,
        product=product,
        tcb=tcb_parts(report.reported_tcb, product),
        fields={
            "host_data": report.host_data,
            "family_id": report.signed[0x10:0x20],
            "image_id": report.signed[0x20:0x30],
            "policy": report.signed[0x08:0x10],
            "vmpl": report.signed[0x30:0x34],
            "csp_id": cloud.encode("ascii", "replace"),
        },
        details={
            "report_version": str(report.version),
            "signed_by": key.name,
            "cloud": cloud,
            "envelope": "Azure HCL: report_data binds a virtual TPM's key" if envelope else "",
        },
    )
