"""What a client can honestly say of a connection: whose it is, and what that rests on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from attestation import AttestationResult, Json, as_document
from l4proxy.client.lineages import Vouch, called


class Continuity(StrEnum):
    """How a connection stands to those before it."""

    FRESH = "fresh"
    """The first one there, or a full handshake with the same instance."""

    RESUMED = "resumed"
    """A session of the same instance goes on: somebody holds the key of its tickets."""

    SWITCHED = "switched"
    """Another instance answers than the last time."""


class Basis(StrEnum):
    """What shows that the enclave is at the other end of this very connection."""

    EXPORTER = "exporter"
    """Evidence over the exporter value of this connection: nobody stands in between."""

    NONCE = "nonce only"
    """Fresh evidence for the key; whoever has stolen that key can stand in between."""

    AGE = "age only"
    """Recent evidence for the key; whoever has stolen that key can stand in between."""

    LINEAGE = "lineage"
    """The ticket of a proved connection; whoever has stolen ticket keys can stand in between."""

    KNOWN_KEY = "known key"
    """A key that has been proved before; whoever has stolen it can stand in between."""

    SET = "member of a set"
    """A key that a proved enclave has verified; whoever has stolen it can stand in between."""


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of one connection.

    Attributes:
        standing: How it stands to those before it.
        basis: What it rests on.
        instance: SHA-256 of the instance's TLS key: what an instance is known by.
        previous: The same of the instance before; empty unless it was another.
        result: The verdict that it rests on; of an earlier connection, if that is its basis.
        proved_at: When that proof was asked for, seconds since the epoch, UTC.
        vouch: Whose word it rests on, by a set; None: it has proved itself to this client.

    """

    standing: Continuity
    basis: Basis
    instance: bytes
    previous: bytes
    result: AttestationResult
    proved_at: float
    vouch: Vouch | None = None

    @property
    def name(self) -> str:
        """What the instance calls itself, and the start of its key's digest."""
        return called(self.result, self.instance)

    def as_document(self) -> dict[str, Json]:
        """Return it as a JSON document, the verdict included."""
        return {
            "standing": self.standing.value,
            "basis": self.basis.value,
            "instance": self.instance.hex(),
            "previous": self.previous.hex() or None,
            "proved_at": _moment(self.proved_at),
            "member_of_set": _vouch(self.vouch),
            "attestation": as_document(self.result),
        }


def _vouch(found: Vouch | None) -> Json:
    if found is None:
        return None
    return {
        "verified_by": found.by,
        "verified_at": _moment(found.verified_at),
        "until": _moment(found.until),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")
