"""What is heard of one backend."""

import asyncio
import logging
import math
from collections import Counter
from contextlib import suppress

import pytest

from l4proxy.control.scrape import heard as module
from l4proxy.control.scrape.claims import Refused
from l4proxy.control.scrape.heard import MAX_DETAIL, Heard
from l4proxy.control.scrape.source import Report, ScrapeFault, Subject
from l4proxy.scaling.report import Reading
from routing import Address, PoolName
from tests.l4proxy.control.scrape.pages import QUEUE, subject_at
from tests.l4proxy.control.servers import PATIENCE_SECONDS

ADDRESS = Address("127.0.0.1", 1)


class _Broken:
    """A source that fails."""

    def __init__(self) -> None:
        self.watches = 0
        self.twice = asyncio.Event()

    async def watch(self, subject: Subject, report: Report) -> None:
        self.watches += 1
        if self.watches == 2:
            self.twice.set()
        raise ValueError(subject.name)


def heard(outcomes: Counter[tuple[PoolName, str]] | None = None, now: float = 100.0) -> Heard:
    """Nothing heard yet of a backend."""
    return Heard(subject_at(ADDRESS), _Broken(), lambda: now, outcomes or Counter())


def test_a_row_says_how_it_stands() -> None:
    """What is believed, how old it is, and why there is nothing newer."""
    one = heard()
    assert one.row(100.0)[2:] == (None, None, "", {}, {})
    one.took({QUEUE: 7.0})
    one.failed(ScrapeFault.MALFORMED, "bad\nthing" + "x" * 500)
    row = one.row(105.0)
    assert row.readings == {QUEUE: Reading(7.0, 5.0)}
    assert (row.age, row.fault) == (5.0, ScrapeFault.MALFORMED)
    assert row.detail.startswith("bad?thing")
    assert len(row.detail) == MAX_DETAIL
    one.took({QUEUE: math.nan})
    row = one.row(105.0)
    assert (row.fault, row.detail, row.refused) == (None, "", {QUEUE: Refused.NOT_A_NUMBER})


def test_attempts_are_counted() -> None:
    """By pool and fault."""
    outcomes = Counter[tuple[PoolName, str]]()
    one = heard(outcomes=outcomes)
    one = Heard(one.subject, one.source, lambda: 0.0, outcomes)
    one.took({})
    one.failed(ScrapeFault.TIMEOUT)
    assert outcomes == {("app", ""): 1, ("app", "timeout"): 1}


def test_only_news_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not every scrape of a night in which a backend was away."""
    caplog.set_level(logging.INFO)
    one = heard()
    for _ in range(3):
        one.failed(ScrapeFault.WRONG_KEY, "00ff")
    for _ in range(3):
        one.took({QUEUE: -1.0})
    assert caplog.messages == [
        "telemetry of app/one: nothing is heard: wrong_key: 00ff",
        "telemetry of app/one is back",
        "telemetry of app/one: queue does not count: negative",
    ]


async def test_a_source_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends nothing but itself, and the log has why."""
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.001)
    source = _Broken()
    one = Heard(subject_at(ADDRESS), source, lambda: 0.0, Counter())
    watching = asyncio.get_running_loop().create_task(one.keep_watching())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await source.twice.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert source.watches >= 2
    assert one.row(0.0).fault is ScrapeFault.INTERNAL
    assert "ValueError" in caplog.text
