"""The attestor: every backend of an attested pool proves itself when it appears and ever again.

One task a backend, out of step with the others, as the prober has. A visit takes evidence and the
key from one connection; the verdict is made in a thread, so that no other task waits for it. Who is
told that something has changed asks for who is barred.
"""

import asyncio
import contextlib
import hashlib
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from attestation import AttestationResult, judge
from attestation.tdx_collateral import COLLATERAL
from l4proxy.control.attesting.fetch import Fetched, FetchFault, Manner, fetch
from l4proxy.control.attesting.revoked import Revocations
from l4proxy.control.attesting.sharing import sharers
from l4proxy.control.attesting.subject import AttestationRules, Subject
from l4proxy.control.attesting.trust import Trust, TrustState, key_of
from l4proxy.control.prober import JITTER, Watched
from l4proxy.control.tickets.visit import Approach
from l4proxy.revocation import Revocation
from routing import BackendName, PoolName

log = logging.getLogger(__name__)

MAX_VISITS = 64
"""Visits at once, over all pools: each takes a descriptor, and a slow backend's its timeout."""

MAX_VERDICTS = 2
"""Verdicts at once: each takes a core for some milliseconds, and the supervisor has other work."""

FIRST_SECONDS = 1.0
"""The first visits are spread over so much."""

LOOK_SECONDS = 1.0
"""How often trusts are looked at whether they have ended."""

SHARING_SECONDS = 5.0
"""How often it is looked at who shares a ticket key: interviews find out every half hour."""

Changed = Callable[[PoolName], None]
Groups = Callable[[PoolName], Iterable[frozenset[BackendName]]]
_Key = tuple[PoolName, BackendName]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an attestor needs of the world.

    Attributes:
        fetch: Visits a backend once.
        clock: The time, seconds since the epoch, UTC.
        sharing: The backends of a pool that hold a ticket key together.
    """

    fetch: Callable[[Approach, Manner], Awaitable[Fetched]] = fetch
    clock: Callable[[], float] = time.time
    sharing: Groups = lambda _pool: ()


class Attestor:
    """Attests the backends of pools.

    Attributes:
        outcomes: Visits that ended, by pool and what came of them: `accepted`, a check, a fault.
        revocations: What is refuted in every pool whatever it proves.
    """

    def __init__(self, changed: Changed, surroundings: Surroundings | None = None) -> None:
        """Know nobody yet.

        Args:
            changed: Hears of each pool in which a backend gained or lost its trust.
            surroundings: The world; None: the real one, in which nobody shares a ticket key.
        """
        self.outcomes: Counter[tuple[PoolName, str]] = Counter()
        self.revocations = Revocations()
        self._changed = changed
        self._around = surroundings or Surroundings()
        self._rules: Mapping[PoolName, AttestationRules] = {}
        self._subjects: dict[_Key, Subject] = {}
        self._shown: dict[_Key, Trust] = {}
        self._tasks: dict[Subject, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._visits = asyncio.Semaphore(MAX_VISITS)
        self._verdicts = asyncio.Semaphore(MAX_VERDICTS)

    async def run(self) -> None:
        """Attest until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_and_stop()
            group.create_task(self._keep_looking(), name="ends of trust")
            try:
                await self._keep_comparing()
            finally:
                self._group = None
                self._tasks.clear()

    def watch(
        self,
        pools: Mapping[PoolName, Iterable[Watched]],
        rules: Mapping[PoolName, AttestationRules],
    ) -> None:
        """Attest the backends of these pools from now on, pools without rules excepted.

        A backend that stays at its address keeps its trust, under another policy for a moment only.
        `trusts` and `barred` answer for the new members as soon as this returns.
        """
        subjects, now = dict[_Key, Subject](), self._around.clock()
        for pool, asked in rules.items():
            for each in pools.get(pool, ()):
                new = Subject(pool, each.name, asked.approach(each), asked, Trust(since=now))
                old = self._subjects.get((pool, each.name))
                if old is not None and old.approach == new.approach:
                    self._go_on(old, asked)
                    new = old
                subjects[pool, each.name] = new
        self._announce(rules)
        self._subjects, self._rules = subjects, rules
        self._shown = {key: self._shown.get(key, Trust()) for key in subjects}
        for subject in subjects.values():
            self._show(subject)
        self._start_and_stop()

    def seen(self, pool: PoolName, name: BackendName, certificate: bytes) -> None:
        """Hear which certificate a backend has shown to somebody else just now.

        Another key than the one that was proved ends its trust; it is asked at once for new proof.
        """
        subject = self._subjects.get((pool, name))
        if subject is None or hashlib.sha256(certificate).digest() == subject.certificate:
            return
        subject.certificate = hashlib.sha256(certificate).digest()
        key = key_of(certificate)
        subject.rival = b"" if key == subject.trust.key else key
        if subject.rival:
            self._take(subject, subject.trust.doubted(self._around.clock()))
        subject.ask_anew()

    def returned(self, pool: PoolName, name: BackendName) -> None:
        """Hear that a backend is healthy again: if it is not trusted, it is asked at once."""
        subject = self._subjects.get((pool, name))
        if subject is not None and not subject.trust.admits:
            subject.ask_anew()

    def revoke(self, found: Iterable[Revocation]) -> int:
        """Refute what these name, from now on and at once; return how many backends they refute.

        Raises:
            TooManyRevocations: There is no room for them, and nothing has changed.
        """
        revocations = self.revocations.with_these(found)
        self.revocations = revocations
        now, hit = self._around.clock(), 0
        for subject in self._subjects.values():
            trust = revocations.refuted(subject.trust, now)
            hit += trust is not subject.trust
            self._take(subject, trust)
        return hit

    def trusts(self, pool: PoolName) -> Mapping[BackendName, Trust]:
        """Return how it stands with each backend of a pool; nothing of one that is not attested."""
        now = self._around.clock()
        return {
            subject.name: subject.standing(now)
            for subject in self._subjects.values()
            if subject.pool == pool
        }

    def rules(self, pool: PoolName) -> AttestationRules | None:
        """Return what the backends of a pool must prove; None: nothing."""
        return self._rules.get(pool)

    def barred(self, now: float) -> dict[_Key, float | None]:
        """Return who must have no new connection, and when each loses those that it has.

        Args:
            now: Seconds, monotonic, as the answer is; minus infinity: at once. None: they stay, as
                far as is known by now.
        """
        utc = self._around.clock()
        found = dict[_Key, float | None]()
        for key, subject in self._subjects.items():
            trust = subject.standing(utc)
            if subject.rules.enforced and not trust.admits:
                found[key] = _end(trust, subject.rules.drain, now - utc)
        return found

    # -------------------------------------------------------------------------------------------

    def _announce(self, rules: Mapping[PoolName, AttestationRules]) -> None:
        """Say loudly where less is asked for than one might think."""
        for pool, asked in rules.items():
            before = self._rules.get(pool)
            if before is not None and _demands(before) == _demands(asked):
                continue
            if not asked.enforced:
                log.warning("pool %s: attestation is observed only, NOT enforced", pool)
            if asked.policy.allow_simulated:
                log.warning("pool %s: SIMULATED evidence is accepted, which proves nothing", pool)
            if asked.policy.allow_debug:
                log.warning("pool %s: enclaves in DEBUG are accepted, which hide nothing", pool)

    def _go_on(self, subject: Subject, rules: AttestationRules) -> None:
        """Have a subject go on under these rules."""
        before, subject.rules = subject.rules, rules
        now = self._around.clock()
        if (before.policy.digest, before.source) != (rules.policy.digest, rules.source):
            subject.trust = subject.trust.carried(now)
            subject.ask_anew()
        if before.revoked != rules.revoked:
            subject.trust = rules.revoked.refuted(subject.trust, now)
            subject.ask_anew()

    def _start_and_stop(self) -> None:
        """Bring the tasks in line with the subjects."""
        if self._group is None:
            return
        subjects = set(self._subjects.values())
        for subject in self._tasks.keys() - subjects:
            self._tasks.pop(subject).cancel()
        for subject in subjects - self._tasks.keys():
            attesting = self._keep_attesting(subject)
            name = f"attestation of {subject.pool}/{subject.name}"
            self._tasks[subject] = self._group.create_task(attesting, name=name)

    async def _keep_attesting(self, subject: Subject) -> None:
        await asyncio.sleep(FIRST_SECONDS * _chance())
        while True:
            subject.wake.clear()
            async with self._visits:
                try:
                    await self._attest(subject)
                except Exception:  # a backend that finds a bug of ours must not end the balancer
                    log.exception("attestation of %s/%s", subject.pool, subject.name)
                    self._decide_nothing(subject, Fetched(FetchFault.LOCAL, "internal"))
            wait = subject.pause(self._around.clock()) * (1 - JITTER * _chance())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await subject.wake.wait()

    async def _attest(self, subject: Subject) -> None:
        """Visit a backend once, and take what comes of it."""
        rules = subject.rules
        fetched = await self._around.fetch(subject.approach, rules.manner)
        if fetched.evidence is None or fetched.expectation is None:
            self._decide_nothing(subject, fetched)
            return
        evidence = subject.completed(fetched.evidence)
        async with self._verdicts:
            result = await asyncio.to_thread(
                judge,
                *(evidence, rules.policy, rules.kinds),
                *(fetched.expectation, self._around.clock()),
            )
        if subject.rules.policy.digest != result.policy:
            subject.wake.set()  # by now another policy asks
            return
        if result.accepted:
            subject.collateral = evidence.endorsements.get(COLLATERAL, b"")
        self._decide(subject, fetched, result)

    def _decide_nothing(self, subject: Subject, fetched: Fetched) -> None:
        """Take a visit that brought no evidence."""
        fault, now = fetched.fault or FetchFault.NO_EVIDENCE, self._around.clock()
        self.outcomes[subject.pool, fault.value] += 1
        subject.failures += 1
        detail = "".join(each if each.isprintable() else "?" for each in fetched.detail[:160])
        reason = f"{fault.value}: {detail}" if detail else fault.value
        key = key_of(fetched.certificate)
        self._take(subject, subject.trust.undecided(reason, key, now))

    def _decide(self, subject: Subject, fetched: Fetched, result: AttestationResult) -> None:
        """Take a verdict."""
        now, key = self._around.clock(), key_of(fetched.certificate)
        revoked = self.revocations.refuting(key, result)
        revoked = revoked or subject.rules.revoked.refuting(key, result)
        if revoked is not None:
            trust = subject.trust.refuted(revoked, key, now, result)
        elif result.accepted and subject.rival not in {b"", key}:
            # Somebody else has just met another key here: one of the two is not proved.
            trust = subject.trust.undecided("key_change: it shows two keys", subject.rival, now)
        else:
            trust = subject.trust.judged(result, key, now)
            subject.rival = b""
            subject.certificate = hashlib.sha256(fetched.certificate).digest()
        subject.failures = 0 if trust.admits and not trust.reason else subject.failures + 1
        self.outcomes[subject.pool, trust.reason.partition(":")[0] or "accepted"] += 1
        self._take(subject, trust)

    def _take(self, subject: Subject, trust: Trust) -> None:
        """Give a subject its next trust, if it is still one."""
        subject.trust = trust
        if self._subjects.get((subject.pool, subject.name)) is subject:
            self._show(subject)

    def _show(self, subject: Subject) -> None:
        """Tell what has changed of a subject since it was last told of."""
        key = subject.pool, subject.name
        now, before = subject.standing(self._around.clock()), self._shown[key]
        self._shown[key] = now
        if now.state is not before.state:
            _tell(subject, now)
            self._changed(subject.pool)
        elif now.reason.partition(":")[0] != before.reason.partition(":")[0]:
            _tell(subject, now)

    async def _keep_looking(self) -> None:
        """Notice where trust has ended by itself."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._around.clock()
            for subject in list(self._subjects.values()):
                self._take(subject, subject.trust.at(now))

    async def _keep_comparing(self) -> None:
        """Notice where backends share a ticket key."""
        while True:
            for pool, rules in self._rules.items():
                self._compare(pool, rules)
            await asyncio.sleep(SHARING_SECONDS)

    def _compare(self, pool: PoolName, rules: AttestationRules) -> None:
        """Refute the backends of a pool that share a ticket key, and forgive those that did."""
        subjects = [each for each in self._subjects.values() if each.pool == pool]
        own = {each.name: each.trust for each in subjects}
        found = sharers(self._around.sharing(pool), own, rules.policy)
        for subject in subjects:
            if subject.barrier != found.get(subject.name):
                subject.barrier = found.get(subject.name)
                self._show(subject)


def _demands(rules: AttestationRules) -> tuple[bytes, bool]:
    return rules.policy.digest, rules.enforced


def _end(trust: Trust, drain: float | None, offset: float) -> float | None:
    """Return when connections end; `offset` leads from UTC to the monotonic clock."""
    if trust.state is TrustState.REFUTED:
        return -math.inf
    if trust.state is TrustState.EXPIRED and trust.until is not None and drain is not None:
        return trust.until + drain + offset
    return None


def _tell(subject: Subject, trust: Trust) -> None:
    where = subject.pool, subject.name
    level = logging.INFO if trust.admits and not trust.reason else logging.WARNING
    loud = " (SIMULATED: proves nothing)" if trust.admits and trust.simulated else ""
    kept = "" if trust.admits or subject.rules.enforced else "; it has traffic: observed only"
    why = f": {trust.reason}" if trust.reason else ""
    log.log(level, "%s/%s is %s%s%s%s", *where, trust.state, loud, why, kept)


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret
