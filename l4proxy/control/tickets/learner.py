"""The learner: every backend is interviewed when it appears and then now and again.

One task a backend, out of step with the others, as the prober has. What they show goes into the
registry; who reads the names of a pool is told when they change. A worker that met an unknown name
may ask in between: then all backends of the pool are visited at once, each once, which shows the
name of a key that was just rotated.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from l4proxy.control.membership import MemberKey
from l4proxy.control.prober import JITTER, Watched
from l4proxy.control.tickets.interview import Interview, interview, share_a_key
from l4proxy.control.tickets.layouts import KeyName, read_names, with_next
from l4proxy.control.tickets.registry import Clash, NameRegistry
from l4proxy.control.tickets.subject import Subject, TicketRules, TicketStanding
from l4proxy.control.tickets.visit import LASTING, Approach, TicketFault, Visit, visit
from routing import BackendName, PoolName

log = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
"""From one round of quick visits to a pool to the next: unknown names are ordinary, GREASE makes
them up, and nobody can have more than this many handshakes made by sending them."""

VISIT_SECONDS = 0.05
"""What a round costs its pool for each backend, in time to the next: 20 visits a second at most,
6 % of a core, however large the pool."""

QUICK_TIMEOUT_SECONDS = 1.0
"""For a visit of a round: the client that waits for it does so for `routing.HOLD_SECONDS`, but the
answer serves the next one too."""

MAX_INTERVIEWS = 32
"""Interviews at once, over all pools: each takes a descriptor and a core's time for its ciphers."""

MAX_QUICK_VISITS = 64
"""Visits of rounds at once, over all pools, beside the interviews: nobody waits behind one."""

MAX_PROOFS = 4
"""Clashes of one interview that are looked into; the others are in the next."""

FIRST_SECONDS = 1.0
"""The first interviews are spread over so much."""

EXPIRE_SECONDS = 60.0
"""How often names are looked at whether their time is over: it is hours and days."""

Changed = Callable[[PoolName], None]


@dataclass(frozen=True, slots=True)
class Questions:
    """How backends are asked."""

    interview: Callable[[Approach], Awaitable[Interview]] = interview
    visit: Callable[[Approach], Awaitable[Visit]] = visit
    share_a_key: Callable[[Approach, Approach, KeyName], Awaitable[bool]] = share_a_key


class Learner:
    """Learns the ticket names of the backends of pools.

    Attributes:
        registry: Where the names are; others may put in what they learned by other means, and call
            `publish`.
        outcomes: Interviews that ended, by pool and fault; the fault of one that brought names is
            empty.
        rounds: Rounds of quick visits, by pool.
    """

    def __init__(
        self, registry: NameRegistry, changed: Changed, questions: Questions | None = None
    ) -> None:
        """Know nobody yet.

        Args:
            registry: Where names go.
            changed: Hears of each pool whose names have changed.
            questions: How backends are asked.
        """
        self.registry = registry
        self.outcomes: Counter[tuple[PoolName, str]] = Counter()
        self.rounds: Counter[PoolName] = Counter()
        self._changed = changed
        self._questions = questions or Questions()
        self._subjects: dict[MemberKey, Subject] = {}
        self._tasks: dict[Subject, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._interviews = asyncio.Semaphore(MAX_INTERVIEWS)
        self._visits = asyncio.Semaphore(MAX_QUICK_VISITS)
        self._next_round: dict[PoolName, float] = {}
        self._published: dict[PoolName, int] = {}

    async def run(self) -> None:
        """Interview until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_and_stop()
            try:
                await self._keep_expiring()
            finally:
                self._group = None
                self._tasks.clear()

    def watch(
        self, pools: Mapping[PoolName, Iterable[Watched]], rules: Mapping[PoolName, TicketRules]
    ) -> None:
        """Interview the backends of these pools from now on, pools without rules excepted.

        A backend that stays at its address keeps its names. The names of one that has gone stay as
        tombstones; those of a pool that has gone are forgotten.
        """
        watched = {pool: tuple(pools.get(pool, ())) for pool in rules}
        self.registry.settle(
            {pool: {each.name: each.address for each in there} for pool, there in watched.items()}
        )
        subjects = dict[MemberKey, Subject]()
        for pool, there in watched.items():
            for each in there:
                new = Subject(pool, each.name, rules[pool].approach(each), rules[pool].every)
                old = self._subjects.get((pool, each.name))
                stays = old is not None and old.is_asked_like(new)
                subjects[pool, each.name] = old if old is not None and stays else new
        self._subjects = subjects
        self._next_round = {pool: self._next_round.get(pool, 0.0) for pool in watched}
        self._published = {pool: self._published.get(pool, 0) for pool in watched}
        self._start_and_stop()
        self.publish()

    def ask(self, pool: PoolName) -> bool:
        """Visit all backends of a pool at once, for a name that nobody knows.

        Returns whether a round was begun: there is none so soon after the last one, and none where
        no backend writes names. What is new is published as it comes.
        """
        now = _now()
        if self._group is None or now < self._next_round.get(pool, math.inf):
            return False
        subjects = [each for each in self._subjects.values() if each.pool == pool and each.layouts]
        if not subjects:
            return False
        self._next_round[pool] = now + max(ROUND_SECONDS, VISIT_SECONDS * len(subjects))
        self.rounds[pool] += 1
        for subject in subjects:
            visiting = self._visit(subject)
            self._group.create_task(visiting, name=f"ticket of {pool}/{subject.name}")
        return True

    def returned(self, pool: PoolName, backend: BackendName) -> None:
        """Hear that a backend is healthy again: if nothing is known of it, it is asked at once."""
        subject = self._subjects.get((pool, backend))
        if subject is not None:
            subject.forgive()

    def standings(self, pool: PoolName) -> Mapping[BackendName, TicketStanding]:
        """Return how it stands with each backend of a pool; nothing of one that is not watched."""
        return {each.name: each.standing for each in self._subjects.values() if each.pool == pool}

    def publish(self) -> None:
        """Tell of each pool whose names have changed since it was last told of."""
        for pool, published in self._published.items():
            version = self.registry.version(pool)
            if version != published:
                self._published[pool] = version
                self._changed(pool)

    def _start_and_stop(self) -> None:
        """Bring the tasks in line with the subjects."""
        if self._group is None:
            return
        subjects = set(self._subjects.values())
        for subject in self._tasks.keys() - subjects:
            self._tasks.pop(subject).cancel()
        for subject in subjects - self._tasks.keys():
            asking = self._keep_asking(subject)
            name = f"tickets of {subject.pool}/{subject.name}"
            self._tasks[subject] = self._group.create_task(asking, name=name)

    async def _keep_asking(self, subject: Subject) -> None:
        await asyncio.sleep(min(subject.every, FIRST_SECONDS) * _chance())
        while True:
            subject.wake.clear()
            async with self._interviews:
                try:
                    await self._interview(subject)
                except Exception:  # a backend that finds a bug of ours must not end the balancer
                    log.exception("tickets of %s/%s", subject.pool, subject.name)
                    self._take(subject, Interview(fault=TicketFault.LOCAL))
            wait = subject.pause() * (1 + JITTER * (2 * _chance() - 1))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await subject.wake.wait()

    async def _interview(self, subject: Subject) -> None:
        came = await self._questions.interview(subject.approach)
        names = self._take(subject, came)
        clashes = self._learn(subject, names, came.lifetime)
        await self._look_into(subject, clashes, came.lifetime)

    def _take(self, subject: Subject, came: Interview) -> tuple[KeyName, ...]:
        """Note how the backend stands now; return the names that it has shown."""
        reading, before = read_names(came.tickets), subject.standing.fault
        subject.take(came, reading, _now())
        fault = subject.standing.fault
        self.outcomes[subject.pool, fault or ""] += 1
        if fault is not None and fault is not before:
            level = logging.WARNING if fault in LASTING else logging.INFO
            where = subject.pool, subject.name
            log.log(level, "ticket names of %s/%s are not learned: %s", *where, fault)
        return reading.names

    async def _visit(self, subject: Subject) -> None:
        """Visit once; its layout is proven, so that one ticket shows the name."""
        timeout = min(QUICK_TIMEOUT_SECONDS, subject.approach.timeout)
        async with self._visits:
            try:
                came = await self._questions.visit(replace(subject.approach, timeout=timeout))
            except Exception:  # as in an interview
                log.exception("ticket of %s/%s", subject.pool, subject.name)
                return
        if came.ticket is None or self._subjects.get((subject.pool, subject.name)) is not subject:
            return
        before = self.registry.version(subject.pool)
        names = read_names([came.ticket], subject.layouts).names
        clashes = self._learn(subject, names, came.lifetime)
        news = self.registry.version(subject.pool) != before
        # A new key of one worker process: the others may have new ones too.
        if news or any(clash.name not in subject.disproved for clash in clashes):
            subject.wake.set()

    def _learn(
        self, subject: Subject, names: Sequence[KeyName], lifetime: float | None
    ) -> tuple[Clash, ...]:
        shown = with_next(names, subject.every)
        known_for = subject.kept(lifetime)
        clashes = self.registry.learn(subject.pool, subject.name, shown, _now(), known_for)
        self.publish()
        return clashes

    async def _look_into(
        self, subject: Subject, clashes: Sequence[Clash], lifetime: float | None
    ) -> None:
        """Find out of names that others own whether this backend holds their keys as well."""
        disproved = set[KeyName]()
        for name, owners in clashes[:MAX_PROOFS]:
            owner = self._subjects.get((subject.pool, random.choice(sorted(owners))))  # noqa: S311 - spreads load
            if owner is None:
                continue
            if await self._questions.share_a_key(owner.approach, subject.approach, name):
                known_for = subject.kept(lifetime)
                self.registry.share(subject.pool, subject.name, [name], _now(), known_for)
            else:
                disproved.add(name)
                log.warning(
                    "tickets of %s/%s show a name of %s, and it does not hold the key",
                    subject.pool, subject.name, owner.name,
                )  # fmt: skip
        subject.disproved = frozenset(disproved)
        self.publish()

    async def _keep_expiring(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            self.registry.expire(_now())
            self.publish()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret
