"""All telemetry: who is watched, and what is known of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from l4proxy.config.telemetry import CAPACITY
from l4proxy.control.scrape.source import Report, Subject
from l4proxy.control.scrape.telemetry import MOST_CAPACITY, Telemetry, TelemetryRules
from l4proxy.scaling.report import CPU, MetricName, Reading
from l4proxy.series import parse_series
from routing import Address, BackendName, PoolName
from tests.l4proxy.control.servers import PATIENCE_SECONDS

APP, ONE, TWO = PoolName("app"), BackendName("one"), BackendName("two")
WANTED = {CPU: parse_series("cpu"), CAPACITY: parse_series("capacity")}


class Member(NamedTuple):
    """A backend."""

    name: BackendName
    address: Address


@dataclass
class Source:
    """A source that is told what to report."""

    reports: dict[str, Report] = field(default_factory=dict)
    subjects: list[Subject] = field(default_factory=list)
    ended: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, subject: Subject, report: Report) -> None:
        """Wait to be ended."""
        self.subjects.append(subject)
        self.reports[subject.name] = report
        self.news.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
            self.news.set()

    async def until(self, watches: int, ended: int = 0) -> None:
        """Wait until so many watches have begun, and so many have ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (len(self.subjects), self.ended) != (watches, ended):
                self.news.clear()
                await self.news.wait()


def members(*numbers: int) -> Iterable[Member]:
    """Backends one and two, at these ports."""
    return [Member(name, Address("127.0.0.1", port)) for name, port in zip((ONE, TWO), numbers)]  # noqa: B905 - one, or both


@asynccontextmanager
async def running(telemetry: Telemetry) -> AsyncIterator[None]:
    """Telemetry that runs."""
    task = asyncio.get_running_loop().create_task(telemetry.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def telemetry_at(now: list[float]) -> Telemetry:
    """Telemetry with a clock of its own."""
    return Telemetry(lambda pool, name: f"{pool}/{name}".encode(), lambda: now[-1])


async def test_what_is_reported_is_known_with_its_age() -> None:
    """The capacity apart, as it is no metric."""
    telemetry, source = telemetry_at([100.0]), Source()
    telemetry.update({APP: members(1)}, {APP: TelemetryRules(source, WANTED)})
    assert (telemetry.readings(APP, ONE, 100.0), telemetry.capacity(APP, ONE)) == ({}, None)
    async with running(telemetry):
        await source.until(1)
        source.reports["one"].took({CPU: 0.5, CAPACITY: 40.9})
    assert telemetry.readings(APP, ONE, 107.0) == {CPU: Reading(0.5, 7.0)}
    assert telemetry.capacity(APP, ONE) == 40
    assert (telemetry.readings(APP, TWO, 0.0), telemetry.capacity(APP, TWO)) == ({}, None)
    assert [(row.pool, row.name, row.age) for row in telemetry.rows(107.0)] == [("app", "one", 7.0)]
    assert telemetry.outcomes == {("app", ""): 1}
    assert source.ended == 1


async def test_a_claimed_capacity_is_bounded() -> None:
    """Somebody who claims the sky gets what a configuration could say."""
    telemetry, source = telemetry_at([0.0]), Source()
    telemetry.update({APP: members(1)}, {APP: TelemetryRules(source, WANTED)})
    async with running(telemetry):
        await source.until(1)
        source.reports["one"].took({CAPACITY: 1e14})
    assert telemetry.capacity(APP, ONE) == MOST_CAPACITY


async def test_a_source_knows_which_key_to_expect() -> None:
    """Of each backend its own, asked for anew each time."""
    telemetry, source = telemetry_at([0.0]), Source()
    telemetry.update({APP: members(1, 2)}, {APP: TelemetryRules(source, WANTED, attested=True)})
    async with running(telemetry):
        await source.until(2)
    assert {subject.key() for subject in source.subjects} == {b"app/one", b"app/two"}
    assert all(subject.attested for subject in source.subjects)


async def test_members_come_and_go() -> None:
    """Who stays is watched without a break; who is gone is forgotten, and who moved is new."""
    telemetry, source = telemetry_at([0.0]), Source()
    rules = {APP: TelemetryRules(source, WANTED)}
    async with running(telemetry):
        telemetry.update({APP: members(1, 2)}, rules)
        await source.until(2)
        source.reports["one"].took({CPU: 0.5})
        source.reports["two"].took({CPU: 0.5})
        telemetry.update({APP: members(1, 3)}, rules)
        await source.until(3, 1)
        assert telemetry.readings(APP, ONE, 0.0)
        assert not telemetry.readings(APP, TWO, 0.0)
        telemetry.update({APP: members(1, 3)}, {})
        await source.until(3, 3)
        assert telemetry.rows(0.0) == []


async def test_a_new_source_goes_on_with_what_is_known() -> None:
    """A reload forgets no reading, unless something else is asked now."""
    telemetry, old, new = telemetry_at([0.0]), Source(), Source()
    rules = TelemetryRules(old, WANTED)
    async with running(telemetry):
        telemetry.update({APP: members(1)}, {APP: rules})
        await old.until(1)
        old.reports["one"].took({CPU: 0.5})
        telemetry.update({APP: members(1)}, {APP: replace(rules, source=new)})
        await new.until(1)
        await old.until(1, 1)
        assert telemetry.readings(APP, ONE, 5.0) == {CPU: Reading(0.5, 5.0)}
        other = {CPU: parse_series("another_cpu")}
        telemetry.update({APP: members(1)}, {APP: TelemetryRules(new, other)})
        await new.until(2, 1)
        assert telemetry.readings(APP, ONE, 5.0) == {}
        telemetry.update({APP: members(1)}, {APP: TelemetryRules(new, other, attested=True)})
        await new.until(3, 2)


async def test_backends_are_counted_by_thousands_without_a_pause() -> None:
    """An update of a large pool is one pass."""
    telemetry, source = telemetry_at([0.0]), Source()
    many = [Member(BackendName(f"b{n}"), Address("127.0.0.1", n + 1)) for n in range(1_000)]
    rules = {APP: TelemetryRules(source, {MetricName("q"): parse_series("q")})}
    async with running(telemetry):
        telemetry.update({APP: many}, rules)
        await source.until(1_000)
        telemetry.update({APP: many[1:]}, rules)
        await source.until(1_000, 1)
    assert len(telemetry.rows(0.0)) == 999
