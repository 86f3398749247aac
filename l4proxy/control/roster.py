"""The roster: who exists in every pool and who of them is well, as the world changes.

Discovery, probes, workers' dials and the API say what they know; whoever plans a snapshot asks.
That something has changed is told at once and without saying what: the newest state is what counts.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from l4proxy.config import Config, DiscoverySettings
from l4proxy.control.dials import DialFeed
from l4proxy.control.discovery import DnsDiscovery, DnsSource, DnsStatistics
from l4proxy.control.membership import Member, SourceName
from l4proxy.control.prober import Prober
from l4proxy.control.roll import Roll
from l4proxy.control.totals import Totals
from l4proxy.control.watching import health_rules
from l4proxy.limits import REPORT_SECONDS
from routing import Address, BackendName, PoolName
from routing.health import Verdict

log = logging.getLogger(__name__)

DISCOVERY_RETRY_SECONDS = 5.0
"""How long a source rests in which a bug of ours has come up."""

_Key = tuple[PoolName, SourceName]


@dataclass(frozen=True, slots=True)
class _Watch:
    """A source and the task that watches it."""

    discovery: DnsDiscovery
    task: asyncio.Task[None]


class Roster:
    """The backends of all pools. `run` keeps it up to date.

    Attributes:
        roll: Who exists.
        changed: Set whenever a snapshot planned earlier may be out of date.
    """

    def __init__(self, config: Config, totals: Totals) -> None:
        """Begin with the configuration's backends, taken for healthy; needs a running loop.

        Args:
            config: The configuration in force.
            totals: Where workers' dials are counted.

        Raises:
            TooMany: It has more backends than there are places.
        """
        self.roll = Roll(config)
        self.changed = asyncio.Event()
        self._config = config
        self._totals = totals
        self._prober = Prober(self._health_changed)
        self._dials = DialFeed()
        self._since: dict[tuple[PoolName, BackendName], float] = {}
        self._watches: dict[_Key, _Watch] = {}
        self._group: asyncio.TaskGroup | None = None
        self._watch()

    async def run(self) -> None:
        """Probe, discover and listen to workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._discover()
            group.create_task(self._prober.run(), name="prober")
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

    def adopt(self, config: Config, roll: Roll) -> None:
        """Go on by another configuration, and the roll made for it."""
        self._config, self.roll = config, roll
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

    # --- what others ask -----------------------------------------------------------------------

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

    def discoveries(self) -> Iterator[tuple[PoolName, SourceName, DnsStatistics]]:
        """Yield what each source of discovery has seen."""
        for (pool, source), watch in self._watches.items():
            yield pool, source, watch.discovery.statistics()

    # -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Bring the prober in line with who exists."""
        members = {pool: self.roll.members(pool) for pool in self.roll}
        rules = {
            name: rule
            for name, pool in self._config.pools.items()
            if (rule := health_rules(pool, self.roll.headers(name))) is not None
        }
        keys = [(pool, member.name) for pool in members for member in members[pool]]
        now = time.monotonic()
        self._since = {key: self._since.get(key, now) for key in keys}
        self._prober.watch(members, rules)
        self.changed.set()

    def _discover(self) -> None:
        """Bring the tasks of discovery in line with the configuration."""
        if self._group is None:
            return
        wanted = {key: _dns_source(each) for key, each in self.roll.sources().items()}
        for key, watch in list(self._watches.items()):
            if wanted.get(key) != watch.discovery.source:
                watch.task.cancel()
                del self._watches[key]
        for key in wanted.keys() - self._watches.keys():
            discovery = DnsDiscovery(wanted[key])
            name = f"discovery {key[0]}: {key[1]}"
            task = self._group.create_task(self._keep_watching(key, discovery), name=name)
            self._watches[key] = _Watch(discovery, task)

    async def _keep_watching(self, key: _Key, discovery: DnsDiscovery) -> None:
        def changed(addresses: Collection[Address]) -> None:
            self.roll.discovered(*key, addresses)
            self._watch()

        while True:
            try:
                await discovery.watch(changed)
            except Exception:  # a directory that finds a bug of ours must not end the balancer
                log.exception("discovery for pool %s: %s", *key)
                await asyncio.sleep(DISCOVERY_RETRY_SECONDS)

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
        self.changed.set()


def _dns_source(settings: DiscoverySettings) -> DnsSource:
    dns = settings.dns
    return DnsSource(
        name=str(dns.name),
        port=dns.port,
        resolver="system" if dns.resolver is None else dns.resolver,
        allow_loopback=dns.allow_loopback,
        every=dns.every,
    )
