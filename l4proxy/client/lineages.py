"""What a client remembers: per target, the instances that it has proved, and their sessions.

A lineage is one proof and all that is resumed from it. Its ticket speaks for the instance that was
proved and for no other, and for no longer than the proof does. Pure but for the sessions it keeps.
"""

import math
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from attestation import AttestationResult, KeyOrigin

MAX_TARGETS: Final = 256
"""Targets that a client remembers: the one used longest ago is forgotten first."""

MAX_INSTANCES: Final = 32
"""Instances of a target that a client remembers: more than a pool has that a client meets."""


class Target(NamedTuple):
    """Where a connection is to lead.

    Attributes:
        host: A name or an address to dial.
        port: Of it.
        server_name: Said in the handshake; empty: nothing is.

    """

    host: str
    port: int
    server_name: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = self.server_name not in {"", self.host}
        return f"{host}:{self.port}" + (f" ({self.server_name})" if named else "")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server has shown in a full handshake.

    Attributes:
        certificate: In DER, as it stands.
        chain: What came with it, in DER.
        spki: Its key.
        key: SHA-256 of that: what an instance is known by.

    """

    certificate: bytes
    chain: tuple[bytes, ...]
    spki: bytes
    key: bytes


class Vouch(NamedTuple):
    """A proved enclave's word for a member of its set.

    Attributes:
        by: Who has verified the member.
        verified_at: When, seconds since the epoch, UTC.
        until: When that ceases to count, seconds since the epoch, UTC.
        ends: The same in seconds of the loop's clock: one that is set back does not prolong it.

    """

    by: str
    verified_at: float
    until: float
    ends: float = math.inf


@dataclass(slots=True, eq=False)
class Lineage:
    """An instance that was proved, to this client or to one that it trusts.

    Attributes:
        shown: What it has shown.
        result: The verdict.
        proved: When the proof was asked for, in seconds of the loop's clock.
        proved_at: The same in seconds since the epoch, UTC.
        session: What its next connection may resume; None: nothing.
        vouch: Whose word it rests on, by a set; None: it has proved itself to this client.

    """

    shown: Shown
    result: AttestationResult
    proved: float
    proved_at: float
    session: ssl.SSLSession | None = None
    vouch: Vouch | None = None

    def holds(self, max_lineage: float, now: float, now_utc: float) -> bool:
        """Return whether its proof still speaks for it."""
        until, vouch = self.result.trust_until, self.vouch
        if vouch is not None and (now_utc >= vouch.until or now >= vouch.ends):
            return False
        return now - self.proved < max_lineage and until is not None and now_utc < until

    @property
    def name(self) -> str:
        """What the instance calls itself, and the start of its key's digest."""
        return called(self.result, self.shown.key)

    @property
    def known_by_key(self) -> bool:
        """Whether its key alone can speak for it: it was made inside."""
        agent = self.result.agent
        return agent is not None and agent.key_origin is KeyOrigin.INSIDE

    def keep(self, session: ssl.SSLSession | None) -> None:
        """Keep a session, if the evidence says that nobody else can take up its ticket."""
        if self.result.resumption and session is not None and session.has_ticket:
            self.session = session


def called(result: AttestationResult, key: bytes) -> str:
    """Return what an instance calls itself, and the start of its key's digest."""
    said = result.agent.instance if result.agent is not None else ""
    return f"{said} {key[:6].hex()}".strip()


@dataclass(slots=True)
class Lineages:
    """All lineages of a client, bounded."""

    _targets: OrderedDict[Target, OrderedDict[bytes, Lineage]] = field(default_factory=OrderedDict)

    def current(self, target: Target) -> Lineage | None:
        """Return that of the instance which has answered last."""
        instances = self._targets.get(target)
        return next(reversed(instances.values())) if instances else None

    def of(self, target: Target, key: bytes) -> Lineage | None:
        """Return that of the instance with this key."""
        instances = self._targets.get(target)
        return None if instances is None else instances.get(key)

    def note(self, target: Target, lineage: Lineage) -> None:
        """Remember the instance that has just answered, in the place of what was known of it."""
        instances = self._targets.setdefault(target, OrderedDict())
        self._targets.move_to_end(target)
        instances[lineage.shown.key] = lineage
        instances.move_to_end(lineage.shown.key)
        if len(instances) > MAX_INSTANCES:
            instances.popitem(last=False)
        if len(self._targets) > MAX_TARGETS:
            self._targets.popitem(last=False)
