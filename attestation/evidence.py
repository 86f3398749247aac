"""Evidence as it arrives, and what each kind of TEE answers to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from attestation.checks import Check
from attestation.claims import Claims


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a TEE signed, and what came with it. Hostile until verified.

    Attributes:
        kind: Which TEE it claims to come from; also what chooses the verifier.
        document: The signed bytes: a COSE_Sign1, a report, a quote.
        endorsements: Certificates and collateral by name, as they came: `vcek`, `ask`, `ark`,
            `tcb_info`, …; none is trusted for where it came from.
        claims_buffer: The bytes whose digest stands in `report_data`, where the kind has no room
            for them itself (interoperable RA-TLS); None where there are none.
        agent_claims: The object whose digest stands in the claims buffer; None where there is none.
        manifest: The secondary manifest, whose digest stands in a register; None where none came.

    """

    kind: str
    document: bytes
    endorsements: Mapping[str, bytes]
    claims_buffer: bytes | None = None
    agent_claims: bytes | None = None
    manifest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer to "is it genuine?".

    Attributes:
        claims: What it says; None unless every check of the signature and its chain passed.
        checks: Each question, in the order in which they were put; after one that failed, those
            that depend on it are left out.

    """

    claims: Claims | None
    checks: tuple[Check, ...]


class MeasurementSet(Protocol):
    """One set of demands of a policy, on claims of one kind."""

    @property
    def kind(self) -> str:
        """The kind of TEE that it speaks of."""
        ...

    @property
    def allows_debug_values(self) -> bool:
        """Whether it asks for what only a debug TEE measures: zeros."""
        ...

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        """Return a check for each demand, none left out."""
        ...


class EvidenceKind(Protocol):
    """A kind of TEE: what a plug-in of the group `l4proxy.evidence` implements.

    Pure: no clock, no network, no file. All that it needs comes with the evidence.
    """

    @property
    def name(self) -> str:
        """What policies call it: `nitro`, `sev-snp`, `tdx`, `simulated`."""
        ...

    @property
    def signs_time(self) -> bool:
        """Whether its documents carry a signed time, so that a maximum age can be checked."""
        ...

    @property
    def limit(self) -> int:
        """Most bytes of a document; checked before it is parsed."""
        ...

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether evidence is genuine at `now` (seconds UTC). Never raises on any bytes."""
        ...

    def demands(self, found: object, path: tuple[str | int, ...]) -> MeasurementSet:
        """Read one set of a policy's `accept` list, the value under the kind's name.

        Raises:
            PolicyError: It is not of the kind's shape, or pins no measurement and does not say
                `insecure_any_measurement: true`.
        """
        ...
