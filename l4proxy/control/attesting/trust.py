"""What verdicts mean for traffic. Pure: a trust and news go in, the next trust comes out.

    untested   nothing is proved of this key yet: no connection
    trusted    until its evidence ends
    refuted    it runs something else, is in debug, is revoked, or holds another key: no connection,
               and those that it has are closed at once
    expired    its evidence has ended and nothing new has come: no connection, not of held sessions
               either; those that it has may finish, for as long as a drain lets them

What cannot be decided, because nobody answers or what vouches for a platform cannot be had, leaves
things as they were until the evidence ends by itself. Nothing ever opens because of a failure.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from attestation import AttestationResult, Check, MalformedEvidence, Outcome
from attestation.x509 import load_certificate

CARRIED_SECONDS: Final = 30.0
"""For how long what was proved under one policy counts under the next, while it is proved anew."""

# Checks that fail because time has passed: newer evidence, or newer collateral, may mend it.
_OF_TIME: Final = frozenset({"certificate_validity", "collateral_validity", "age"})


class TrustState(StrEnum):
    """How a backend stands; labels of status and metrics."""

    UNTESTED = "untested"
    TRUSTED = "trusted"
    REFUTED = "refuted"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is held of one backend.

    Attributes:
        state: How it stands.
        since: When that began, seconds since the epoch, UTC.
        until: When what was proved ends, or has ended; None: nothing was, or it is refuted. What
            was proved of a key that is not shown any more still holds for its connections.
        reason: Why it is not trusted, or why the newest attempt has decided nothing; empty if all
            is well. It begins with the name of a check, or of a fault.
        key: SHA-256 of the key that was judged; empty: none was.
        result: The verdict that stands, or the one that refuted it; None: there is none.

    """

    state: TrustState = TrustState.UNTESTED
    since: float = 0.0
    until: float | None = None
    reason: str = ""
    key: bytes = b""
    result: AttestationResult | None = None

    @property
    def admits(self) -> bool:
        """Whether it may have traffic."""
        return self.state is TrustState.TRUSTED

    @property
    def simulated(self) -> bool:
        """Whether there is no TEE at all behind it."""
        return self.result is not None and self.result.simulated

    def judged(self, result: AttestationResult, key: bytes, now: float) -> "Trust":
        """Return the trust after a verdict on evidence of a connection with this key."""
        reason = result.reason
        if result.accepted and result.trust_until is not None and result.trust_until > now:
            since = self.since if self.admits and key == self.key else now
            return Trust(TrustState.TRUSTED, since, result.trust_until, "", key, result)
        if reason is None or reason.outcome is Outcome.NOT_MADE or reason.name in _OF_TIME:
            words = "evidence has ended" if reason is None else str(reason)
            return self.undecided(words, key, now)
        return self.refuted(reason, key, now, result)

    def refuted(
        self, reason: Check, key: bytes, now: float, result: AttestationResult | None = None
    ) -> "Trust":
        """Return the trust after it was found to be what it must not be."""
        since = self.since if self.state is TrustState.REFUTED else now
        shown = result or self.result
        return Trust(TrustState.REFUTED, since, None, str(reason), key, shown)

    def undecided(self, reason: str, key: bytes, now: float) -> "Trust":
        """Return the trust after an attempt that decided nothing.

        Args:
            reason: Why.
            key: What the connection showed; empty: there was none.
            now: Seconds since the epoch, UTC.
        """
        if self.admits and key and key != self.key:
            return replace(self.doubted(now), reason=reason)
        return replace(self, reason=reason).at(now)

    def doubted(self, now: float) -> "Trust":
        """Return the trust after it has shown another key than the one that was proved."""
        if not self.admits:
            return self
        reason = "key_change: it shows another key than the one that was proved"
        return replace(self, state=TrustState.UNTESTED, since=now, reason=reason)

    def carried(self, now: float) -> "Trust":
        """Return the trust under a new policy, until there is a verdict by it."""
        if self.until is None:
            return Trust(since=now)
        return replace(self, until=min(self.until, now + CARRIED_SECONDS))

    def at(self, now: float) -> "Trust":
        """Return the trust at this time: what was proved may have ended."""
        if self.until is None or now < self.until or self.state is TrustState.EXPIRED:
            return self
        reason = self.reason or "expired: its evidence has ended, and nothing new has come"
        return replace(self, state=TrustState.EXPIRED, since=self.until, reason=reason)


def key_of(certificate: bytes) -> bytes:
    """Return the name of a certificate's key, the SHA-256 of its SubjectPublicKeyInfo.

    Args:
        certificate: In DER, hostile. One that cannot be read has a name that no key has; an empty
            one, of no connection, has an empty name.
    """
    if not certificate:
        return b""
    try:
        return hashlib.sha256(load_certificate(certificate).spki).digest()
    except MalformedEvidence:
        return hashlib.sha256(certificate).digest()
