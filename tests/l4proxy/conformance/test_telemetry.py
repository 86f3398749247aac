"""The conformance test of sources: ours passes it, and each promise that is broken is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel

from l4proxy.config.section import Section
from l4proxy.conformance import NotConforming, TelemetrySample, check_telemetry_kind
from l4proxy.conformance import telemetry as module
from l4proxy.control.scrape import openmetrics
from l4proxy.control.scrape.openmetrics import OpenMetrics
from l4proxy.control.scrape.source import Report, Subject, TelemetrySource
from l4proxy.scaling.report import MetricName
from routing import Address, PoolName
from tests.l4proxy.control.scrape.pages import (
    PAGE,
    QUEUE,
    always,
    answer_of,
    exporter,
    subject_at,
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing that is not to come."""
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.05)
    monkeypatch.setattr(module, "TELLING_SECONDS", 0.05)
    monkeypatch.setattr(openmetrics, "_chance", lambda: 0.0)


@asynccontextmanager
async def served() -> AsyncIterator[Subject]:
    """A backend with a metrics page."""
    async with exporter(always(answer_of(PAGE))) as backend:
        yield subject_at(backend.address)


@asynccontextmanager
async def imagined() -> AsyncIterator[Subject]:
    """A backend that is only thought of."""
    yield subject_at(Address("127.0.0.1", 2))


def test_the_built_in_source_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every plug-in has to."""
    monkeypatch.setattr(module, "TELLING_SECONDS", 10.0)
    block = "{url: 'http://{host}:{port}/metrics', every: 1s}"
    check_telemetry_kind(OpenMetrics(), TelemetrySample(block, served, {QUEUE: 7.0}))


class _Settings(Section):
    """No settings."""


class Kind:
    """A source that keeps every promise, for subclasses to break one each."""

    name = "acme"
    settings: type[BaseModel] = _Settings

    def make(self, _settings: BaseModel, _pool: PoolName) -> TelemetrySource:
        """Return itself."""
        return self

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell of a backend that is there and known."""
        if subject.address.port == 2 and not subject.attested:
            report.took({QUEUE: 7.0})
        await asyncio.Event().wait()


class Misnamed(Kind):
    """A bad name."""

    name = "Acme Inc."


class _Loose(BaseModel):
    """Settings that take any key."""


class Loose(Kind):
    """Settings that swallow mistakes."""

    settings = _Loose


class Silent(Kind):
    """Nothing is heard."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell nothing."""
        await asyncio.Event().wait()


class Wrong(Kind):
    """Another value, and one that nobody wants."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell something else."""
        if subject.address.port == 2 and not subject.attested:
            report.took({QUEUE: 8.0, MetricName("other"): 1.0})
        await asyncio.Event().wait()


class Gullible(Kind):
    """Tells of everybody."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell, whoever it is."""
        report.took({QUEUE: 7.0})
        await asyncio.Event().wait()


class Ending(Kind):
    """Ends by itself."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell, and end."""
        await super_watch(subject, report)


class Raising(Kind):
    """Raises."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell, and raise."""
        await super_watch(subject, report)
        raise OSError("gone")


class Unmade(Kind):
    """Cannot be made."""

    def make(self, _settings: BaseModel, _pool: PoolName) -> TelemetrySource:
        """Raise."""
        raise ValueError("no")


class Clinging(Kind):
    """Does not end when it is told to."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Tell, and hold out for a while."""
        await super_watch(subject, report)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)


async def super_watch(subject: Subject, report: Report) -> None:
    """Tell of a backend that is there and known."""
    if subject.address.port == 2 and not subject.attested:
        report.took({QUEUE: 7.0})


SAMPLE = TelemetrySample("{}", imagined, {QUEUE: 7.0})


def test_a_source_that_keeps_its_promises_conforms() -> None:
    """Whatever it is made of."""
    check_telemetry_kind(Kind(), SAMPLE)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Misnamed(), "name: 'Acme Inc.'"),
        (Loose(), "settings: an unknown key is taken"),
        (Silent(), "watch: the first time nothing is taken"),
        (Wrong(), "watch: the first time it reports other, which nobody wants"),
        (Wrong(), "watch: again queue is 8.0, expected 7.0"),
        (Gullible(), "watch: a backend that is not there is heard"),
        (Gullible(), "watch: a backend without proof is heard"),
        (Ending(), "watch: a backend that is not there: it has ended by itself"),
        (Raising(), "watch: a backend without proof: raised OSError: gone"),
        (Unmade(), "raised ValueError: no"),
        (Clinging(), "watch: the first time it does not end when it is cancelled"),
    ],
)
def test_a_promise_that_is_broken_is_found(kind: Kind, said: str) -> None:
    """And said in a line."""
    with pytest.raises(NotConforming) as caught:
        check_telemetry_kind(kind, SAMPLE)
    assert any(said in fault for fault in caught.value.faults), caught.value.faults
