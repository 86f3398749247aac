"""The kind `simulated`: documents of Nitro's shape, of a TEE that does not exist.

Its root's private key is public, so that everybody can make such documents: they prove nothing. A
policy takes them only with `allow_simulated: true`, and every result says so.
"""

import hashlib
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Final

from attestation.checks import Check
from attestation.claims import Claims
from attestation.demands import Path
from attestation.evidence import Evidence, MeasurementSet, Verified
from attestation.nitro import MAX_DOCUMENT_BYTES, Nitro

KIND: Final = "simulated"
"""What policies and evidence call it."""

QUOTE_SECONDS: Final = 0.05
"""Seconds that a quote takes, one at a time, as with a real TEE; whoever serves them waits."""

ROOT_SEED: Final = b"l4proxy simulated TEE: this key is public"
"""The root's private key on P-384 is the SHA-256 of this text, as a number."""

ROOT: Final = b64decode(
    "MIIBszCCATigAwIBAgIBATAKBggqhkjOPQQDAzAwMS4wLAYDVQQDDCVsNHByb3h5IHNpbXVsYXRlZCBURUU6IHBy"
    "b3ZlcyBub3RoaW5nMB4XDTIwMDEwMTAwMDAwMFoXDTQ5MTIzMTIzNTk1OVowMDEuMCwGA1UEAwwlbDRwcm94eSBz"
    "aW11bGF0ZWQgVEVFOiBwcm92ZXMgbm90aGluZzB2MBAGByqGSM49AgEGBSuBBAAiA2IABMMl6QByGDpbm21kK+b0"
    "4DkumXtmVr7hHCkNEp2hQo6fsEJ3Zbl65kfAhIeV90ZIEWumBWGFEJm0ei1ssbIdXN7aPq3NOxPwyjh5lt3+Fmzr"
    "5jQqW6LP8p5j5TogO6TMC6MmMCQwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMCAgQwCgYIKoZIzj0E"
    "AwMDaQAwZgIxAIJwsDkwzWYJhNmpxOKj1KOuctdk3+j+bTt7Txxc3qxMIxiqu9e35GVa/aNsj4BzPgIxAKhVnC4r"
    "Io2L1xLYUuEz/D3KZYBAJKxKqtfMRP/HUKbDcwMdHz0aH+Fyl4eqoRG62A=="
)
"""The root's certificate, in DER."""


@dataclass(frozen=True, slots=True)
class _Demands:
    """A set of demands on PCRs, as Nitro's, on claims of this kind."""

    pcrs: MeasurementSet

    @property
    def kind(self) -> str:
        return KIND

    @property
    def allows_debug_values(self) -> bool:
        return self.pcrs.allows_debug_values

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        return self.pcrs.appraise(claims)


class Simulated:
    """The kind `simulated`: Nitro's checks, under a root that proves nothing."""

    def __init__(self) -> None:
        self._nitro = Nitro(frozenset({hashlib.sha256(ROOT).digest()}))

    @property
    def name(self) -> str:
        """`simulated`."""
        return KIND

    @property
    def signs_time(self) -> bool:
        """True, as with Nitro."""
        return True

    @property
    def limit(self) -> int:
        """Most bytes of a document."""
        return MAX_DOCUMENT_BYTES

    def demands(self, found: object, path: Path) -> MeasurementSet:
        """Read one set: `pcrs`, as of Nitro.

        Raises:
            PolicyError: It is not of that shape.
        """
        return _Demands(self._nitro.demands(found, path))

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether a simulated TEE signed this. Its claims say that there is no TEE."""
        verified = self._nitro.verify(evidence, now)
        if verified.claims is None:
            return verified
        return replace(verified, claims=replace(verified.claims, kind=KIND, simulated=True))
