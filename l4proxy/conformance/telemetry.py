"""What every source of telemetry has to promise, as a test that its author runs.

    from l4proxy.conformance import TelemetrySample, check_telemetry_kind

    def test_our_source_keeps_its_promises() -> None:
        check_telemetry_kind(Ours(), TelemetrySample("every: 1s", serve, {MetricName("queue"): 7}))

`serve` is an asynchronous context in which a backend tells just that. The built-in source passes
the same test. Whether what it hears is true, nobody can test.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel

from l4proxy.config.document import read_document
from l4proxy.conformance.faults import check_promises, description_faults
from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.source import (
    ScrapeFault,
    Settings,
    Subject,
    TelemetryKind,
    TelemetrySource,
)
from l4proxy.scaling.report import MetricName
from routing import Address, PoolName

TELLING_SECONDS: Final = 10.0
"""Seconds in which a backend that tells must have been heard: twice the usual period."""

SILENT_SECONDS: Final = 2.0
"""Seconds for which nothing may be heard of a backend that has nothing to say."""

_POOL: Final = PoolName("app")
_NOBODY: Final = Address("127.0.0.1", 1)


@dataclass(frozen=True, slots=True)
class TelemetrySample:
    """A backend that tells, and what.

    Attributes:
        settings: As the configuration has them below the source's name, in YAML.
        serve: A context in which the backend is there; it gives the subject to be watched.
        expected: What it tells, of what the subject wants.

    """

    settings: str
    serve: Callable[[], AbstractAsyncContextManager[Subject]]
    expected: Mapping[MetricName, float]


def check_telemetry_kind(kind: TelemetryKind[Settings], sample: TelemetrySample) -> None:
    """Return if a source keeps every promise of `TelemetryKind` and `TelemetrySource`.

    It takes some seconds, and runs an event loop of its own.

    Raises:
        NotConforming: It breaks some; all that were found.

    """

    def make() -> TelemetrySource:
        read = kind.settings.model_validate(read_document(sample.settings, "settings").value)
        return kind.make(read, _POOL)

    case = _Case(kind.name, kind.settings, make, sample)
    asyncio.run(check_promises(_PROMISES, case))


@dataclass(frozen=True, slots=True)
class _Case:
    name: object
    model: type[BaseModel]
    make: Callable[[], TelemetrySource]
    sample: TelemetrySample

    @property
    def settings(self) -> str:
        return self.sample.settings


class _Heard:
    """A report that can be waited for."""

    def __init__(self, *, until_taken: bool) -> None:
        self.found: Mapping[MetricName, float | Refused] | None = None
        self.enough = asyncio.Event()
        self._until_taken = until_taken

    def took(self, found: Mapping[MetricName, float | Refused]) -> None:
        self.found = found
        self.enough.set()

    def failed(self, _fault: ScrapeFault, _detail: str = "") -> None:
        if not self._until_taken:
            self.enough.set()


async def _described(case: _Case) -> AsyncIterator[str]:
    for fault in description_faults(case):
        yield fault


async def _tells(case: _Case) -> AsyncIterator[str]:
    """What a backend tells is reported, and again by another watch of the same source."""
    source = case.make()
    async with case.sample.serve() as subject:
        for time in ("the first time", "again"):
            heard, fault = await _watched(source, subject, TELLING_SECONDS, until_taken=True)
            if fault:
                yield f"watch: {time} {fault}"
            for wrong in _wrong(heard, subject, case.sample.expected):
                yield f"watch: {time} {wrong}"


def _wrong(heard: _Heard, subject: Subject, expected: Mapping[MetricName, float]) -> Iterator[str]:
    """Yield what is wrong with what was heard of a backend that tells."""
    if heard.found is None:
        yield "nothing is taken of a backend that tells"
        return
    if strange := heard.found.keys() - subject.wanted.keys():
        yield f"it reports {', '.join(sorted(strange))}, which nobody wants"
    for metric, value in expected.items():
        if heard.found.get(metric) != value:
            yield f"{metric} is {heard.found.get(metric)}, expected {value}"


async def _keeps_still(case: _Case) -> AsyncIterator[str]:
    """Nobody's word is taken for that of a backend that is not there, or has proved nothing."""
    async with case.sample.serve() as subject:
        for what, asked in (
            ("that is not there", replace(subject, address=_NOBODY)),
            ("without proof", replace(subject, attested=True, key=bytes)),
        ):
            heard, fault = await _watched(case.make(), asked, SILENT_SECONDS, until_taken=False)
            if fault:
                yield f"watch: a backend {what}: {fault}"
            if heard.found is not None:
                yield f"watch: a backend {what} is heard"


async def _watched(
    source: TelemetrySource, subject: Subject, seconds: float, *, until_taken: bool
) -> tuple[_Heard, str]:
    """Return what is heard in so much time, and what is wrong with the watch itself."""
    heard, fault = _Heard(until_taken=until_taken), ""
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(source, subject, heard))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await heard.enough.wait()
        if watching.done():
            fault = watching.result()
        watching.cancel()
        await asyncio.wait([watching], timeout=SILENT_SECONDS)
        if not watching.done():
            fault = "it does not end when it is cancelled"
    return heard, fault


async def _watch(source: TelemetrySource, subject: Subject, heard: _Heard) -> str:
    """Watch until cancelled; return what else has ended it."""
    try:
        await source.watch(subject, heard)
    except Exception as error:  # noqa: BLE001 - as above
        return f"raised {type(error).__name__}: {error}"
    finally:
        heard.enough.set()
    return "it has ended by itself"


_PROMISES: Final = (_described, _tells, _keeps_still)
