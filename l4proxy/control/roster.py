"""The roster: who exists in every pool, who is well and proved, whose tickets are whose.

Discovery, probes, interviews, attestations, workers' dials and the API say what they know; whoever
plans a snapshot asks. That something has changed is told at once and without saying what: the
newest state is what counts.
"""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from l4proxy.config import Config
from l4proxy.control.attesting.attestor import Attestor, Surroundings
from l4proxy.control.attesting.policies import Policies
from l4proxy.control.attesting.subject import AttestationRules
from l4proxy.control.dials import DialFeed
from l4proxy.control.discovery import Statistics
from l4proxy.control.discovery.watches import Watches
from l4proxy.control.drains import find_member
from l4proxy.control.found import Found
from l4proxy.control.lineup import Lineup
from l4proxy.control.membership import Member, MemberKey, SourceName
from l4proxy.control.plan import Standing
from l4proxy.control.prober import HealthRules, Prober
from l4proxy.control.roll import Roll
from l4proxy.control.scrape import Telemetry, TelemetryRules
from l4proxy.control.scrape.keys import AttestedKeys
from l4proxy.control.tickets.learner import Learner
from l4proxy.control.tickets.registry import NameRegistry, NameStatistics
from l4proxy.control.tickets.subject import EVERY_SECONDS, TicketRules, TicketStanding
from l4proxy.control.totals import Totals
from l4proxy.control.watching import attestation_rules, health_rules, ticket_rules
from l4proxy.limits import REPORT_SECONDS
from routing import HOLD_SECONDS, BackendName, PoolName
from routing.health import Verdict

log = logging.getLogger(__name__)


class Roster:
    """The backends of all pools. `run` keeps it up to date.

    Attributes:
        roll: Who exists.
        learner: Knows their tickets.
        attestor: Knows what they have proved.
        telemetry: Knows what they tell of their load.
        lineup: Who of them takes no new sessions by somebody's word.
        loads: The share of what it can do that each claims to do, in pools that balance by it.
        changed: Set whenever a snapshot planned earlier may be out of date.
        urgent: Set besides when clients are held for what has changed.
    """

    def __init__(
        self,
        config: Config,
        totals: Totals,
        policies: Policies | None = None,
        telemetry: Mapping[PoolName, TelemetryRules] = MappingProxyType({}),
    ) -> None:
        """Begin with the configuration's backends, taken for healthy; needs a running loop.

        Args:
            config: The configuration in force.
            totals: Where workers' dials are counted.
            policies: Those that the configuration names; None: it names none.
            telemetry: How the backends of each pool tell of their load, where they do.

        Raises:
            TooMany: It has more backends than there are places.
        """
        self.roll = Roll(config)
        self.changed = asyncio.Event()
        self.urgent = asyncio.Event()
        self.learner = Learner(NameRegistry(), self._names_changed)
        self.attestor = Attestor(self._trust_changed, Surroundings(sharing=self._sharing))
        self._config = config
        self._policies = policies or Policies({}, {})
        self._telemetry_rules = telemetry
        self.telemetry = Telemetry(AttestedKeys(self.attestor.trusts))
        self._totals = totals
        self._prober = Prober(self._health_changed, seen=self.attestor.seen)
        self._dials = DialFeed()
        self.lineup = Lineup()
        self.loads: Mapping[MemberKey, float] = {}
        self._since: dict[MemberKey, float] = {}
        self._returned: dict[MemberKey, float] = {}
        self._asked: dict[PoolName, float] = {}
        self._watches = Watches(self._discovered)
        self._group: asyncio.TaskGroup | None = None
        self._watch()

    async def run(self) -> None:
        """Probe, discover and listen to workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._discover()
            group.create_task(self._prober.run(), name="prober")
            group.create_task(self.learner.run(), name="learner")
            group.create_task(self.attestor.run(), name="attestor")
            group.create_task(self.telemetry.run(), name="telemetry")
            try:
                await self._look_at_dials()
            finally:
                self._group = None

    # --- what others say -----------------------------------------------------------------------

    def succeed(self, config: Config) -> Roll:
        """Return the roll that another configuration would have; nothing has changed yet.

        Raises:
            TooMany: There are not enough places for its backends and those put by the API.
        """
        roll = Roll(config)
        roll.inherit(self.roll)
        return roll

    def adopt(
        self,
        config: Config,
        roll: Roll,
        policies: Policies | None = None,
        telemetry: Mapping[PoolName, TelemetryRules] = MappingProxyType({}),
    ) -> None:
        """Go on by another configuration, and by what was made and read for it."""
        self._config, self.roll = config, roll
        self._policies = policies or Policies({}, {})
        self._telemetry_rules = telemetry
        self._watch()
        self._discover()

    def put(self, pool: PoolName, member: Member) -> bool:
        """Add a member, or give one that is there another weight; return whether it is new.

        Raises:
            UnknownPool: There is no such pool.
            AlreadyThere: Another member has the name or the address.
            TooMany: There is no place left.
        """
        before = {each.name for each in self.roll.members(pool)} if pool in self.roll else ()
        self.roll.put(pool, member)
        self._watch()
        return member.name not in before

    def delete(self, pool: PoolName, name: BackendName) -> Member:
        """Remove a member; return it as it was.

        Raises:
            UnknownPool: There is no such pool.
            Unknown: No member has the name.
        """
        gone = self.roll.delete(pool, name)
        self._watch()
        return gone

    def drain(
        self, called: str, seconds: float | None = None
    ) -> tuple[PoolName, Member, float | None]:
        """Let a member have no new session; return who it is, and when it lets go of the others.

        Args:
            called: `NAME` or `POOL/NAME`.
            seconds: Until then, infinite for never; None: as the pool's configuration says,
                and a drain that has begun stays as it is.

        Raises:
            Unknown: There is no such member.
            Ambiguous: Several pools have one of this name.
        """
        pool, member = find_member(self.roll, called)
        if seconds is not None or not self.lineup.drains.by_operator((pool, member.name)):
            left = self._config.pools[pool].drain.timeout if seconds is None else seconds
            deadline = None if left is None or math.isinf(left) else time.monotonic() + left
            self.lineup.drain(pool, member, deadline)
            self.changed.set()
        return pool, member, self.lineup.drains.deadlines()[pool, member.name]

    def undrain(self, called: str) -> tuple[PoolName, Member]:
        """Let a member have new sessions again, slowly if its pool says so; return who it is.

        Raises:
            Unknown: There is no such member.
            Ambiguous: Several pools have one of this name.
        """
        pool, member = find_member(self.roll, called)
        if self.lineup.undrain(pool, member.name, time.monotonic()):
            self._returned[pool, member.name] = time.monotonic()
            self.changed.set()
        return pool, member

    def activate(self, called: str) -> tuple[PoolName, Member]:
        """Let a member on standby have new sessions; return who it is.

        Raises:
            Unknown: There is no such member.
            Ambiguous: Several pools have one of this name.
            Drained: It is drained.
        """
        pool, member = find_member(self.roll, called)
        if self.lineup.activate(pool, member.name, time.monotonic()):
            self.changed.set()
        return pool, member

    def ask(self, pool: PoolName) -> None:
        """Ask a pool's backends for the names of their tickets: a client waits for one of them."""
        if self.learner.ask(pool):
            self._asked[pool] = time.monotonic()

    # --- what others ask -----------------------------------------------------------------------

    def standing(self) -> Standing:
        """Return who exists, who may have traffic, and whose sessions are whose, at this moment."""
        return Standing(
            self.roll,
            self.usable(),
            self.lineup.drains.deadlines(),
            dict(self._returned),
            {pool: self.learner.registry.names(pool) for pool in self.roll},
            barred=self.attestor.barred(time.monotonic()),
            resting=self.lineup.resting,
            sealed=self.lineup.sealed,
            marks=dict(self.lineup.marks),
            loads=self.loads,
        )

    def usable(self) -> dict[PoolName, frozenset[BackendName]]:
        """Return the backends that may have traffic as far as health goes, of pools watched.

        Where none of a pool is healthy these are all: the pool is open.
        """
        found = {pool: self._prober.usable(pool) for pool in self.roll}
        return {pool: names for pool, names in found.items() if names is not None}

    def members(self, pool: PoolName) -> tuple[Member, ...]:
        """Return who exists in a pool, in order."""
        return self.roll.members(pool)

    def left_out(self, pool: PoolName) -> int:
        """Return how many addresses were found for a pool for which there was no place."""
        return self.roll.left_out(pool)

    def verdicts(self, pool: PoolName) -> Mapping[BackendName, Verdict]:
        """Return what is held of each backend of a pool; nothing of a pool not watched."""
        return self._prober.verdicts(pool)

    def since(self, pool: PoolName, name: BackendName) -> float:
        """Return the moment (monotonic) since which the verdict of a backend stands."""
        return self._since[pool, name]

    def outcomes(self) -> Iterator[tuple[PoolName, str, int]]:
        """Yield pool, fault (empty: none) and count of the probes that have ended."""
        for (pool, fault), count in self._prober.outcomes.items():
            if pool in self.roll:
                yield pool, fault, count

    def ticket_standings(self, pool: PoolName) -> Mapping[BackendName, TicketStanding]:
        """Return how it stands with the tickets of each backend; nothing of a pool not asked."""
        return self.learner.standings(pool)

    def name_statistics(self, pool: PoolName) -> Mapping[BackendName, NameStatistics]:
        """Return how it stands with the ticket names of each backend of a pool that is asked."""
        return self.learner.registry.statistics(pool)

    def interviews(self) -> Iterator[tuple[PoolName, str, int]]:
        """Yield pool, fault (empty: none) and count of the interviews that have ended."""
        for (pool, fault), count in self.learner.outcomes.items():
            if pool in self.roll:
                yield pool, fault, count

    def rounds(self) -> Iterator[tuple[PoolName, int]]:
        """Yield how often all backends of a pool were asked at once for an unknown name."""
        return ((pool, self.learner.rounds[pool]) for pool in self.roll)

    def discoveries(self) -> Iterator[tuple[PoolName, SourceName, Statistics]]:
        """Yield what each source of discovery has seen."""
        return self._watches.statistics()

    def complete(self, pool: PoolName) -> bool:
        """Return whether every source of a pool's backends has answered since it is watched."""
        answered = self._watches.answered()
        return all(key in answered for key in self.roll.sources() if key[0] == pool)

    # -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Bring everybody in line with who exists."""
        members = {pool: self.roll.members(pool) for pool in self.roll}
        health, tickets = dict[PoolName, HealthRules](), dict[PoolName, TicketRules]()
        proofs = dict[PoolName, AttestationRules]()
        for name, pool in self._config.pools.items():
            headers = self.roll.headers(name)
            if (watched := health_rules(pool, headers)) is not None:
                health[name] = watched
            if (asked := ticket_rules(pool, headers)) is not None:
                tickets[name] = asked
            if (proof := attestation_rules(pool, name, self._policies, headers)) is not None:
                proofs[name] = proof
        keys = {(pool, member.name) for pool in members for member in members[pool]}
        now = time.monotonic()
        self._since = {key: self._since.get(key, now) for key in keys}
        self._returned = {key: self._returned[key] for key in self._returned.keys() & keys}
        self._asked = {pool: self._asked[pool] for pool in self._asked.keys() & members.keys()}
        scaled = {name for name, pool in self._config.pools.items() if pool.scaling is not None}
        self.lineup.settle(members, scaled)
        self._prober.watch(members, health)
        self.learner.watch(members, tickets)
        self.attestor.watch(members, proofs)
        self.telemetry.update(members, self._telemetry_rules)
        self.changed.set()

    def _discover(self) -> None:
        """Bring the tasks of discovery in line with the configuration."""
        if self._group is not None:
            self._watches.settle(self.roll.sources(), self._group)

    def _discovered(self, pool: PoolName, source: SourceName, found: Collection[Found]) -> None:
        self.roll.discovered(pool, source, found)
        self._watch()

    async def _look_at_dials(self) -> None:
        """Hear from workers as often as they report."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            names = {
                name: [member.name for member in self.roll.members(name)]
                for name, pool in self._config.pools.items()
                if pool.passive_health
            }
            self._prober.observe_dials(self._dials.news(self._totals, names))

    def _health_changed(self, pool: PoolName, name: BackendName, verdict: Verdict) -> None:
        self._since[pool, name] = time.monotonic()
        level = logging.INFO if verdict.healthy else logging.WARNING
        why = verdict.reason if verdict.fault is None else f"{verdict.reason}: {verdict.fault}"
        state = "healthy" if verdict.healthy else "unhealthy"
        log.log(level, "%s/%s is %s: %s", pool, name, state, why)
        if verdict.healthy:
            self._returned[pool, name] = self._since[pool, name]
            self.learner.returned(pool, name)
            self.attestor.returned(pool, name)
        self.changed.set()

    def _trust_changed(self, _pool: PoolName) -> None:
        self.changed.set()

    def _sharing(self, pool: PoolName) -> Collection[frozenset[BackendName]]:
        """Return the backends that hold a ticket key together, by what they have shown of late."""
        since = asyncio.get_running_loop().time() - 2 * EVERY_SECONDS
        return self.learner.registry.shared(pool, since)

    def _names_changed(self, pool: PoolName) -> None:
        if time.monotonic() - self._asked.get(pool, -math.inf) < HOLD_SECONDS:
            self.urgent.set()
        self.changed.set()
