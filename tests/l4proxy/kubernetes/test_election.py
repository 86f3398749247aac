"""One leads, whatever the clocks say and whoever fails."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from l4proxy.kubernetes import Access, ApiClient, ApiError, ApiFault, Election, Lease, election
from l4proxy.kubernetes.election import LEASE_SECONDS, MAX_LEASE_SECONDS, RENEW_SECONDS, boot_time
from tests.kubernetes_api.objects import Json, section
from tests.kubernetes_api.server import ApiServer, Asked, Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.waiting import until

KEY = Key("leases", "default", "l4proxy")


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def candidate(name: str, clock: Clock) -> Election:
    """One that asks for the Lease."""
    return Election(Lease("default", "l4proxy", name), clock)


def leads(one: Election) -> bool:
    """Whether it does at this moment."""
    return one.leading


def record(server: ApiServer) -> Json:
    """What the Lease says."""
    return section(server.store.get(KEY), "spec")


async def test_the_first_to_ask_leads(server: ApiServer, access: Access) -> None:
    """The Lease is made if there is none; the other waits, and a renewal changes nothing else."""
    clock = Clock()
    a, b = candidate("a", clock), candidate("b", clock)
    async with ApiClient(access) as api:
        for one in (a, b, a):
            await one.ask(api)
    assert (leads(a), leads(b), b.holder) == (True, False, "a")
    found = record(server)
    assert found["leaseTransitions"] == 0
    assert found["leaseDurationSeconds"] == LEASE_SECONDS
    for key in ("acquireTime", "renewTime"):
        datetime.strptime(str(found[key]), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


async def test_a_holder_that_falls_silent_is_followed(server: ApiServer, access: Access) -> None:
    """It has stopped leading before another may begin."""
    clock = Clock()
    a, b = candidate("a", clock), candidate("b", clock)
    async with ApiClient(access) as api:
        await a.ask(api)
        await b.ask(api)
        clock.now += RENEW_SECONDS
        assert not leads(a)
        await b.ask(api)
        assert not leads(b)
        clock.now += LEASE_SECONDS - RENEW_SECONDS
        await b.ask(api)
        assert leads(b)
        await a.ask(api)
    assert (leads(a), a.holder, record(server)["leaseTransitions"]) == (False, "b", 1)


async def test_the_clock_of_the_holder_does_not_count(server: ApiServer, access: Access) -> None:
    """A renewal from the past or the future is a renewal, if it was seen to change."""
    clock = Clock()
    b = candidate("b", clock)
    spec: Json = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": ""}
    server.add("leases", "l4proxy", {"spec": spec})
    async with ApiClient(access) as api:
        for year in (1970, 2999, 1971, 2026):
            server.change("leases", "l4proxy", {"spec": spec | {"renewTime": f"{year}-01-01T"}})
            await b.ask(api)
            clock.now += LEASE_SECONDS - 1
            await b.ask(api)
            assert not leads(b)
        # Something else at the object is no renewal.
        server.change("leases", "l4proxy", {**server.store.get(KEY), "metadata": {"labels": {}}})
        clock.now += 1
        await b.ask(api)
    assert leads(b)


@pytest.mark.parametrize("lasts", [10**12, -5, 0, None, "x", True])
async def test_no_duration_blocks_for_ever(
    server: ApiServer, access: Access, lasts: object
) -> None:
    """A record's own duration is believed within bounds."""
    clock = Clock()
    b = candidate("b", clock)
    spec: Json = {"holderIdentity": "a", "leaseDurationSeconds": lasts}
    server.add("leases", "l4proxy", {"spec": spec})
    async with ApiClient(access) as api:
        await b.ask(api)
        assert not leads(b)
        clock.now += MAX_LEASE_SECONDS
        await b.ask(api)
    assert leads(b)


@pytest.mark.parametrize("there", [True, False])
async def test_of_two_at_once_one_wins(server: ApiServer, access: Access, there: bool) -> None:
    """The one that the record names leads; the other is told of a conflict, and does not."""
    clock = Clock()
    a, b = candidate("a", clock), candidate("b", clock)
    if there:
        server.add("leases", "l4proxy", {"spec": {}})
    async with ApiClient(access) as api, ApiClient(access) as other:
        await asyncio.gather(_tried(a, api), _tried(b, other))
    leading = [one.lease.identity for one in (a, b) if leads(one)]
    assert leading == [record(server)["holderIdentity"]]


async def _tried(one: Election, api: ApiClient) -> None:
    with contextlib.suppress(ApiError):
        await one.ask(api)


async def test_a_conflict_is_told(server: ApiServer, access: Access) -> None:
    """Whoever wrote between our look and our claim keeps what it wrote."""
    clock = Clock()
    server.add("leases", "l4proxy", {"spec": {}})
    taken: Json = {"holderIdentity": "b", "leaseDurationSeconds": 15}

    def cross(asked: Asked) -> None:
        if asked.verb == "patch":
            server.change("leases", "l4proxy", {"spec": taken})

    server.before = cross
    a = candidate("a", clock)
    async with ApiClient(access) as api:
        with pytest.raises(ApiError) as caught:
            await a.ask(api)
    assert caught.value.fault is ApiFault.CONFLICT
    assert (leads(a), record(server)["holderIdentity"]) == (False, "b")


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the Lease without a pause."""
    monkeypatch.setattr(election, "RETRY_SECONDS", 0.005)


@pytest.mark.usefixtures("_quick")
async def test_who_ends_lets_go(server: ApiServer, access: Access) -> None:
    """The other need not wait; one that fails on the way is told once and goes on."""
    a, b = (Election(Lease("default", "l4proxy", name)) for name in "ab")
    async with ApiClient(access) as api, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(a.run(api))
        await until(lambda: leads(a))
        second = tasks.create_task(b.run(api))
        await until(lambda: b.holder == "a")
        server.faults.append(Fault(500, times=5))
        await until(lambda: not server.faults)
        assert leads(a)
        first.cancel()
        await until(lambda: leads(b))
        assert not leads(a)
        server.faults.append(Fault(500, times=9))
        second.cancel()
    assert not leads(b)


@pytest.mark.usefixtures("_quick")
async def test_a_successor_keeps_what_it_took(server: ApiServer, access: Access) -> None:
    """Who ends does not free what another of the same process has claimed since (a reload)."""
    old, new = (Election(Lease("default", "l4proxy", "a")) for _ in range(2))
    async with ApiClient(access) as api, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(old.run(api))
        await until(lambda: leads(old))

        def cross(asked: Asked) -> None:
            if asked.verb == "get":
                server.before = lambda _: None
                server.change("leases", "l4proxy", {"spec": record(server) | {"renewTime": "x"}})

        server.before = cross
        task.cancel()
    async with ApiClient(access) as api:
        await new.ask(api)
    assert (leads(new), record(server)["leaseTransitions"]) == (True, 0)


@pytest.mark.usefixtures("_quick")
async def test_who_is_let_in_no_more_is_told(server: ApiServer, access: Access) -> None:
    """When it does not lead any more: by other credentials it may be let in."""
    clock = Clock()
    a = candidate("a", clock)
    async with ApiClient(access) as api, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(a.run(api))
        await until(lambda: leads(a))
        server.faults.append(Fault(401, times=1000))
        await until(lambda: server.faults[0].times < 998)
        assert not task.done()
        clock.now += RENEW_SECONDS
        await until(task.done)
        assert task.result().fault is ApiFault.UNAUTHORIZED


async def test_a_lease_without_a_version_is_not_claimed(server: ApiServer, access: Access) -> None:
    """It would be taken whoever holds it by then."""
    server.faults.append(Fault(200, body=b'{"spec": {}}'))
    a = candidate("a", Clock())
    async with ApiClient(access) as api:
        with pytest.raises(ApiError) as caught:
            await a.ask(api)
    assert (caught.value.fault, leads(a)) == (ApiFault.MALFORMED, False)


async def test_who_never_led_lets_go_of_nothing(server: ApiServer, access: Access) -> None:
    """It asks nothing as it ends."""
    server.add("leases", "l4proxy", {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 15}})
    b = Election(Lease("default", "l4proxy", "b"))
    async with ApiClient(access) as api, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(b.run(api))
        await until(lambda: b.holder == "x")
        asked = len(server.asked)
        task.cancel()
    assert [each.verb for each in server.asked[asked:]] == []


def test_time_passes_while_the_machine_sleeps() -> None:
    """The clock is that since the machine was started."""
    first = boot_time()
    assert boot_time() >= first > 0
