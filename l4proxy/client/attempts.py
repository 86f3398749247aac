"""Attempts: a handshake or two to a connection that is proved, or is spoken for.

The first one offers the session of the instance that has answered last. If that is taken up, its
lineage speaks for the connection; if it is not, a second one is made that proves itself. While a
pre-verified set holds, the first one will do for every member of it.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from attestation import (
    AttestationResult,
    Expectation,
    FreshnessMode,
    Kinds,
    MalformedEvidence,
    OnSwitch,
    Policy,
    Reattest,
    Strangers,
    judge,
)
from l4proxy.client.account import Account, Basis, Continuity
from l4proxy.client.connection import Connection
from l4proxy.client.dial import dial
from l4proxy.client.errors import Fault, NotAttested
from l4proxy.client.lineages import Lineage, Lineages, Shown, Target, Vouch
from l4proxy.client.members import Member, MemberSet, Moment, Sets, take
from l4proxy.client.proof import Proof, protocols, take_proof, take_set
from l4proxy.client.rules import Rules
from l4proxy.client.tls import HTTP, Line, Offer, client_context, greet
from l4proxy.set_wire import SET_ALPN, Entry


class _Plan(NamedTuple):
    """How an attempt is made.

    Attributes:
        session: What it offers; None: nothing.
        prove: Whether a proof is asked for.
        members: Who is let in without one; None: nobody is.

    """

    session: ssl.SSLSession | None
    prove: bool
    members: MemberSet | None = None


class _Spoken(NamedTuple):
    """What speaks for a connection."""

    lineage: Lineage
    basis: Basis
    vouch: Vouch | None = None


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
    _sets: Sets = field(default_factory=Sets)
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
        plan = self._plan(target, last)
        while True:
            line = await self._greet(target, plan, last)
            if line is None:
                plan = plan._replace(session=None, prove=plan.members is None)
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
            # Which is admitted or refused.
            plan = _ANEW

    async def _greet(self, target: Target, plan: _Plan, last: Lineage | None) -> Line | None:
        """Return a line after its handshake; None: what was offered broke it, and is forgotten."""
        asked = protocols(self.policy, members=self.rules.strangers is not None)
        offer = Offer(asked if plan.prove else (HTTP,), plan.session)
        sock = await dial(target)
        try:
            return await greet(self._context, sock, target, offer)
        except NotAttested:
            if plan.session is None or last is None:
                raise
            # Some stacks break off at a ticket of another's (seen across stacks behind one name).
            last.session = None
            return None

    def _plan(self, target: Target, last: Lineage | None) -> _Plan:
        members = self._sets.of(target, self._moment())
        if members is not None:
            resumes = last is not None and self._holds(last)
            session = last.session if resumes and last is not None else None
            return _Plan(session, prove=False, members=members)
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
        self._previous(target, shown, last)
        if plan.prove:
            spoken: _Spoken | None = await self._prove(target, line, shown)
        else:
            spoken = await self._spoken_for(target, line, shown, plan.members, last)
        if spoken is None:
            return None
        # Of connections that were begun together, another may have been the first.
        previous = self._previous(target, shown, last or self._lineages.current(target))
        lineage, basis, vouch = spoken
        lineage.keep(line.session)
        self._lineages.note(target, lineage)
        standing = Continuity.RESUMED if line.resumed else Continuity.FRESH
        account = Account(
            Continuity.SWITCHED if previous else standing,
            basis,
            shown.key,
            previous,
            lineage.result,
            lineage.proved_at,
            vouch,
        )
        return Connection(account, line, lineage)

    def _previous(self, target: Target, shown: Shown, last: Lineage | None) -> bytes:
        """Return the key of the instance that has answered last; nothing: it was the same."""
        if last is None or last.shown.key == shown.key:
            return b""
        if self.rules.on_switch is OnSwitch.REFUSE:
            found = f"found instance {shown.key.hex()}, expected {last.shown.key.hex()} as before"
            raise NotAttested(Fault.SWITCHED, f"{target}: {found}")
        return last.shown.key

    def _shown(self, line: Line, last: Lineage | None) -> Shown:
        if line.resumed and last is not None:
            return last.shown
        try:
            return line.shown(self.policy.binding)
        except MalformedEvidence as error:
            raise NotAttested(Fault.MALFORMED, str(error)) from error

    async def _spoken_for(
        self,
        target: Target,
        line: Line,
        shown: Shown,
        members: MemberSet | None,
        last: Lineage | None,
    ) -> _Spoken | None:
        """Return what speaks for a connection without a proof of its own."""
        # A ticket speaks by the lineage that it is of, and by no later proof of the same key.
        lineage = last if line.resumed else self._lineages.of(target, shown.key)
        held = lineage if lineage is not None and self._holds(lineage) else None
        if held is not None and line.resumed:
            return _Spoken(held, Basis.LINEAGE, held.vouch)
        if members is not None:
            return await self._by_set(target, shown, members, held)
        return self._known(held)

    def _known(self, lineage: Lineage | None) -> _Spoken | None:
        if lineage is None:
            return None
        # One that somebody else has vouched for has proved nothing to this client.
        proved = lineage.vouch is None and lineage.known_by_key
        if self.rules.on_switch is OnSwitch.ALLOW and proved:
            return _Spoken(lineage, Basis.KNOWN_KEY)
        return None

    async def _by_set(
        self, target: Target, shown: Shown, members: MemberSet, known: Lineage | None
    ) -> _Spoken | None:
        """Return what a set says of a key; None: it is in none, and may prove itself."""
        if not members.holds(*self._moment()):
            # It has ended since the connection was begun.
            return None
        member = members.members.get(shown.key)
        result: AttestationResult | None = None
        if member is not None:
            if known is None or known.vouch not in {None, member.vouch}:
                known = await self._judge_member(shown, member)
            elif known.vouch is None:
                # By its key alone: what is resumed from here must end with the set, too.
                known = replace(known, session=None, vouch=member.vouch)
            if known.result.accepted and known.known_by_key:
                return _Spoken(known, Basis.SET, member.vouch)
            result = known.result
        if self.rules.strangers is Strangers.REFUSE:
            raise NotAttested(Fault.STRANGER, f"{target}: {_stranger(shown, result)}", result)
        return None

    async def _judge_member(self, shown: Shown, member: Member) -> Lineage:
        """Judge what stands for a member by this client's own policy, for this very key."""
        entry = member.entry
        here = Expectation(shown.certificate, shown.chain, shown.spki, exporter=entry.exporter)
        result = await asyncio.to_thread(
            judge, entry.evidence, self.policy, self.kinds, here, self.clock()
        )
        moment, vouch = self._moment(), member.vouch
        proved = moment.now - (moment.now_utc - vouch.verified_at)
        return Lineage(shown, result, proved, entry.verified_at, vouch=vouch)

    async def _prove(self, target: Target, line: Line, shown: Shown) -> _Spoken:
        began, began_utc = self._moment()
        proof = await take_proof(line, shown, self.policy, target)
        result = await asyncio.to_thread(
            judge, proof.evidence, self.policy, self.kinds, proof.expectation, self.clock()
        )
        if not result.accepted:
            raise NotAttested(Fault.REFUSED, str(result.reason), result)
        lineage = Lineage(shown, result, began, began_utc)
        if line.protocol == SET_ALPN:
            await self._take_set(target, line, lineage, proof)
        return _Spoken(lineage, proof.basis)

    async def _take_set(self, target: Target, line: Line, sender: Lineage, proof: Proof) -> None:
        """Take the set that an enclave sends which has just proved itself on this connection."""
        entries, exporter = await take_set(line), proof.expectation.exporter
        assert exporter is not None  # noqa: S101 - nothing else has proved it
        proved_at = int(sender.proved_at)
        own = Entry(sender.shown.key, exporter, proved_at, proved_at, proof.evidence)
        found = take(entries, sender, own, self.rules.max_lineage, self._moment())
        self._sets.note(target, found)

    def _holds(self, lineage: Lineage) -> bool:
        return lineage.holds(self.rules.max_lineage, *self._moment())

    def _moment(self) -> Moment:
        return Moment(asyncio.get_running_loop().time(), self.clock())


def _stranger(shown: Shown, result: AttestationResult | None) -> str:
    """Return what was found of one who is in no set, or does not belong there."""
    found = f"found instance {shown.key.hex()}, expected one of the set"
    if result is None:
        return found
    reason = result.reason or "key_origin: others may hold such a key, expected inside"
    return f"{found} that meets this policy: {reason}"
