"""Attempts: at most two handshakes to a connection that is proved, or is spoken for.

The first one offers the session of the instance that has answered last. If that is taken up, its
lineage speaks for the connection; if it is not, a second one is made that proves itself.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from attestation import FreshnessMode, Kinds, MalformedEvidence, Policy, judge
from l4proxy.client.account import Account, Basis, Standing
from l4proxy.client.connection import Connection
from l4proxy.client.dial import dial
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Lineage, Lineages, Shown, Target
from l4proxy.client.proof import protocols, take_proof
from l4proxy.client.rules import OnSwitch, Reattest, Rules
from l4proxy.client.tls import HTTP, Line, Offer, client_context, greet


class _Plan(NamedTuple):
    """How an attempt is made.

    Attributes:
        session: What it offers; None: nothing.
        prove: Whether a proof is asked for.

    """

    session: ssl.SSLSession | None
    prove: bool


class _Spoken(NamedTuple):
    """What speaks for a connection."""

    lineage: Lineage
    basis: Basis


_ANEW = _Plan(None, prove=True)


@dataclass(slots=True, eq=False)
class Attempts:
    """All that a client needs to connect, and all that it remembers.

    Attributes:
        policy: What is accepted.
        kinds: Those that it was read with.
        rules: How connections are made.
        clock: Seconds since the epoch, UTC.

    """

    policy: Policy
    kinds: Kinds
    rules: Rules
    clock: Callable[[], float]
    _lineages: Lineages = field(default_factory=Lineages)
    _context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self._context = client_context(exporter=self._by_exporter)

    @property
    def _by_exporter(self) -> bool:
        return self.policy.freshness.mode is FreshnessMode.EXPORTER

    async def connect(self, target: Target) -> Connection:
        """Return a proved connection; the caller sees to it that it does not take for ever.

        Raises:
            NotAttested: There is none.

        """
        last = self._lineages.current(target)
        for plan in (self._plan(last), _ANEW):
            line = await self._greet(target, plan, last)
            if line is None:
                continue
            try:
                connection = await self._admit(target, line, plan, last)
            except BaseException:
                line.stream.close(abort=True)
                if line.resumed and last is not None:
                    last.session = None
                raise
            if connection is not None:
                return connection
            line.stream.close()
        raise AssertionError("a connection that proves itself is admitted or refused")

    async def _greet(self, target: Target, plan: _Plan, last: Lineage | None) -> Line | None:
        """Return a line after its handshake; None: what was offered broke it, and is forgotten."""
        offer = Offer(protocols(self.policy) if plan.prove else (HTTP,), plan.session)
        sock = await dial(target)
        try:
            return await greet(self._context, sock, target, offer)
        except NotAttested:
            if plan.session is None or last is None:
                raise
            # Some stacks break off at a ticket of another's (seen across stacks behind one name).
            last.session = None
            return None

    def _plan(self, last: Lineage | None) -> _Plan:
        if last is None or last.session is None:
            return _ANEW
        prove = self.rules.reattest is Reattest.ALWAYS or not self._holds(last)
        if prove and not self._by_exporter:
            # A nonce binds to the key, and a resumption does not show who holds that.
            return _ANEW
        return _Plan(last.session, prove)

    async def _admit(
        self, target: Target, line: Line, plan: _Plan, last: Lineage | None
    ) -> Connection | None:
        """Return the connection, proved or spoken for; None: it has to be made anew."""
        shown = self._shown(line, last)
        previous = b"" if last is None or last.shown.key == shown.key else last.shown.key
        if previous and self.rules.on_switch is OnSwitch.REFUSE:
            found = f"found instance {shown.key.hex()}, expected {previous.hex()} as before"
            raise NotAttested(Fault.SWITCHED, f"{target}: {found}")
        if plan.prove:
            spoken: _Spoken | None = await self._prove(target, line, shown)
        else:
            spoken = self._spoken_for(target, line, shown)
        if spoken is None:
            return None
        lineage, basis = spoken
        lineage.keep(line.session)
        self._lineages.note(target, lineage)
        standing = Standing.RESUMED if line.resumed else Standing.FRESH
        account = Account(
            Standing.SWITCHED if previous else standing,
            basis,
            shown.key,
            previous,
            lineage.result,
            lineage.proved_at,
        )
        return Connection(account, line, lineage)

    def _shown(self, line: Line, last: Lineage | None) -> Shown:
        if line.resumed and last is not None:
            return last.shown
        try:
            return line.shown(self.policy.binding)
        except MalformedEvidence as error:
            raise NotAttested(Fault.MALFORMED, str(error)) from error

    def _spoken_for(self, target: Target, line: Line, shown: Shown) -> _Spoken | None:
        """Return what speaks for a connection without a proof of its own."""
        lineage = self._lineages.of(target, shown.key)
        if lineage is None or not self._holds(lineage):
            return None
        if line.resumed:
            return _Spoken(lineage, Basis.LINEAGE)
        if self.rules.on_switch is OnSwitch.ALLOW and lineage.known_by_key:
            return _Spoken(lineage, Basis.KNOWN_KEY)
        return None

    async def _prove(self, target: Target, line: Line, shown: Shown) -> _Spoken:
        began, began_utc = asyncio.get_running_loop().time(), self.clock()
        proof = await take_proof(line, shown, self.policy, target)
        result = await asyncio.to_thread(
            judge, proof.evidence, self.policy, self.kinds, proof.expectation, self.clock()
        )
        if not result.accepted:
            raise NotAttested(Fault.REFUSED, str(result.reason), result)
        return _Spoken(Lineage(shown, result, began, began_utc), proof.basis)

    def _holds(self, lineage: Lineage) -> bool:
        now = asyncio.get_running_loop().time()
        return lineage.holds(self.rules.max_lineage, now, self.clock())
