"""Fail-over of attested clients: by the pre-verified set, and in a crowd."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy.client import Account, Basis, Continuity, NotAttested, Strangers
from tests.e2e.attested import (
    Site,
    asking,
    attested,
    config,
    enclaves,
    known_to,
    prepared,
    visit,
)
from tests.e2e.balancer import Start
from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until


@pytest.fixture
def site(start: Start, tmp_path: Path) -> Iterator[Site]:
    """For a test that kills what it finds; all enclaves know each other."""
    folder = tmp_path / "site"
    folder.mkdir()
    with enclaves(folder) as agents:
        found = prepared(agents, start, folder)
        until("they know each other", lambda: all(known_to(agent) == 3 for agent in agents))
        yield found


async def test_fail_over_inside_the_set(site: Site) -> None:
    """When its enclave dies the client goes on with a member of the set, without a proof."""
    async with asking(strangers=Strangers.REFUSE) as client, asyncio.timeout(2 * TIMEOUT):
        first, _ = await visit(client, site.port)
        site.by_name(first).stop(signal.SIGKILL)
        second, name = await visit(client, site.port)
    assert (first.standing, first.basis) == (Continuity.FRESH, Basis.EXPORTER)
    assert (second.standing, second.basis) == (Continuity.SWITCHED, Basis.SET)
    assert second.vouch is not None
    assert second.vouch.by == first.name
    assert site.by_name(second).name == name != site.by_name(first).name


async def test_two_hundred_at_once_through_two_balancers(site: Site, start: Start) -> None:
    """One enclave is killed and one rotates: who answers was proved, and who failed says why."""
    other = start(config(site.agents, site.policy))
    until("it trusts them", lambda: all(attested(other, agent) for agent in site.agents))
    ports = [site.port, other.address[1]]
    results: list[tuple[Account, str] | NotAttested | OSError] = []
    half = asyncio.Event()

    async def one(number: int) -> None:
        # Half of them by the set of the one that they meet first.
        strangers = Strangers.REATTEST if number % 4 > 1 else None
        async with asking(strangers=strangers) as client:
            for _ in range(2):
                try:
                    results.append(await visit(client, ports[number % 2]))
                except OSError as error:
                    results.append(error)
                if len(results) >= 100:
                    half.set()

    async with asyncio.timeout(50.0), asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(one(number))
        await half.wait()
        site.agents[0].stop(signal.SIGKILL)
        site.agents[1].stop()
        await asyncio.to_thread(site.agents[1].start)

    assert len(results) == 400
    for result in results:
        if isinstance(result, OSError):
            assert str(result)
        else:
            account, name = result
            assert account.result.accepted
            assert name in {"", site.by_name(account).name}
    answered = Counter(bool(result[1]) for result in results if not isinstance(result, OSError))
    assert answered[True] > 200
