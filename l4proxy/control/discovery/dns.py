"""Keeps asking for one name, and reports its set of addresses whenever that has changed.

Clients must not suffer from a directory that is down, slow or wrong, so the last good answer holds:

    addresses of a family           replace those of that family
    none, beside some of the other  the family has none
    no answer, or none fit to dial  the family keeps what it had
    no address at all               everything stays as it was

Nothing here waits without a deadline, and how often is asked is ours to say, not the answer's.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import dns.exception
import dns.name

from l4proxy.control.directory import Changed
from l4proxy.control.discovery.resolvers import (
    DnsAnswer,
    DnsFault,
    Family,
    LookupFailed,
    Resolver,
    ServerResolver,
    SystemResolver,
)
from l4proxy.control.discovery.screen import IpAddress, Unfit, screen
from l4proxy.control.found import Found
from routing import Address

log = logging.getLogger(__name__)

LOOKUP_SECONDS: Final = 5.0
"""One question, with its repetitions and the way over TCP: resolvers themselves give up by then."""

MIN_TTL_SECONDS: Final = 1.0
"""A shorter lifetime of an answer is not believed: it would have us ask without a pause."""

RETRY_SECONDS: Final = 1.0
"""The pause after a first round with a fault; it doubles with each further one, up to `every`."""

MAX_ADDRESSES: Final = 256
"""Addresses taken of one name, the lowest first: all balancers then take the same ones."""

JITTER: Final = 0.1
"""The share by which a pause varies, so that balancers started together do not ask together."""

# A family of which this is said has no address, if the other family has one: servers that know
# a name in one family only give either.
_ABSENT: Final = frozenset({DnsFault.EMPTY, DnsFault.NO_SUCH_NAME})


@dataclass(frozen=True, slots=True)
class DnsSource:
    """A name whose addresses are backends.

    Attributes:
        name: Asked for as A and AAAA.
        port: That of every backend found, 1 to 65535.
        resolver: The server to ask, or the system's way, search list and hosts file included.
        allow_loopback: Whether addresses of the loopback are taken.
        every: Seconds between two rounds at the most; a shorter TTL shortens them.

    Raises:
        ValueError: No name that DNS could hold, no port to dial, or no time between rounds.
    """

    name: str
    port: int
    resolver: Literal["system"] | Address = "system"
    allow_loopback: bool = False
    every: float = 10.0

    def __post_init__(self) -> None:
        try:
            labels = dns.name.from_text(self.name).labels
        except dns.exception.DNSException as error:
            raise ValueError(f"found {self.name!r}, expected a DNS name: {error}") from error
        if not self.name.isascii() or len(labels) == 1:
            raise ValueError(f"found {self.name!r}, expected a DNS name, as it is asked for")
        if not 1 <= self.port <= 65_535:  # noqa: PLR2004 - what TCP has
            raise ValueError(f"{self.name}: found port {self.port}, expected 1 to 65535")
        if self.every <= 0:
            raise ValueError(f"{self.name}: found every {self.every} s, expected more than none")


@dataclass(frozen=True, slots=True)
class DnsStatistics:
    """What a source has seen. Counts are since it began.

    Attributes:
        addresses: In the present set.
        age: Seconds since every part of the set was confirmed; None: never yet.
        fault: What kept a part from being confirmed in the newest round; None: nothing.
        rounds: Times that the name was asked for.
        changes: Times that the set became another.
        faults: Questions without an answer, by what was wrong.
        refused: Addresses that were not fit to dial, by why.
        left_out: Addresses of the newest answers beyond `MAX_ADDRESSES`.
        strays: Messages of resolvers that answered nothing we had asked.
    """

    addresses: int
    age: float | None
    fault: DnsFault | None
    rounds: int
    changes: int
    faults: Mapping[DnsFault, int]
    refused: Mapping[Unfit, int]
    left_out: int
    strays: int


class DnsDiscovery:
    """Watches one source.

    Attributes:
        source: What is watched.
        addresses: The last good set; empty until there was one.
    """

    def __init__(self, source: DnsSource, *, deadline: float = LOOKUP_SECONDS) -> None:
        """Prepare a source; `watch` asks.

        Args:
            source: What is watched.
            deadline: Seconds that one question may take.
        """
        self.source: Final = source
        self.addresses: frozenset[Address] = frozenset()
        self._deadline = deadline
        self._resolver: Resolver = (
            SystemResolver(source.name)
            if source.resolver == "system"
            else ServerResolver(source.name, source.resolver)
        )
        self._kept: dict[Family, frozenset[IpAddress]] = {}
        self._confirmed: float | None = None
        self._fault: DnsFault | None = None
        self._faulty_rounds = 0  # in a row
        self._rounds = 0
        self._changes = 0
        self._faults: Counter[DnsFault] = Counter()
        self._refused: Counter[Unfit] = Counter()
        self._left_out = 0

    async def watch(self, changed: Changed) -> None:
        """Ask for ever; call `changed` with the first good set and each that differs.

        It is never told of none: of a name without addresses the last ones stay.
        """
        while True:
            outcomes = await self._ask()
            if self._take(outcomes):
                changed([Found(address) for address in self.addresses])
            pause = self._pause(outcomes)
            spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(pause * spread)

    def statistics(self) -> DnsStatistics:
        """Return what the source has seen so far."""
        confirmed = self._confirmed
        return DnsStatistics(
            addresses=len(self.addresses),
            age=None if confirmed is None else time.monotonic() - confirmed,
            fault=self._fault,
            rounds=self._rounds,
            changes=self._changes,
            faults=dict(self._faults),
            refused=dict(self._refused),
            left_out=self._left_out,
            strays=self._resolver.strays,
        )

    async def _ask(self) -> dict[Family, DnsAnswer | DnsFault]:
        """Ask for both families at once."""
        async with asyncio.TaskGroup() as tasks:
            asked = {
                family: tasks.create_task(
                    self._ask_for(family), name=f"dns {self.source.name} {family}"
                )
                for family in Family
            }
        return {family: task.result() for family, task in asked.items()}

    async def _ask_for(self, family: Family) -> DnsAnswer | DnsFault:
        try:
            async with asyncio.timeout(self._deadline):
                return await self._resolver.ask(family)
        except TimeoutError:
            return DnsFault.TIMEOUT
        except LookupFailed as error:
            return error.fault

    def _take(self, outcomes: Mapping[Family, DnsAnswer | DnsFault]) -> bool:
        """Make the outcomes of one round the present set; return whether it is another."""
        found: dict[Family, frozenset[IpAddress]] = {}
        faults: dict[Family, DnsFault] = {}
        for family, outcome in outcomes.items():
            fit = self._fit(outcome)
            if isinstance(fit, DnsFault):
                faults[family] = fit
            else:
                found[family] = fit
        for family in [family for family in faults if found and faults[family] in _ABSENT]:
            found[family] = frozenset()
            del faults[family]
        self._kept |= found
        self._note(tuple(faults.values()))
        return self._replace()

    def _fit(self, outcome: DnsAnswer | DnsFault) -> frozenset[IpAddress] | DnsFault:
        if isinstance(outcome, DnsFault):
            return outcome
        fit, refused = screen(outcome.addresses, allow_loopback=self.source.allow_loopback)
        self._refused.update(refused)
        if fit:
            return fit
        return DnsFault.ALL_UNFIT if refused else DnsFault.EMPTY

    def _note(self, faults: tuple[DnsFault, ...]) -> None:
        """Count the faults of a round, and say so in the log when they come and go."""
        self._rounds += 1
        self._faults.update(faults)
        self._faulty_rounds = self._faulty_rounds + 1 if faults else 0
        if not faults:
            self._confirmed = time.monotonic()
        fault = next(iter(faults), None)
        if fault is not None and fault is not self._fault:
            kept = len(self.addresses)
            log.warning("dns %s: %s; keeps %d addresses", self.source.name, fault.value, kept)
        elif fault is None and self._fault is not None:
            log.info("dns %s: answers again", self.source.name)
        self._fault = fault

    def _replace(self) -> bool:
        found = frozenset[IpAddress]().union(*self._kept.values())
        taken = sorted(found, key=lambda ip: (ip.version, int(ip)))[:MAX_ADDRESSES]
        self._left_out = len(found) - len(taken)
        addresses = frozenset(Address(str(ip), self.source.port) for ip in taken)
        if addresses == self.addresses:
            return False
        log.info("dns %s: %d addresses", self.source.name, len(addresses))
        self.addresses = addresses
        self._changes += 1
        return True

    def _pause(self, outcomes: Mapping[Family, DnsAnswer | DnsFault]) -> float:
        """Return the seconds until the next round, before they are spread."""
        every = self.source.every
        if self._faulty_rounds:
            doublings = min(self._faulty_rounds - 1, _DOUBLINGS)
            return min(every, RETRY_SECONDS * 2.0**doublings)
        answers = [outcome for outcome in outcomes.values() if isinstance(outcome, DnsAnswer)]
        ttls = [answer.ttl for answer in answers if answer.ttl is not None]
        return min(every, max(MIN_TTL_SECONDS, min(ttls, default=every)))


# Pauses grow no further than this many times, so that their number is never a huge exponent.
_DOUBLINGS: Final = 16
