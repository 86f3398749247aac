"""The last good set of addresses holds, whatever the directory does."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import uvloop

from l4proxy.control.discovery import DnsDiscovery, DnsFault, DnsSource, DnsStatistics, Unfit
from l4proxy.control.discovery import dns as discovery
from l4proxy.control.discovery.dns import MAX_ADDRESSES
from l4proxy.control.discovery.resolvers import DnsAnswer, Family
from l4proxy.control.found import Found
from routing import Address
from tests.l4proxy.control.discovery.dns_server import (
    NAME,
    DnsServer,
    Reply,
    Script,
    aliases,
    failure,
    records,
    serve_dns,
    silence,
    truncated,
)

PORT: Final = 8443
WAIT: Final = 20.0
PLAIN: Final = records({"A": ["10.0.0.1", "10.0.0.2"]})


def places(*hosts: str) -> frozenset[Address]:
    """Return the backends at these hosts."""
    return frozenset(Address(host, PORT) for host in hosts)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has become true."""
    async with asyncio.timeout(WAIT):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@dataclass
class Watched:
    """A source that is being watched.

    Attributes:
        server: Who answers.
        discovery: Who asks.
        told: Every set that was reported.
    """

    server: DnsServer
    discovery: DnsDiscovery
    told: list[frozenset[Address]] = field(default_factory=list)

    def take(self, found: Collection[Found]) -> None:
        """Note what was reported: addresses, and nothing else."""
        assert all(each == Found(each.address) for each in found)
        self.told.append(frozenset(each.address for each in found))

    @property
    def seen(self) -> DnsStatistics:
        """What the source has seen so far."""
        return self.discovery.statistics()

    async def rounds(self, count: int = 2) -> DnsStatistics:
        """Wait for so many rounds that begin from now on; the one under way may be no part."""
        target = self.seen.rounds + count
        await until(lambda: self.seen.rounds >= target)
        return self.seen

    async def changes(self, count: int) -> frozenset[Address]:
        """Wait until so many sets were reported; return the newest."""
        await until(lambda: len(self.told) >= count)
        return self.told[-1]

    async def fault(self, fault: DnsFault | None) -> DnsStatistics:
        """Wait until a round has this fault."""
        await until(lambda: self.seen.fault is fault)
        return self.seen


@contextlib.asynccontextmanager
async def watching(
    script: Script = PLAIN, *, allow_loopback: bool = False, deadline: float = 5.0
) -> AsyncIterator[Watched]:
    """Watch a name of a server that answers by a script, a few hundred times a second."""
    async with serve_dns(script) as server:
        source = DnsSource(NAME, PORT, server.address, allow_loopback, every=0.003)
        watched = Watched(server, DnsDiscovery(source, deadline=deadline))
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watched.discovery.watch(watched.take))
            yield watched
            task.cancel()


# --- changes --------------------------------------------------------------------------------------


async def test_the_first_good_answer_is_reported() -> None:
    """Both families make one set, at the port that the source names."""
    async with watching(records({"A": ["10.0.0.1"], "AAAA": ["2001:db8::1"]})) as watched:
        assert await watched.changes(1) == places("10.0.0.1", "2001:db8::1")
        assert watched.discovery.addresses == watched.told[0]


async def test_a_change_is_reported_once() -> None:
    """A set that stays as it was is no news, in whatever order it comes."""
    async with watching() as watched:
        await watched.changes(1)
        watched.server.say(records({"A": ["10.0.0.2", "10.0.0.1"]}))
        await watched.rounds()
        watched.server.say(records({"A": ["10.0.0.2", "10.0.0.3"]}))
        assert await watched.changes(2) == places("10.0.0.2", "10.0.0.3")
        seen = await watched.rounds()
        assert (len(watched.told), seen.changes, seen.addresses) == (2, 2, 2)
        assert seen.fault is None


async def test_a_family_without_addresses_beside_the_other_is_gone() -> None:
    """Servers that deny the name in the family that it lacks do not keep old addresses alive."""
    async with watching(records({"A": ["10.0.0.1"], "AAAA": ["2001:db8::1"]})) as watched:
        await watched.changes(1)
        watched.server.say(_only_ipv4)
        assert await watched.changes(2) == places("10.0.0.1")
        assert (await watched.rounds()).fault is None


def _only_ipv4(query: dns.message.Message) -> Sequence[Reply]:
    if query.question[0].rdtype == dns.rdatatype.A:
        return records({"A": ["10.0.0.1"]})(query)
    return failure(dns.rcode.NXDOMAIN)(query)


async def test_a_family_that_fails_keeps_its_addresses() -> None:
    """Half an answer renews its half only, and says what is wrong with the other."""

    def half(query: dns.message.Message) -> Sequence[Reply]:
        if query.question[0].rdtype == dns.rdatatype.A:
            return records({"A": ["10.0.0.9"]})(query)
        return failure(dns.rcode.SERVFAIL)(query)

    async with watching(records({"A": ["10.0.0.1"], "AAAA": ["2001:db8::1"]})) as watched:
        await watched.changes(1)
        watched.server.say(half)
        assert await watched.changes(2) == places("10.0.0.9", "2001:db8::1")
        assert (await watched.rounds()).fault is DnsFault.SERVER_FAILURE


# --- nothing good ---------------------------------------------------------------------------------


def _wrong_id(query: dns.message.Message) -> list[Reply]:
    response = dns.message.make_response(query)
    response.id = query.id ^ 1
    response.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", "10.6.6.6"))
    return [response]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (records({}), DnsFault.EMPTY),
        (records({"A": ["10.6.6.6"]}, owner="bank.example"), DnsFault.EMPTY),
        (failure(dns.rcode.NXDOMAIN), DnsFault.NO_SUCH_NAME),
        (failure(dns.rcode.SERVFAIL), DnsFault.SERVER_FAILURE),
        (aliases((NAME, "b.internal"), ("b.internal", NAME)), DnsFault.MALFORMED),
        (silence, DnsFault.TIMEOUT),
        (_wrong_id, DnsFault.TIMEOUT),
        (records({"A": ["127.0.0.1"], "AAAA": ["::1"]}), DnsFault.ALL_UNFIT),
        (records({"A": ["169.254.169.254"], "AAAA": ["fe80::1"]}), DnsFault.ALL_UNFIT),
        (records({"AAAA": ["::ffff:127.0.0.1"]}), DnsFault.EMPTY),
    ],
)
async def test_without_a_good_answer_the_last_one_holds(script: Script, fault: DnsFault) -> None:
    """Empties, denials, failures, silence, forgeries and rebinding remove nobody."""
    async with watching(deadline=0.05) as watched:
        assert await watched.changes(1) == places("10.0.0.1", "10.0.0.2")
        await watched.fault(None)
        watched.server.say(script)
        seen = await watched.fault(fault)
        assert seen.faults[fault] >= 1
        assert seen.age is not None
        assert watched.discovery.addresses == places("10.0.0.1", "10.0.0.2")
        watched.server.say(PLAIN)
        await watched.fault(None)
        assert len(watched.told) == 1


async def test_a_name_that_never_answered_has_no_age() -> None:
    """Before the first good answer nothing is reported, and the fault can be seen."""
    async with watching(failure(dns.rcode.NXDOMAIN)) as watched:
        seen = await watched.rounds()
        assert (seen.age, seen.addresses, seen.fault) == (None, 0, DnsFault.NO_SUCH_NAME)
        assert not watched.told


async def test_a_slow_resolver_delays_only_itself() -> None:
    """Beside one that never says a word, another is asked as often as ever."""
    async with watching(silence, deadline=WAIT) as slow, watching() as quick:
        await quick.rounds(20)
        assert slow.seen.rounds == 0


# --- too much, and what is not ours to dial -------------------------------------------------------


async def test_of_a_thousand_addresses_the_lowest_are_taken() -> None:
    """However the answer is shuffled, all balancers take the same ones."""
    texts = [f"10.0.{each >> 8}.{each & 255}" for each in range(1, 1_001)]
    async with watching(records({"A": texts[::-1], "AAAA": ["2001:db8::1"]})) as watched:
        taken = await watched.changes(1)
        assert taken == places(*texts[:MAX_ADDRESSES])
        assert watched.seen.left_out == 1_001 - MAX_ADDRESSES


async def test_a_cut_answer_is_fetched_over_tcp() -> None:
    """What did not fit a datagram is no failure."""
    async with watching() as watched:
        watched.server.udp = truncated
        assert await watched.changes(1) == places("10.0.0.1", "10.0.0.2")
        seen = await watched.rounds()
        assert seen.fault is None
        assert ("tcp", "A") in watched.server.queries


async def test_unfit_addresses_beside_fit_ones_are_counted() -> None:
    """Rebinding to the loopback or the link gets nobody there, and is reported."""
    found = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "224.0.0.1", "0.0.0.0"]  # noqa: S104 - not bound
    async with watching(records({"A": found, "AAAA": ["::ffff:127.0.0.2"]})) as watched:
        assert await watched.changes(1) == places("10.0.0.1")
        refused = watched.seen.refused
        assert set(refused) == {
            Unfit.LOOPBACK,
            Unfit.LINK_LOCAL,
            Unfit.MULTICAST,
            Unfit.UNSPECIFIED,
        }
        assert refused[Unfit.LOOPBACK] >= 2


async def test_the_loopback_can_be_allowed() -> None:
    """Where the operator says so, the loopback is a place for backends, and the link is not."""
    script = records({"A": ["127.0.0.1", "169.254.1.1"]})
    async with watching(script, allow_loopback=True) as watched:
        assert await watched.changes(1) == places("127.0.0.1")
        assert Unfit.LINK_LOCAL in watched.seen.refused


async def test_strays_are_counted() -> None:
    """Who forges answers is seen."""
    async with watching(lambda query: [*_wrong_id(query), *PLAIN(query)]) as watched:
        assert (await watched.rounds()).strays >= 2
        assert watched.discovery.addresses == places("10.0.0.1", "10.0.0.2")


# --- how often ------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """A resolver that gives answers from a list, the last one for ever."""

    outcomes: Iterable[DnsAnswer]
    strays: int = 0

    async def ask(self, family: Family) -> DnsAnswer:
        """Return the next answer to the first question, none to the second."""
        return next(iter(self.outcomes)) if family is Family.IPV4 else DnsAnswer(())


async def pauses(
    monkeypatch: pytest.MonkeyPatch, outcomes: Iterable[DnsAnswer], every: float, count: int
) -> list[float]:
    """Return the pauses between rounds, not spread."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        if len(found) == count:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    monkeypatch.setattr(discovery, "SystemResolver", lambda _: Scripted(outcomes))
    watcher = DnsDiscovery(DnsSource(NAME, PORT, every=every))
    with contextlib.suppress(asyncio.CancelledError):
        await watcher.watch(lambda _: None)
    return found


@pytest.mark.parametrize(
    ("ttl", "pause"), [(0.0, 1.0), (1.0, 1.0), (4.0, 4.0), (86_400.0, 10.0), (None, 10.0)]
)
async def test_a_lifetime_is_believed_within_bounds(
    monkeypatch: pytest.MonkeyPatch, ttl: float | None, pause: float
) -> None:
    """No answer makes us ask without a pause, nor keeps us from asking."""
    answer = _answer(ttl)
    assert await pauses(monkeypatch, itertools.repeat(answer), 10.0, 2) == [pause] * 2


async def test_faults_are_retried_soon_and_then_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hiccup costs a second; a directory that is down is asked as often as one that is up."""
    outcomes = iter([*[DnsAnswer(())] * 5, _answer(60.0), *[DnsAnswer(())] * 2])
    found = await pauses(monkeypatch, outcomes, 10.0, 8)
    assert found == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 1.0, 2.0]


async def test_pauses_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balancers that start together do not ask together: a tenth up or down."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    async with serve_dns(PLAIN) as server:
        monkeypatch.setattr(random, "uniform", uniform)
        source = DnsSource(NAME, PORT, server.address, every=0.001)
        watched = Watched(server, DnsDiscovery(source))
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watched.discovery.watch(watched.take))
            await watched.rounds(2)
            task.cancel()
    assert set(asked) == {(0.9, 1.1)}


def _answer(ttl: float | None) -> DnsAnswer:
    return DnsAnswer((ip_address("10.0.0.1"),), ttl)


# --- the system, the loop, the source -------------------------------------------------------------


async def test_the_systems_resolver_is_watched_alike() -> None:
    """Without a resolver of its own a source asks as every program of the machine does."""
    watcher = DnsDiscovery(DnsSource("localhost", PORT, allow_loopback=True, every=0.01))
    told: list[Collection[Found]] = []
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watcher.watch(told.append))
        await until(lambda: bool(told))
        task.cancel()
    assert Found(Address("127.0.0.1", PORT)) in told[0]


def test_it_runs_on_the_supervisors_loop() -> None:
    """The loop of the daemon, uvloop, serves as well: datagrams, refusals and TCP."""

    async def all_ways() -> None:
        async with watching() as watched:
            await watched.changes(1)
            watched.server.udp = truncated
            assert (await watched.rounds()).fault is None
        async with serve_dns() as server:
            pass
        source = DnsSource(NAME, PORT, server.address, every=0.001)
        gone = Watched(server, DnsDiscovery(source))
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(gone.discovery.watch(gone.take))
            assert (await gone.rounds(1)).fault is DnsFault.UNREACHABLE
            task.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_ways())


SOURCE: Final = DnsSource(NAME, PORT)


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "x" * 64, "bücher.example", "a" * 60 + ".b" * 99]
)
def test_what_is_no_name_is_no_source(name: str) -> None:
    """A source names something that can be asked for."""
    with pytest.raises(ValueError, match="expected a DNS name"):
        replace(SOURCE, name=name)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_what_is_no_port_is_no_source(port: int) -> None:
    """A source names a port that can be dialled."""
    with pytest.raises(ValueError, match="expected 1 to 65535"):
        replace(SOURCE, port=port)


@pytest.mark.parametrize("every", [0.0, -1.0])
def test_a_source_is_not_asked_without_a_pause(every: float) -> None:
    """There is time between two rounds."""
    with pytest.raises(ValueError, match="more than none"):
        replace(SOURCE, every=every)
