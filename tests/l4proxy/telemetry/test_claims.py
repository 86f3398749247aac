"""The metrics of telemetry: what came of asking, and how old the answers are."""

import asyncio

from l4proxy.admin.backends import backends_document
from l4proxy.control.scrape import Report, Subject, TelemetryRules
from l4proxy.control.scrape.source import ScrapeFault
from l4proxy.scaling import CPU
from l4proxy.series import parse_series
from l4proxy.telemetry.claims import claim_metrics
from routing import BackendName, PoolName
from tests.l4proxy.telemetry.fake import FakeBalancer

APP, A, B = PoolName("app"), BackendName("a"), BackendName("b")


class Told:
    """A source in which one backend tells half of its load, and the other cannot be reached."""

    async def watch(self, subject: Subject, report: Report) -> None:
        """Say so once."""
        if subject.name == A:
            report.took({CPU: 0.5})
        else:
            report.failed(ScrapeFault.UNREACHABLE, "refused")
        await asyncio.Event().wait()


async def _told() -> FakeBalancer:
    """A balancer whose backends have been asked."""
    balancer = FakeBalancer()
    telemetry = balancer.roster.telemetry
    members = {APP: balancer.roster.members(APP)}
    telemetry.update(members, {APP: TelemetryRules(Told(), {CPU: parse_series("cpu")})})
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(telemetry.run())
        while sum(telemetry.outcomes.values()) < 2:  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.001)
        task.cancel()
    return balancer


async def test_attempts_and_ages_are_shown() -> None:
    """By pool and outcome; an age only of who has told anything."""
    attempts, ages = claim_metrics(await _told())
    assert {tuple(each.labels.values()): each.value for each in attempts.samples} == {
        ("app", "answered"): 1,
        ("app", "unreachable"): 1,
    }
    assert [tuple(each.labels.values()) for each in ages.samples] == [("app", "a")]


async def test_the_api_shows_what_is_believed() -> None:
    """The last value with its age, or why nothing is heard; null without telemetry."""
    documents = backends_document(await _told(), 103.0)["backends"]
    found = {document["name"]: document["telemetry"] for document in documents}
    heard, silent = found["a"], found["b"]
    assert heard is not None
    assert silent is not None
    assert (heard["age"], heard["fault"], heard["refused"]) == (3.0, None, {})
    assert heard["readings"] == {"cpu": {"value": 0.5, "age": 3.0}}
    assert (silent["age"], silent["fault"], silent["readings"]) == (None, "unreachable", {})
    assert found["[2001:db8::1]:443"] is None


def test_without_telemetry_there_are_no_series() -> None:
    """The families are there, and empty."""
    assert not any(family.samples for family in claim_metrics(FakeBalancer()))
