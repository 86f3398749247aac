"""The kind `acme`: a TEE that signs a small JSON text with the one key of its maker.

A document is an Ed25519 signature of 64 bytes and the text that it signs.
"""

import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation import Check, Claims, Evidence, Verified, failed, passed
from attestation.demands import DemandReader, Path, equals

KIND = "acme"
LIMIT = 4_096
SIGNATURE = 64
MEASUREMENT = 32

# A maker keeps its key; this one is public, so that the sample can be tried out.
MAKER = Ed25519PrivateKey.from_private_bytes(b"acme's key, which is no secret..")


@dataclass(frozen=True, slots=True)
class AcmeDemands:
    """What a policy asks: the measurement; None: any."""

    measurement: bytes | None

    @property
    def kind(self) -> str:
        """`acme`."""
        return KIND

    @property
    def allows_debug_values(self) -> bool:
        """Whether it asks for zeros, which a debug TEE measures."""
        return self.measurement is not None and not any(self.measurement)

    def appraise(self, claims: Claims) -> tuple[Check, ...]:
        """Return the one check."""
        if self.measurement is None:
            return (passed("any_measurement", "the policy pins none"),)
        return (equals("measurement", claims.measurements["measurement"], self.measurement),)


class AcmeTee:
    """The kind `acme`."""

    name = KIND
    signs_time = False
    limit = LIMIT

    def demands(self, found: object, path: Path) -> AcmeDemands:
        """Read `measurement`, 64 hexadecimal digits.

        Raises:
            PolicyError: It is something else.
        """
        reader = DemandReader(found, path)
        measurement = reader.hexadecimal("measurement", MEASUREMENT)
        reader.end(pins=measurement is not None)
        return AcmeDemands(measurement)

    def verify(self, evidence: Evidence, now: float) -> Verified:
        """Say whether Acme's key signed it, and `now` lies in its time."""
        signature, text = evidence.document[:SIGNATURE], evidence.document[SIGNATURE:]
        try:
            MAKER.public_key().verify(signature, text)
        except InvalidSignature:
            return Verified(None, (failed("signature", "another signature", "that of Acme"),))
        checks = (passed("signature"),)
        said = json.loads(text)
        if not said["from"] <= now <= said["until"]:
            found = failed("validity", f"{now:.0f}", f"{said['from']} to {said['until']}")
            return Verified(None, (*checks, found))
        measurement = bytes.fromhex(said["measurement"])
        claims = Claims(
            kind=KIND,
            measurements={"measurement": measurement},
            bound_data=bytes.fromhex(said["bound"]),
            valid_until=said["until"],
            debug=not any(measurement),
        )
        return Verified(claims, (*checks, passed("validity")))


def sign(measurement: bytes, bound: bytes, start: int, end: int) -> bytes:
    """Return a document, as the TEE would make it."""
    said = {"measurement": measurement.hex(), "bound": bound.hex(), "from": start, "until": end}
    text = json.dumps(said).encode()
    return MAKER.sign(text) + text
