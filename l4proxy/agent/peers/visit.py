"""One visit to a peer: an attested connection, as any client makes it, and what it has proved."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from attestation import (
    AttestationResult,
    FreshnessMode,
    KeyOrigin,
    Kinds,
    MalformedEvidence,
    Policy,
    judge,
)
from l4proxy.agent.peers.settings import Named, PeersSettings, Place
from l4proxy.agent.threads import in_thread
from l4proxy.client.dial import dial
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Target
from l4proxy.client.proof import Proof, protocols, take_proof
from l4proxy.client.tls import Line, Offer, client_context, greet
from l4proxy.set_wire import Entry

VISIT_SECONDS: Final = 30.0
"""Seconds for a visit: as long as an agent lets a question wait."""


@dataclass(frozen=True, slots=True, eq=False)
class Visitor:
    """Visits peers.

    Attributes:
        settings: Say how they are asked.
        policy: What they must meet, by the exporter of a connection.
        kinds: Those that the policy was read with.
        clock: Seconds since the epoch, UTC.
        context: Of the connections.

    """

    settings: PeersSettings
    policy: Policy
    kinds: Kinds
    clock: Callable[[], float]
    context: ssl.SSLContext

    @classmethod
    def by(
        cls, settings: PeersSettings, policy: Policy, kinds: Kinds, clock: Callable[[], float]
    ) -> "Visitor":
        """Return one that visits by a policy."""
        return cls(settings, policy, kinds, clock, client_context(exporter=True))

    async def visit(self, place: Place) -> tuple[Entry, AttestationResult]:
        """Return a peer as a member of the set, and the verdict on it.

        Raises:
            NotAttested: It cannot be one.
            TimeoutError: It took too long.

        """
        async with asyncio.timeout(VISIT_SECONDS):
            line = await self._greet(place)
            whole = False
            try:
                found = await self._prove(line, place)
                # The application behind it is not to see a connection that was broken off.
                await line.stream.end()
                whole = True
            finally:
                line.stream.close(abort=not whole)
            return found

    async def _greet(self, place: Place) -> Line:
        target = self._target(place)
        if isinstance(place, Named):
            sock = await dial(target)
        else:
            sock = place.open()
            try:
                await asyncio.get_running_loop().sock_connect(sock, place.place)
            except OSError as error:
                sock.close()
                raise NotAttested(Fault.UNREACHABLE, error.strerror or str(error)) from error
            except BaseException:
                sock.close()
                raise
        return await greet(self.context, sock, target, Offer(protocols(self.policy), None))

    def _target(self, place: Place) -> Target:
        host, port = (place.host, place.port) if isinstance(place, Named) else (str(place), 0)
        return Target(host, port, self.settings.server_name)

    async def _prove(self, line: Line, place: Place) -> tuple[Entry, AttestationResult]:
        now = self.clock()
        try:
            shown = line.shown(self.policy.binding)
        except MalformedEvidence as error:
            raise NotAttested(Fault.MALFORMED, str(error)) from error
        proof = await take_proof(line, shown, self.policy, self._target(place))
        asked = proof.evidence, self.policy, self.kinds, proof.expectation, self.clock()
        result = await in_thread(partial(judge, *asked))
        return self._member(shown.key, proof, result, now), result

    def _member(self, key: bytes, proof: Proof, result: AttestationResult, now: float) -> Entry:
        """Return it as a member, if its key is one that nobody else can have."""
        exporter, until = proof.expectation.exporter, result.trust_until
        if not result.accepted or until is None or exporter is None:
            raise NotAttested(Fault.REFUSED, str(result.reason), result)
        if result.agent is None or result.agent.key_origin is not KeyOrigin.INSIDE:
            said = "unstated" if result.agent is None else result.agent.key_origin
            found = f"key_origin: found {said}, expected inside: others may hold such a key"
            raise NotAttested(Fault.REFUSED, found, result)
        end = min(now + self.settings.epoch, until)
        return Entry(key, exporter, int(now), int(end), proof.evidence)


def by_exporter(policy: Policy) -> bool:
    """Say whether a policy asks for what a member of a set has to show."""
    return policy.freshness.mode is FreshnessMode.EXPORTER
