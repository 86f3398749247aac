"""AWS Nitro Enclaves: is a document genuine, signed by a hypervisor that AWS vouches for?

The questions are those of AWS's text (aws-nitro-enclaves-nsm-api, docs/attestation_process.md,
§3.2). There is no revocation: AWS switches it off, and a signer's certificate lives three hours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from attestation import roots
from attestation.chain import ChainRules, holds, valid_until, walk
from attestation.checks import Check, failed, passed
from attestation.claims import Claims
from attestation.cose import Sign1, load_sign1, verify_sign1
from attestation.demands import DemandReader, Path, equals
from attestation.errors import MalformedEvidence, PolicyError
from attestation.evidence import Evidence, MeasurementSet, Verified
from attestation.nitro_document import (
    IMAGE_PCRS,
    PCR_INDICES,
    PCR_SIZE,
    NitroDocument,
    parse_document,
)
from attestation.x509 import Certificate, KeyUsage, SignatureAlgorithm, load_certificate

KIND: Final = "nitro"
"""What policies and evidence call it."""

MAX_DOCUMENT_BYTES: Final = 24 * 1024
"""Most bytes of a document: genuine ones have 4,400 to 5,200, AWS allows a payload of 16 KiB."""

MAX_CLOCK_SKEW: Final = 300
"""Seconds that a document may come from the future: two clocks that nobody compares differ."""

MANIFEST_PCR: Final = 16
"""The register that holds the secondary manifest: extended and locked before user code starts."""

# What names the code: the image, its application, or who signed it. A kernel (1), a role (3) and an
# instance (4) run any code, and from 16 on the code writes its registers itself.
_CODE_PCRS = frozenset({0, 2, 8})


@dataclass(frozen=True, slots=True)
class NitroDemands:
    """One set of a policy: the registers that must hold these values.

    Attributes:
        pcrs: By number, 48 bytes each; empty only if the policy says that it wants none.

    """

    pcrs: Mapping[int, bytes]

    @property
    def kind(self) -> str:
        """`nitro`."""
        return KIND

    @property
    def allows_debug_values(self) -> bool:
        """Whether it asks for zeros in a register of the image, as every debug enclave has."""
        return any(index in IMAGE_PCRS and not any(pcr) for index, pcr in self.pcrs.items())

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        """Return a check for each register that is demanded; one that is missing fails.

        Where the policy says that it wants none, that is the one check: it shows in each result.
        """
        if not self.pcrs:
            return (passed("any_measurement", "the policy pins none"),)
        return tuple(
            equals(f"pcr{index}", claims.measurements.get(f"pcr{index}"), pcr)
            for index, pcr in sorted(self.pcrs.items())
        )


class Nitro:
    """The kind `nitro`.

    Args:
        trusted: SHA-256 of the DER of each root that is trusted, 32 bytes each; another AWS
            partition has another root.

    """

    def __init__(self, trusted: frozenset[bytes] = roots.AWS_NITRO) -> None:
        self._rules = ChainRules(
            trusted, frozenset({SignatureAlgorithm.ECDSA_SHA384}), KeyUsage.DIGITAL_SIGNATURE
        )

    @property
    def name(self) -> str:
        """`nitro`."""
        return KIND

    @property
    def signs_time(self) -> bool:
        """True: the time of signing is part of a document."""
        return True

    @property
    def limit(self) -> int:
        """Most bytes of a document."""
        return MAX_DOCUMENT_BYTES

    def demands(self, found: object, path: Path) -> MeasurementSet:
        """Read one set: `pcrs`, a mapping of register numbers to 96 hexadecimal digits each.

        Raises:
            PolicyError: A key is not known, a value has not its shape, or no register is pinned
                that says which code runs: 0, 2 or 8.
        """
        reader = DemandReader(_numbered(found, path), path)
        pcrs = reader.indexed("pcrs", PCR_INDICES, PCR_SIZE)
        # A zero PCR8 is that of every image without a signature.
        pins = {index for index, pcr in pcrs.items() if index in IMAGE_PCRS or any(pcr)}
        reader.end(pins=bool(pins & _CODE_PCRS))
        return NitroDemands(MappingProxyType(dict(pcrs)))

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether a document is genuine at `now` (seconds UTC). Never raises on any bytes."""
        size = len(evidence.document)
        if size > MAX_DOCUMENT_BYTES:
            expected = f"at most {MAX_DOCUMENT_BYTES}"
            return Verified(None, (failed("document_size", f"{size} bytes", expected),))
        try:
            message = load_sign1(evidence.document)
            document = parse_document(message.payload)
            chain = tuple(load_certificate(encoded) for encoded in document.certificates)
        except MalformedEvidence as error:
            found = failed("form", str(error), "a document of a Nitro enclave")
            return Verified(None, (found,))
        checks = (passed("form", f"{size} bytes"), *walk(chain, now, self._rules))
        then: tuple[Callable[[], Check], ...] = (
            lambda: _signature(message, chain[-1]),
            lambda: _time(document, now),
        )
        for question in then:
            if not holds(checks):
                return Verified(None, checks)
            checks += (question(),)
        return Verified(_claims(document, chain) if holds(checks) else None, checks)


def _numbered(found: object, path: Path) -> object:
    """Return a set in which registers written as text, as JSON has to, are numbers.

    Raises:
        PolicyError: One register stands there in both ways.
    """
    pcrs = found.get("pcrs") if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(pcrs, Mapping):
        return found
    texts = {str(index): index for index in PCR_INDICES}
    numbered = {texts.get(key, key) if isinstance(key, str) else key: pcrs[key] for key in pcrs}
    if len(numbered) != len(pcrs):
        raise PolicyError((*path, "pcrs"), "a register twice", "each register once")
    return {**found, "pcrs": numbered}


def _signature(message: Sign1, signer: Certificate) -> Check:
    try:
        verify_sign1(message, signer.spki)
    except MalformedEvidence as error:
        return failed("signature", str(error), "that of the last certificate's key")
    return passed("signature", "ES384")


def _time(document: NitroDocument, now: float) -> Check:
    name, found = "document_time", document.signed_at
    if found <= now + MAX_CLOCK_SKEW:
        return passed(name, _moment(found))
    return failed(name, f"{found - now:.0f} seconds from now", f"at most {MAX_CLOCK_SKEW}")


def _claims(document: NitroDocument, chain: tuple[Certificate, ...]) -> Claims:
    register = document.pcrs.get(MANIFEST_PCR, b"")
    pcrs = sorted(document.pcrs.items())
    return Claims(
        kind=KIND,
        measurements=MappingProxyType({f"pcr{index}": pcr for index, pcr in pcrs}),
        bound_data=document.user_data or b"",
        valid_until=valid_until(chain),
        debug=document.debug,
        signed_at=document.signed_at,
        nonce=document.nonce,
        public_key=document.public_key,
        manifest_register=register if any(register) else None,
        chip_id=document.instance.encode(),
        details=MappingProxyType({"module_id": document.module_id}),
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
