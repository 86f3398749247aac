"""What the configuration says of attestation: what the backends of a pool must prove, how often."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from l4proxy.config.mistakes import BadValueError, expected
from l4proxy.config.paths import MAX_PATH_BYTES
from l4proxy.config.scalars import choice, duration, parsed
from l4proxy.config.section import Section
from l4proxy.revocation import BadRevocation, Revocation, parse_revocation

MAX_REVOKED: Final = 1_024
"""Revocations in the configuration of one pool: each is a line of the file."""


class EvidenceSource(StrEnum):
    """Where a backend shows its evidence."""

    WELL_KNOWN = "well-known"
    """It answers `GET /.well-known/attestation`, on the connection that it is asked for."""

    CERTIFICATE = "certificate"
    """It stands in its certificate."""


class TrustMode(StrEnum):
    """What becomes of a backend that has not proved what it runs."""

    ENFORCE = "enforce"
    """It gets no traffic."""

    OBSERVE = "observe"
    """It gets traffic, and everybody is told."""


def parse_policy_path(found: object) -> Path:
    """Return the path of a policy, absolute or from the folder of the configuration.

    Raises:
        BadValueError: No path, or one too long.
    """
    what = "the path of a policy, such as policies/app.yaml"
    if not isinstance(found, str) or not found or not found.isprintable() or found.endswith("/"):
        raise expected(found, what)
    if len(found.encode()) > MAX_PATH_BYTES:
        raise expected(found, what, f"at most {MAX_PATH_BYTES} bytes")
    return Path(found)


def read_revocation(found: object) -> Revocation:
    """Return what a text revokes.

    Raises:
        BadValueError: It names nothing that can be revoked.
    """
    if not isinstance(found, str):
        raise expected(found, "key:HEX, measurement:HEX or chip:HEX")
    try:
        return parse_revocation(found)
    except BadRevocation as error:
        raise BadValueError(str(error)) from error


class AttestationSettings(Section):
    """What the backends of a pool must prove before they get traffic."""

    expects: ClassVar[str] = "a mapping {policy, every, evidence, …}, or off"

    policy: Annotated[Path, parsed(parse_policy_path, str, "policies/app.yaml")]
    """The file that says what is accepted; a relative path begins at the configuration's folder."""

    every: Annotated[float, duration("5s", "24h")] = 300.0
    """From one attestation of a backend to the next; earlier where its evidence ends earlier."""

    evidence: Annotated[EvidenceSource, choice(EvidenceSource)] = EvidenceSource.WELL_KNOWN
    """Where evidence is found: well-known (asked for on the connection), or in the certificate."""

    mode: Annotated[TrustMode, choice(TrustMode)] = TrustMode.ENFORCE
    """Whether a backend without proof is barred (enforce) or only reported (observe)."""

    revoked: Annotated[
        tuple[Annotated[Revocation, parsed(read_revocation, str, "key:9c1b…")], ...],
        Field(max_length=MAX_REVOKED),
    ] = ()
    """What is refuted whatever its evidence says: key:HEX, measurement:HEX or chip:HEX."""
