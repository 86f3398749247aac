"""A backend that is attested: how it is visited, how it stands, and when it is visited again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from attestation import Check, Evidence, Kinds, Policy
from attestation.tdx_collateral import COLLATERAL
from attestation.tdx_demands import KIND as TDX
from l4proxy.config import EvidenceSource
from l4proxy.control.attesting.fetch import Manner
from l4proxy.control.attesting.revoked import Revocations
from l4proxy.control.attesting.trust import Trust
from l4proxy.control.prober import Watched
from l4proxy.control.tickets.visit import Approach
from routing import BackendName, PoolName
from sni import ServerName

VISIT_SECONDS: Final = 10.0
"""For a visit: a TEE takes a second or two for a quote, one at a time, and others may wait too."""

RETRY_SECONDS: Final = 1.0
"""After a first attempt that brought no trust; each further one waits for twice as long."""

RENEW_SHARE: Final = 0.8
"""Of the time that evidence has left, when new evidence is asked for at the latest."""

_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class AttestationRules:
    """What the backends of one pool must prove, and how they are asked.

    Attributes:
        policy: What is accepted.
        kinds: The kinds of TEE that the policy was read with.
        source: Where evidence is.
        every: Seconds from one attestation to the next.
        enforced: Whether a backend without proof is barred.
        drain: Seconds that connections may stay whose backend's proof has ended; None: for ever.
        server_name: Said in the hello; None: none is.
        preambles: Backends that are sent something first, such as a PROXY header.
        revoked: What is refuted in this pool whatever it proves.
        timeout: Seconds for a visit.
    """

    policy: Policy
    kinds: Kinds
    source: EvidenceSource = EvidenceSource.WELL_KNOWN
    every: float = 300.0
    enforced: bool = True
    drain: float | None = 3600.0
    server_name: ServerName | None = None
    preambles: Mapping[BackendName, bytes] = field(default_factory=dict)
    revoked: Revocations = field(default_factory=Revocations)
    timeout: float = VISIT_SECONDS

    @property
    def manner(self) -> Manner:
        """How evidence is asked for."""
        return Manner.by(self.policy, self.source)

    def approach(self, backend: Watched) -> Approach:
        """Return how one backend is visited."""
        preamble = self.preambles.get(backend.name, b"")
        return Approach(backend.address, self.server_name, preamble, timeout=self.timeout)


@dataclass(slots=True, eq=False)
class Subject:
    """A backend that is attested, and what is known of it.

    Attributes:
        pool: Its pool.
        name: Unique within its pool.
        approach: How it is visited.
        rules: What it must prove.
        trust: What its own evidence has come to.
        barrier: What refutes it besides, whatever its evidence says; None: nothing does.
        certificate: SHA-256 of the certificate that it has shown last; empty: none.
        rival: The key that it has shown to somebody else since its own was proved; empty: none.
        collateral: What vouched for its platform when it was trusted last; empty: nothing apart.
        failures: Visits in a row after which it was not trusted, or that decided nothing.
        wake: Set when it is to be visited before its time.
    """

    pool: PoolName
    name: BackendName
    approach: Approach
    rules: AttestationRules
    trust: Trust = field(default_factory=Trust)
    barrier: Check | None = None
    certificate: bytes = b""
    rival: bytes = b""
    collateral: bytes = b""
    failures: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def standing(self, now: float) -> Trust:
        """Return how it stands with all that is known; `now` is in seconds UTC."""
        current = self.trust.at(now)
        if self.barrier is None:
            return current
        return current.refuted(self.barrier, current.key, now)

    def completed(self, evidence: Evidence) -> Evidence:
        """Return evidence with the collateral that is known, if it has come without any.

        Who makes the evidence could not reach its vendor; what the vendor said before holds until
        it ends by itself.
        """
        if evidence.kind != TDX or not self.collateral or COLLATERAL in evidence.endorsements:
            return evidence
        return replace(
            evidence, endorsements={**evidence.endorsements, COLLATERAL: self.collateral}
        )

    def ask_anew(self) -> None:
        """Have it visited at once, and as if for the first time."""
        self.failures = 0
        self.wake.set()

    def pause(self, now: float) -> float:
        """Return the seconds to its next visit; `now` is in seconds UTC."""
        if self.failures:
            doublings = min(self.failures - 1, _MOST_DOUBLINGS)
            return min(self.rules.every, RETRY_SECONDS * 2.0**doublings)
        if self.trust.until is None:
            return self.rules.every
        left = max(self.trust.until - now, 0.0)
        return max(RETRY_SECONDS, min(self.rules.every, RENEW_SHARE * left))
