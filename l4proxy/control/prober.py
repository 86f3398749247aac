"""The prober: every backend of every watched pool is probed, for as long as it is there.

One task a backend, out of step with the others. What probes and dials say goes into
`routing.health`; who is told of a verdict that changed asks for the pool's usable backends.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from l4proxy.control.dials import Dials
from l4proxy.control.membership import MemberKey
from l4proxy.control.probe import Outcome, Probe, probe
from routing import Address, BackendName, PoolName
from routing.health import HealthChanged, PoolHealth, ProbeFault, Rules, Verdict

log = logging.getLogger(__name__)

MAX_PROBES = 256
"""Probes at once, over all pools: each takes a descriptor, and a silent backend's its timeout."""

FIRST_PROBES_SECONDS = 1.0
"""The first probes are spread over so much, or over one period where that is shorter."""

JITTER = 0.1
"""Each wait is longer or shorter by up to this share, so that probes do not fall into step."""

LOOK_SECONDS = 0.5
"""How often holds are looked at whether they have ended."""


class Watched(Protocol):
    """A backend, as far as a probe goes."""

    @property
    def name(self) -> BackendName:
        """Unique within its pool."""
        ...

    @property
    def address(self) -> Address:
        """Where it is dialled."""
        ...


Changed = Callable[[PoolName, BackendName, Verdict], None]
Ask = Callable[[Address, Probe], Awaitable[Outcome]]
Seen = Callable[[PoolName, BackendName, bytes], None]


@dataclass(frozen=True, slots=True)
class HealthRules:
    """How the backends of one pool are watched.

    Attributes:
        probe: What is asked of each; None: nothing, only dials tell of them.
        every: Seconds from one probe of a backend to its next.
        thresholds: What the answers mean.
        preambles: Backends that are sent something first.

    Raises:
        ValueError: A probe may take longer than the time to the next.

    """

    probe: Probe | None = field(default_factory=Probe)
    every: float = 5.0
    thresholds: Rules = field(default_factory=Rules)
    preambles: Mapping[BackendName, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.probe is not None and not 0 < self.probe.timeout <= self.every:
            raise ValueError(
                f"timeout {self.probe.timeout:g} s: expected above 0 and at most {self.every:g} s, "
                "the time to the next probe"
            )

    def asked(self, name: BackendName) -> Probe | None:
        """Return what is asked of one backend."""
        preamble = self.preambles.get(name)
        if self.probe is None or preamble is None:
            return self.probe
        return replace(self.probe, preamble=preamble)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a task probes, if anything; when it differs, the task is another one."""

    pool: PoolName
    backend: BackendName
    address: Address
    probe: Probe | None
    every: float


class Prober:
    """Watches the backends of pools.

    Attributes:
        outcomes: Probes that ended, by pool and fault; the fault of an answer is empty.
    """

    def __init__(self, changed: Changed, ask: Ask = probe, seen: Seen | None = None) -> None:
        """Watch nothing yet.

        Args:
            changed: Hears of each verdict that turned from healthy to unhealthy or back.
            ask: Probes one backend once.
            seen: Hears of each certificate that a backend shows; None: nobody does.
        """
        self.outcomes: Counter[tuple[PoolName, str]] = Counter()
        self._changed = changed
        self._ask = ask
        self._seen = seen
        self._healths: dict[PoolName, PoolHealth] = {}
        self._targets: dict[MemberKey, _Target] = {}
        self._tasks: dict[_Target, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._slots = asyncio.Semaphore(MAX_PROBES)
        self._short = False  # whether the newest probe failed for want of something here

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_and_stop()
            try:
                await self._look_at_holds()
            finally:
                self._group = None
                self._tasks.clear()

    def watch(
        self,
        pools: Mapping[PoolName, Iterable[Watched]],
        rules: Mapping[PoolName, HealthRules],
    ) -> None:
        """Watch the backends of these pools from now on, pools without rules excepted.

        A backend that stays at its address keeps what is known of it. `usable` and `verdicts`
        answer for the new members as soon as this returns.
        """
        wanted = {
            (pool, backend.name): _Target(
                pool, backend.name, backend.address, asked.asked(backend.name), asked.every
            )
            for pool, asked in rules.items()
            for backend in pools.get(pool, ())
        }
        self._healths = {
            pool: self._healths.get(pool) or PoolHealth(rules[pool].thresholds)
            for pool in pools.keys() & rules.keys()
        }
        for pool, health in self._healths.items():
            if health.rules != rules[pool].thresholds:
                health.set_rules(rules[pool].thresholds)
        self._enrol(wanted)
        self._targets = wanted
        self._start_and_stop()

    def observe_dials(self, reports: Iterable[Dials]) -> None:
        """Take what workers' dials came to since the last report; unwatched pools are passed over.

        To be fed every second or so: five failures in a row then eject within that time.
        """
        now = _now()
        for report in reports:
            health = self._healths.get(report.pool)
            if health is not None and report.backend in health:
                seen = report.successes, report.failures
                self._tell(report.pool, health.observe_dials(report.backend, *seen, now))

    def usable(self, pool: PoolName) -> frozenset[BackendName] | None:
        """Return the backends of a pool that may have traffic, as far as health goes.

        None: the pool is not watched, so that health bars nobody.
        """
        health = self._healths.get(pool)
        return None if health is None else health.usable(_now())

    def verdicts(self, pool: PoolName) -> Mapping[BackendName, Verdict]:
        """Return what is held of each backend of a pool; nothing of a pool that is not watched."""
        health = self._healths.get(pool)
        return {} if health is None else {name: health.verdict(name, _now()) for name in health}

    def _enrol(self, wanted: Mapping[MemberKey, _Target]) -> None:
        """Bring the healths in line with the backends that there are."""
        now = _now()
        for key, target in self._targets.items():
            pool, backend = key
            stays = key in wanted and wanted[key].address == target.address
            if not stays and pool in self._healths:
                self._tell(pool, *self._healths[pool].remove(backend, now))
        for pool, backend in wanted:
            if backend not in self._healths[pool]:
                self._healths[pool].add(backend, now)

    def _start_and_stop(self) -> None:
        """Bring the tasks in line with the targets."""
        if self._group is None:
            return
        asked = {each: each.probe for each in self._targets.values() if each.probe is not None}
        for target in self._tasks.keys() - asked.keys():
            self._tasks.pop(target).cancel()
        for target in asked.keys() - self._tasks.keys():
            probing = self._keep_probing(target, asked[target])
            name = f"probe {target.pool}/{target.backend}"
            self._tasks[target] = self._group.create_task(probing, name=name)

    async def _keep_probing(self, target: _Target, asked: Probe) -> None:
        every = target.every
        await asyncio.sleep(min(every, FIRST_PROBES_SECONDS) * _chance())
        while True:
            begun = _now()
            async with self._slots:
                outcome = await self._probe(target, asked)
            self._take(target, outcome)
            wait = every * (1 + JITTER * (2 * _chance() - 1))
            await asyncio.sleep(begun + wait - _now())

    async def _probe(self, target: _Target, asked: Probe) -> Outcome:
        try:
            return await self._ask(target.address, asked)
        except Exception:  # a backend that finds a bug of ours must not end the balancer
            log.exception("probe of %s/%s", target.pool, target.backend)
            return Outcome(ProbeFault("internal"), ours=True)

    def _take(self, target: _Target, outcome: Outcome) -> None:
        self.outcomes[target.pool, outcome.fault or ""] += 1
        if outcome.certificate and self._seen is not None:
            self._seen(target.pool, target.backend, outcome.certificate)
        if outcome.ours is not self._short:
            self._short = outcome.ours
            if outcome.ours:
                log.warning("probes fail for want of something here: %s", outcome.fault)
        if outcome.ours:
            return
        health = self._healths[target.pool]
        self._tell(target.pool, health.observe_probe(target.backend, outcome.fault, _now()))

    async def _look_at_holds(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = _now()
            for pool, health in self._healths.items():
                self._tell(pool, *health.advance(now))

    def _tell(self, pool: PoolName, *news: HealthChanged | None) -> None:
        for change in news:
            if change is not None:
                self._changed(pool, change.backend, change.verdict)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret
